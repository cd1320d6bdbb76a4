"""Large images, which worker processes read and transform batch by batch."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nascli.data.augmentation import Augmentation
from nascli.data.decoding import UnreadableImage
from nascli.data.feed import Request
from nascli.data.format import Format
from nascli.data.images import Images
from nascli.data.resizing import evaluation_side
from nascli.errors import DataError, NascliError
from nascli.seeds import derive_seed

Answer = tuple[Tensor, Tensor, tuple[UnreadableImage, ...]]
"""The readable images of a request, their labels, and an error for each other image."""


class WorkerFeed:
    """Answers requests from files.

    format: that of the batches. workers: the number of processes, 0 for none; it does not affect the pixels.
    skip_corrupt: leave out pictures that can no longer be read, and add them to `lost`.
    """

    def __init__(
        self, images: Images, format: Format, workers: int, device: torch.device, skip_corrupt: bool = False
    ) -> None:
        self.lost: dict[str, UnreadableImage] = {}
        self._skip_corrupt = skip_corrupt
        self.images = images
        self.format = format
        self.workers = workers
        self.device = device

    def read(
        self, requests: Iterable[Request], augmentation: Augmentation | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        loader: DataLoader[Answer] = DataLoader(
            _Batches(self.images, self.format, augmentation),
            batch_size=None,
            sampler=requests,
            num_workers=self.workers,
            collate_fn=_unchanged,
            worker_init_fn=_detach,
            pin_memory=self.device.type == "cuda",
            # The loader draws a seed, which would otherwise come from the global generator.
            generator=torch.Generator(),
        )
        answers = iter(loader)
        try:
            while (answer := _next(answers)) is not None:
                images, labels, lost = answer
                if lost and not (self._skip_corrupt and len(labels)):
                    raise DataError(f"cannot read {lost[0]}; {self._advice(len(lost))}")
                self.lost |= {str(one): one for one in lost}
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        finally:
            del answers  # ends the workers now, even while the traceback of an error keeps this frame alive

    def _advice(self, lost: int) -> str:
        if self._skip_corrupt:
            return f"nor can the others of its batch ({lost:,} in all): put them back, and go on with --resume"
        return "put it back and go on with --resume, or begin again (--overwrite) without it, or with --skip-corrupt"


def _next(answers: Iterator[Answer]) -> Answer | None:
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

    def __init__(self, images: Images, format: Format, augmentation: Augmentation | None) -> None:
        self.images = images
        self.format = format
        self.transform = None if augmentation is None else _random_transform(augmentation, format)
        self.labels = torch.from_numpy(images.labels)

    def __getitem__(self, request: Request) -> Answer:
        channels, side = self.format.channels, self.format.side
        batch = torch.empty((len(request.indices), channels, side, side), dtype=torch.uint8)
        kept: list[int] = []
        lost: list[UnreadableImage] = []
        for index in request.indices.tolist():
            try:
                image = self.images.load(index, self.format)
            except UnreadableImage as error:
                lost.append(error)
                continue
            row = len(kept)
            kept.append(index)
            if self.transform is None:
                batch[row] = self.format.square(image, evaluation_side(side))
            else:
                with _seeded_generator(derive_seed(request.seed, "image", index)):
                    batch[row] = self.transform(image)
        return batch[: len(kept)], self.labels[kept], tuple(lost)


def _random_transform(augmentation: Augmentation, format: Format) -> Callable[[Tensor], Tensor]:
    """The part of an augmentation that precedes the batch: uint8 [C, h, w] -> uint8 [C, side, side]."""
    from torchvision.transforms import v2

    larger = evaluation_side(format.side)
    steps: list[v2.Transform] = []
    if not augmentation.resized_crop:
        steps.append(v2.Lambda(partial(format.square, shorter=larger)))
    else:
        if format.fit != "crop":  # a window of the whole picture as the network will see it
            steps.append(v2.Lambda(format.at(larger).square))
        steps.append(v2.RandomResizedCrop(format.side, antialias=True))
    if augmentation.color_jitter:
        steps.append(v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2))
    transform: Callable[[Tensor], Tensor] = v2.Compose(steps)
    return transform


@contextmanager
def _seeded_generator(seed: int) -> Iterator[None]:
    """Seed the global generator, from which torchvision's transforms draw, and restore its state afterwards."""
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


def _unchanged(answer: Any) -> Any:
    return answer


def _detach(worker: int) -> None:
    """Keep Ctrl-C and other signals to the process group away from a worker; the main process ends the worker."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
