"""Large images, which worker processes read and transform batch by batch."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nascli.data.augmentation import Augmentation
from nascli.data.decoding import UnreadableImage
from nascli.data.feed import Readable, Request
from nascli.data.format import Format
from nascli.data.images import Images
from nascli.data.reading import cores
from nascli.data.resizing import evaluation_side, resize
from nascli.data.skipping import or_skip
from nascli.distributed import launch
from nascli.errors import DataError, NascliError
from nascli.seeds import derive_seed

MOST_WORKERS = 8
"""Processes that load images by default, at most; one prepares about a thousand kept pictures a second."""

FEWEST_PER_WORKER = 100
"""Images for each such process, at least."""

if TYPE_CHECKING:
    from torchvision.transforms.v2 import RandomResizedCrop

Given = TypeVar("Given")

Answer = tuple[Tensor, Tensor, tuple[UnreadableImage, ...]]
"""The readable images of a request, their labels, and an error for each other image."""


class WorkerFeed:
    """Answers requests from files, or from what stands in for them in `source`.

    format: that of the batches. workers: the number of processes, 0 for none; it does not affect the pixels. None: one
    per core, at most MOST_WORKERS, and one per FEWEST_PER_WORKER images: fewer do not keep a process busy.
    skip_corrupt: leave out pictures that can no longer be read, and add them to `lost`.
    """

    def __init__(
        self, images: Images, format: Format, workers: int | None, device: torch.device, skip_corrupt: bool = False
    ) -> None:
        self.lost: dict[str, UnreadableImage] = {}
        self._skip_corrupt = skip_corrupt
        self.images = images
        self.source: Readable = images
        self.format = format
        self.workers = usual_workers(len(images)) if workers is None else workers
        self.device = device

    def read(
        self, requests: Iterable[Request], augmentation: Augmentation | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels, lost in self.answers(requests, augmentation):
            self.lose(lost, others=len(labels) > 0)
            yield images, labels

    def answers(self, requests: Iterable[Request], augmentation: Augmentation | None = None) -> Iterator[Answer]:
        """What answers the requests, on the device, with the errors of unreadable images, in the order of a request."""
        # A worker that is not forked would get a copy of the pictures that are kept.
        forked = sys.platform == "linux"
        workers = self.workers if forked or self.source is self.images else 0
        loader: DataLoader[Answer] = DataLoader(
            _Batches(self.source, self.images.labels, self.format, augmentation),
            batch_size=None,
            sampler=requests,
            num_workers=workers,
            multiprocessing_context="fork" if forked and workers else None,
            collate_fn=unchanged,
            worker_init_fn=detach,
            pin_memory=self.device.type == "cuda",
            # The loader draws a seed, which would otherwise come from the global generator.
            generator=torch.Generator(),
        )
        answers = iter(loader)
        try:
            while (answer := next_answer(answers)) is not None:
                images, labels, lost = answer
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True), lost
        finally:
            del answers  # ends the workers now, even while the traceback of an error keeps this frame alive

    @contextmanager
    def reading(self, source: Readable) -> Iterator[None]:
        """Within the block, pictures come from `source`; streams that have begun to read go on from where they do."""
        self.source = source
        try:
            yield
        finally:
            self.source = self.images

    def lose(self, lost: Sequence[UnreadableImage], *, others: bool = True) -> None:
        """Leave out pictures that cannot be read. Raises DataError where they must not be, or there are no others."""
        if lost and not (self._skip_corrupt and others):
            raise DataError(f"cannot read {lost[0]}; {self._advice(len(lost))}")
        self.lost |= {str(one): one for one in lost}

    def _advice(self, lost: int) -> str:
        if self._skip_corrupt:
            return f"nor can the others of its batch ({lost:,} in all): put them back, and go on with --resume"
        otherwise = or_skip(", or with --skip-corrupt")
        return f"put it back and go on with --resume, or begin again (--overwrite) without it{otherwise}"


def usual_workers(images: int) -> int:
    """How many processes read so many images: one per core, as far as they are kept busy.

    Ranks that share a machine share its cores.
    """
    return min(max(1, cores() // launch.on_this_machine()), MOST_WORKERS, images // FEWEST_PER_WORKER)


def next_answer(answers: Iterator[Given]) -> Given | None:
    """The next answer; None at the end. Raises NascliError if a worker has died."""
    try:
        return next(answers, None)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise NascliError(
            f"a process that loads images died ({str(error).splitlines()[0]}): "
            "use fewer --workers, or give the machine more (shared) memory"
        ) from error


class _Batches(Dataset[Answer]):
    """Turns requests into batches, in a worker. It returns a failure, since raising it would wrap it in a traceback."""

    def __init__(self, source: Readable, labels: np.ndarray, format: Format, augmentation: Augmentation | None) -> None:
        self.source = source
        self.format = format
        self.transform = None if augmentation is None else _random_transform(augmentation, format)
        self.labels = torch.from_numpy(labels)

    def __getitem__(self, request: Request) -> Answer:
        channels, side = self.format.channels, self.format.side
        # The layout in which pictures are decoded and networks run: neither cropping nor normalising rearranges pixels.
        layout = torch.channels_last
        wanted = range(len(request.indices))[request.rows or slice(None)]
        batch = torch.empty((len(wanted), channels, side, side), dtype=torch.uint8, memory_format=layout)
        kept: list[int] = []
        lost: list[UnreadableImage] = []
        views: Counter[int] = Counter()
        for place, index in enumerate(request.indices.tolist()):
            again = (views[index],) if views[index] else ()
            views[index] += 1
            if place not in wanted:
                continue
            try:
                image = self.source.load(index, self.format)
            except UnreadableImage as error:
                lost.append(error)
                continue
            row = len(kept)
            kept.append(index)
            if self.transform is None:
                batch[row] = self.format.evaluated(image)
            else:
                with seeded_generator(derive_seed(request.seed, "image", index, *again)):
                    batch[row] = self.transform(image)
        return batch[: len(kept)], self.labels[kept], tuple(lost)


def _random_transform(augmentation: Augmentation, format: Format) -> Callable[[Tensor], Tensor]:
    """The part of an augmentation that precedes the batch: uint8 [C, h, w] -> uint8 [C, side, side]."""
    from torchvision.transforms import v2

    larger = evaluation_side(format.side)
    steps: list[Callable[[Tensor], Tensor]] = []
    if not augmentation.resized_crop:
        steps.append(partial(format.square, shorter=larger))
    else:
        if format.fit != "crop":  # a window of the whole picture as the network will see it
            steps.append(format.at(larger).square)
        steps.append(partial(_random_window, v2.RandomResizedCrop(format.side)))
    if augmentation.color_jitter:
        steps += [Tensor.contiguous, v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2)]
    return partial(reduce, _apply, steps)


def _apply(image: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
    return step(image)


def _random_window(crop: "RandomResizedCrop", image: Tensor) -> Tensor:
    """What torchvision's transform makes of an image, to the byte, in half of its time. [C, h, w] -> [C, side, side]"""
    window = crop.make_params([image])
    rows = slice(window["top"], window["top"] + window["height"])
    columns = slice(window["left"], window["left"] + window["width"])
    # Copied, since torch resizes pixels that are in one piece, with their channels last, in half of the time.
    pixels = image.permute(1, 2, 0)[rows, columns].contiguous().permute(2, 0, 1)
    return resize(pixels, (crop.size[0], crop.size[1]))


@contextmanager
def seeded_generator(seed: int) -> Iterator[None]:
    """Seed the global generator, from which torchvision's transforms draw, and restore its state afterwards."""
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


def unchanged(answer: Any) -> Any:
    """What a worker answers, as it is: for a loader that is given whole batches."""
    return answer


def detach(worker: int) -> None:
    """Keep Ctrl-C and other signals to the process group away from a worker; the main process ends the worker."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
