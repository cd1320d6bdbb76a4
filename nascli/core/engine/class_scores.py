"""Precision, recall and F1 of every class, and their means, from a confusion matrix; as scikit-learn defines them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

Share = float | None


@dataclass(frozen=True)
class ClassScores:
    """One number per class, in [0, 1]; None where its denominator is 0.

    precision: the share of right ones among the answers that name the class. recall: the share of its images that are
    answered right. f1: their harmonic mean, 2 right / (images + answers).
    """

    precision: tuple[Share, ...]
    recall: tuple[Share, ...]
    f1: tuple[Share, ...]

    @classmethod
    def of(cls, confusion: Sequence[Sequence[int]]) -> "ClassScores":
        """confusion[i][j]: how many images of class i are taken for class j."""
        images = [sum(row) for row in confusion]
        answers = [sum(column) for column in zip(*confusion, strict=True)]
        right = [row[number] for number, row in enumerate(confusion)]
        return cls(
            precision=tuple(map(_share, right, answers)),
            recall=tuple(map(_share, right, images)),
            f1=tuple(_share(2 * hit, one + other) for hit, one, other in zip(right, images, answers, strict=True)),
        )

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images."""
        return fmean(share for share in self.recall if share is not None)

    def macro(self, shares: Sequence[Share]) -> float:
        """The mean of one of the three over the classes that have images or are answered; None counts as 0.

        That is scikit-learn's average="macro" with zero_division=0: a class that is never answered has no precision.
        """
        occurring = [share or 0.0 for share, f1 in zip(shares, self.f1, strict=True) if f1 is not None]
        return fmean(occurring)


def _share(part: int, whole: int) -> Share:
    return part / whole if whole else None
