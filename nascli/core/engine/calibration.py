"""Whether a classifier is right as often as it says it is."""

import torch
from torch import Tensor

BINS = 15
"""Equal bins of the confidence, as in Guo et al., section 5."""


class Calibration:
    """Expected calibration error over batches: Guo et al., "On Calibration of Modern Neural Networks", 2017, Eq. 3.

    The confidence of an answer is its probability. Bin m of M holds the confidences in ((m - 1)/M, m/M]. The error is
    the absolute difference between a bin's mean confidence and its share of right answers, averaged over the bins with
    their numbers of images as weights. In float64, on the device of the batches.
    """

    def __init__(self) -> None:
        self._images = 0
        self._excess = torch.zeros(BINS, dtype=torch.float64)

    def add(self, confidence: Tensor, right: Tensor) -> None:
        """Count one batch: the probabilities of the answers, and whether they are right. [images], [images] of bool."""
        confidence = confidence.double()
        edges = torch.arange(1, BINS, dtype=torch.float64, device=confidence.device) / BINS
        bins = torch.bucketize(confidence, edges)  # right ends belong to their bins
        # A product rather than scattered sums, whose order a GPU does not fix.
        member = (bins[:, None] == torch.arange(BINS, device=confidence.device)).double()
        self._images += len(confidence)
        self._excess = self._excess.to(confidence.device) + (confidence - right.double()) @ member

    def counts(self) -> Tensor:
        """What several processes add up. [1 + BINS], float64."""
        return torch.cat((torch.tensor([float(self._images)], dtype=torch.float64), self._excess.cpu()))

    def take(self, counts: Tensor) -> None:
        """The inverse of `counts`."""
        self._images, self._excess = int(counts[0]), counts[1:].clone()

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1."""
        return float(self._excess.abs().sum()) / self._images
