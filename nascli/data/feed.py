"""What a stream asks for, and who answers: a device-resident store or worker processes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from nascli.data.augmentation import Augmentation


@dataclass(frozen=True)
class Request:
    """One batch: indices int64 [batch], and the seed of their pass, from which every image's own seed follows."""

    indices: np.ndarray
    seed: int = 0


class Feed(Protocol):
    """Answers requests in their order. An answer depends on its request alone."""

    def read(
        self, requests: Iterable[Request], augmentation: Augmentation | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (uint8 images [B, C, H, W], int64 labels [B]) on the device.

        augmentation: of it, the feed does what only the undecoded image allows (resized_crop, color_jitter).
        Raises DataError for an image that cannot be read.
        """
        ...
