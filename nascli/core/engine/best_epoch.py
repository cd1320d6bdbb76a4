"""Which epoch of a training did best on the validation images, and how long ago its accuracy last rose."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

ACCURACY, LOSS = "validation_accuracy", "validation_loss"
"""The keys of a row of metrics that validation images give."""


def better(row: Mapping[str, Any], best: Mapping[str, Any] | None) -> bool:
    """Whether an epoch did better than the best one before it: by its accuracy, at equal accuracy by a lower loss.

    Of equals the earlier one stays. best: None before the first epoch.
    """
    return best is None or _merit(row) > _merit(best)


def without_gain(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many epochs are done since the one that first had the highest accuracy."""
    accuracies = [row[ACCURACY] for row in rows if ACCURACY in row]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def told_without_gain(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same in words."""
    count = without_gain(rows)
    best = rows[len(rows) - 1 - count]
    epochs = "1 epoch" if count == 1 else f"{count} epochs"
    return f"{epochs} without a validation accuracy above the {best[ACCURACY]:.1%} of epoch {best['epoch']}"


def merit(accuracy: float, loss: float) -> tuple[float, float]:
    """What is larger for the better of two networks: by the accuracy, at equal accuracy by the lower loss."""
    return accuracy, -math.inf if math.isnan(loss) else -loss


def _merit(row: Mapping[str, Any]) -> tuple[float, float]:
    return merit(row[ACCURACY], row[LOSS])
