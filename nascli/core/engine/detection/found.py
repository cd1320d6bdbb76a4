"""The boxes that a detector finds in pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torchvision.models.detection.ssd import SSD

from nascli.core.nn.detector import answers
from nascli.core.runtime import Runtime


@dataclass(frozen=True)
class FoundBoxes:
    """The boxes in one picture, the surest first.

    corners: float32 [boxes, 4], in the picture's pixels. labels: int64 [boxes], from 0. scores: float32 [boxes].
    """

    corners: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def surer(self, score: float) -> "FoundBoxes":
        """Those of at least this score."""
        chosen = self.scores >= score
        return FoundBoxes(self.corners[chosen], self.labels[chosen], self.scores[chosen])


def find(
    network: SSD, batches: Iterable[tuple[Tensor, Sequence[tuple[int, int]]]], runtime: Runtime
) -> Iterator[FoundBoxes]:
    """The boxes in every picture. batches: images [B, C, side, side], and the sizes of their pictures (width, height).

    `network` is put into evaluation mode meanwhile.
    """
    was_training = network.training
    network.eval()
    try:
        for images, sizes in batches:
            with runtime.autocast():
                found = answers(network, images)
            side = images.shape[-1]
            for one, (width, height) in zip(found, sizes, strict=True):
                scale = np.array([width, height, width, height], np.float32) / side
                yield FoundBoxes(
                    one["boxes"].float().cpu().numpy() * scale,
                    one["labels"].cpu().numpy() - 1,
                    one["scores"].float().cpu().numpy(),
                )
    finally:
        network.train(was_training)
