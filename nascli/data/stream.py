"""An endless stream of augmented batches, whose whole state is a number."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nascli.data.augmentation import Augmentation, Normalization, augment
from nascli.data.balance import BalancedOrder
from nascli.data.feed import Feed, Request
from nascli.data.permutation import even_batches, permutation
from nascli.distributed.share import WHOLE, Share
from nascli.errors import UsageError
from nascli.seeds import derive_seed


class Stream:
    """Batches of some images, reshuffled in every pass; an incomplete batch at the end of a pass is dropped.

    labels: int64 [images], those of `indices`. If they are given, a pass of the same length shows every class equally
    often (see `BalancedOrder`) instead of every image once.

    `position` is the number of batches given so far. The order of pass p follows from (seed, name, p), the augmentation
    of batch b from (seed, name, b), so a stream's position alone decides how it continues.
    Raises UsageError if a batch is larger than the number of images.
    """

    def __init__(
        self,
        feed: Feed,
        indices: np.ndarray,
        batch_size: int,
        *,
        seed: int,
        name: str,
        augmentation: Augmentation,
        normalize: Normalization,
        memory_format: torch.memory_format = torch.contiguous_format,
        labels: np.ndarray | None = None,
    ) -> None:
        if not 1 <= batch_size <= len(indices):
            raise UsageError(
                f"batch {batch_size} is more than the {len(indices)} images of the '{name}' part: "
                f"use a batch size of at most {len(indices)}, or more images"
            )
        self.batch_size = batch_size
        self.batches_per_pass = len(indices) // batch_size
        self.name = name
        self._feed = feed
        self._indices = indices
        self._seed = seed
        self._augmentation = augmentation
        self._normalize = normalize
        self._memory_format = memory_format
        self._balanced = None if labels is None else BalancedOrder(labels)
        self._order = lru_cache(maxsize=1)(self._shuffled)
        self._position = 0
        self._answers: Iterator[tuple[Tensor, Tensor]] | None = None
        self._share = WHOLE

    @property
    def position(self) -> int:
        """Batches given so far; set it to continue from another batch."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        if position < 0:
            raise ValueError(f"a stream has no position {position}")
        self.close()
        self._position = position

    def next(self, share: Share = WHOLE) -> tuple[Tensor, Tensor]:
        """The next batch, on the device: float32 images [B, C, H, W] of mean 0 and deviation 1, int64 labels [B].

        share: only its rows of the batch; they are what they are in the whole batch. A change of it costs as much as
        a change of `position`. Raises DataError for an image that cannot be read.
        """
        if share != self._share:
            self.close()
            self._share = share
        if self._answers is None:
            self._answers = self._feed.read(self._requests(self._position), self._augmentation)
        try:
            images, labels = next(self._answers)
        except BaseException:
            self.close()  # a generator that has raised is finished
            raise
        # Drawn on the CPU: the same numbers on every device.
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.name, "augmentation", self._position))
        self._position += 1
        drawn = None if share == WHOLE else (self.batch_size, share.rows(self.batch_size))
        return augment(images, self._augmentation, self._normalize, generator, self._memory_format, drawn), labels

    def once(self, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, unchanged, in batches of nearly equal size, so that none has too few images for statistics.

        The order mixes the classes and is always the same. `position` does not change. share: its batches alone.
        """
        order = self._indices[permutation(len(self._indices), derive_seed(self._seed, self.name, "once"))]
        for images, labels in self._feed.read(map(Request, share.turns(even_batches(order, self.batch_size)))):
            yield self._normalize(images, self._memory_format), labels

    def close(self) -> None:
        """End the worker processes, if there are any. The stream can still be used."""
        self._answers = None

    def _requests(self, batch: int) -> Iterator[Request]:
        while True:
            number, within = divmod(batch, self.batches_per_pass)
            start = within * self.batch_size
            indices = self._order(number)[start : start + self.batch_size]
            rows = self._share.rows(self.batch_size)
            # An image that comes again in a pass must not look the same: every batch has a seed of its own then.
            once = self._balanced is None
            seed = derive_seed(self._seed, self.name, *(("pass", number) if once else ("batch", batch)))
            yield Request(indices, seed, rows)
            batch += 1

    def _shuffled(self, number: int) -> np.ndarray:
        """The indices in the order of one pass: all of them or, of balanced classes, as many as its batches hold."""
        seed = derive_seed(self._seed, self.name, "order", number)
        if self._balanced is None:
            order = permutation(len(self._indices), seed)
        else:
            order = self._balanced.draw(self.batches_per_pass * self.batch_size, seed)
        shuffled: np.ndarray = self._indices[order]
        return shuffled
