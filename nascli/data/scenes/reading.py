"""Batches of pictures with boxes, read by worker processes or by this one."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nascli.data.decoding import UnreadableImage
from nascli.data.permutation import even_batches, permutation
from nascli.data.scenes.scenes import Scenes
from nascli.data.scenes.views import Target, Views
from nascli.data.workers import detach, next_answer, unchanged, usual_workers
from nascli.errors import DataError
from nascli.seeds import derive_seed

Batch = tuple[Tensor, list[Target]]
"""Images, float32 [B, C, side, side] from 0 to 1, and a target for each."""


@dataclass(frozen=True)
class Request:
    """Pictures by number. seeds: of a random view of each; None: they are wanted as evaluation sees them."""

    indices: Sequence[int]
    seeds: Sequence[int] | None = None


_Answer = tuple[Tensor, list[Target], UnreadableImage | None]


class _Batches(Dataset[_Answer]):
    """Answers requests, in a worker. It returns a failure, since raising it would wrap it in a traceback."""

    def __init__(self, scenes: Scenes, views: Views, channels: int) -> None:
        self.scenes, self.views, self.channels = scenes, views, channels

    def __getitem__(self, request: Request) -> _Answer:
        side = self.views.side
        images = torch.empty((len(request.indices), self.channels, side, side), dtype=torch.uint8)
        targets: list[Target] = []
        for row, index in enumerate(request.indices):
            try:
                pixels = self.scenes.read(index)
            except UnreadableImage as error:
                return images, targets, error
            if request.seeds is None:
                images[row] = self.views.plain(pixels)
            else:
                images[row], target = self.views.random(pixels, self.scenes.boxes[index], request.seeds[row])
                targets.append(target)
        return images, targets, None


def read(
    scenes: Scenes,
    requests: Iterable[Request],
    views: Views,
    *,
    channels: int,
    workers: int | None,
    device: torch.device,
) -> Iterator[Batch]:
    """What answers the requests, on the device. Plain pictures have no targets.

    workers: processes, which don't affect the pixels; None: as many as are kept busy. Raises DataError for a picture
    that cannot be read.
    """
    count = usual_workers(len(scenes)) if workers is None else workers
    loader: DataLoader[_Answer] = DataLoader(
        _Batches(scenes, views, channels),
        batch_size=None,
        sampler=requests,
        num_workers=count,
        multiprocessing_context="fork" if count and sys.platform == "linux" else None,
        collate_fn=unchanged,
        worker_init_fn=detach,
        pin_memory=device.type == "cuda",
        # The loader draws a seed, which would otherwise come from the global generator.
        generator=torch.Generator(),
    )
    answers = iter(loader)
    try:
        while (answer := next_answer(answers)) is not None:
            images, targets, error = answer
            if error is not None:
                raise DataError(f"cannot read {error}; put it right, or leave it out with --skip-corrupt")
            placed = [{name: value.to(device) for name, value in target.items()} for target in targets]
            yield images.to(device).float() / 255, placed
    finally:
        del answers  # ends the workers now, even while the traceback of an error keeps this frame alive


class SceneStream:
    """Endless batches of random views. What a batch holds is a function of the seed and its position alone."""

    def __init__(
        self,
        scenes: Scenes,
        batch_size: int,
        views: Views,
        *,
        seed: int,
        channels: int,
        workers: int | None,
        device: torch.device,
    ) -> None:
        self.batch_size = batch_size
        self.batches_per_pass = len(scenes) // batch_size
        self._scenes, self._views, self._seed = scenes, views, seed
        self._reading = {"channels": channels, "workers": workers, "device": device}
        self._position = 0
        self._answers: Iterator[Batch] | None = None

    @property
    def position(self) -> int:
        """Batches given so far; set it to continue from another batch."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        self.close()
        self._position = position

    def next(self) -> Batch:
        """The next batch. Raises DataError for a picture that cannot be read."""
        if self._answers is None:
            requests = self._requests(self._position)
            self._answers = read(self._scenes, requests, self._views, **self._reading)  # type: ignore[arg-type]
        try:
            batch = next(self._answers)
        except BaseException:
            self.close()  # a generator that has raised is finished
            raise
        self._position += 1
        return batch

    def once(self) -> Iterator[Tensor]:
        """All pictures once, as evaluation sees them, in batches of nearly equal size, so that none has too few for
        statistics.

        The order is always the same. `position` does not change.
        """
        order = permutation(len(self._scenes), derive_seed(self._seed, "scenes", "once"))
        requests = [Request(one.tolist()) for one in even_batches(order, self.batch_size)]
        for images, _ in read(self._scenes, requests, self._views, **self._reading):  # type: ignore[arg-type]
            yield images

    def close(self) -> None:
        """End the worker processes, if there are any. The stream can still be used."""
        self._answers = None

    def _requests(self, batch: int) -> Iterator[Request]:
        number, order = -1, permutation(0, 0)
        while True:
            if batch // self.batches_per_pass != number:
                number = batch // self.batches_per_pass
                order = permutation(len(self._scenes), derive_seed(self._seed, "scenes", "order", number))
            start = batch % self.batches_per_pass * self.batch_size
            indices = order[start : start + self.batch_size].tolist()
            yield Request(indices, [derive_seed(self._seed, "scenes", "view", number, index) for index in indices])
            batch += 1
