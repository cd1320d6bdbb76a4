"""The requests of a stream, and what answers them: a device-resident store or worker processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from nascli.data.augmentation import Augmentation
from nascli.data.format import Format


@dataclass(frozen=True)
class Request:
    """One batch: indices int64 [batch], and a seed from which that of each image is derived.

    An index that comes several times stands for as many views of its image. rows: those of the batch that are answered,
    as in the answer to the whole batch; None: all.
    """

    indices: np.ndarray
    seed: int = 0
    rows: slice | None = None

    @property
    def chosen(self) -> np.ndarray:
        """The indices that are answered."""
        return self.indices if self.rows is None else self.indices[self.rows]


class Readable(Protocol):
    """Pictures to read one by one."""

    def load(self, index: int, format: Format) -> Tensor:
        """One picture as `format` reads it, not yet square. -> uint8 [channels, h, w]. Raises UnreadableImage."""


class Feed(Protocol):
    """Answers requests in order. An answer depends on its request alone."""

    def read(
        self, requests: Iterable[Request], augmentation: Augmentation | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (uint8 images [B, C, H, W], int64 labels [B]) on the device.

        augmentation: the feed applies only the parts that need an image at its own size (resized_crop, color_jitter).
        Raises DataError for an image that cannot be read.
        """
        ...
