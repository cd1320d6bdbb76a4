"""Mean and deviation of the pixels, per channel."""

import math
from collections.abc import Iterable

from torch import Tensor

Statistics = tuple[tuple[float, ...], tuple[float, ...]]

_SMALLEST_STD = 1 / 255


def statistics(chunks: Iterable[Tensor]) -> Statistics:
    """Mean and standard deviation of all pixels, on the scale where white is 1. chunks: uint8 [images, C, H, W] each.

    Sums of integers are exact, and equal on every device. A channel that never varies gets a deviation of one shade.
    """
    count = 0
    total: list[int] = []
    squares: list[int] = []
    for chunk in chunks:
        values = chunk.int()
        sums, sums_of_squares = values.sum((0, 2, 3)).tolist(), (values * values).sum((0, 2, 3)).tolist()
        total = [a + b for a, b in zip(total or [0] * len(sums), sums, strict=True)]
        squares = [a + b for a, b in zip(squares or [0] * len(sums), sums_of_squares, strict=True)]
        count += values[:, 0].numel()
    means = tuple(s / (255 * count) for s in total)
    # In Python's integers count * q - s * s neither overflows nor loses a digit.
    deviations = (math.sqrt(count * q - s * s) / (255 * count) for s, q in zip(total, squares, strict=True))
    return means, tuple(max(deviation, _SMALLEST_STD) for deviation in deviations)
