"""The scores of ranked candidates, as a run directory keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from nascli.errors import ArtifactError

POSTERIOR, CELLS, UNIFORM, MEAN = "posterior", "cells", "uniform", "mean"
"""The populations of candidates: drawn from a posterior over channels or weights, from a distribution over cells, or
uniformly; and a posterior's mean weights alone."""

POPULATIONS = (POSTERIOR, CELLS, UNIFORM, MEAN)

YARDSTICKS = (UNIFORM, MEAN)
"""Those that are scored only to compare with; none of them is chosen."""


@dataclass(frozen=True)
class Scored:
    """How a candidate does on the held-out images: accuracy in [0, 1], mean cross-entropy in nats, and its size.

    `number` counts the candidates of its population from 1.
    """

    population: str
    number: int
    accuracy: float
    loss: float
    parameters: int
    multiply_adds: int

    def row(self) -> dict[str, Any]:
        """The row for the run directory."""
        return asdict(self)

    @classmethod
    def of(cls, row: Mapping[str, Any], where: str) -> Self:
        """The inverse of `row`. Raises ArtifactError, which names `where`, for a row that is not a candidate's."""
        try:
            score = cls(**row)
            sound = score.population in POPULATIONS and 0 <= score.accuracy <= 1 and score.loss >= 0
        except TypeError:
            sound = False
        if not sound:
            raise ArtifactError(f"{where}: a row is not that of a candidate: rank again with --overwrite")
        return score


def ranked(scores: Sequence[Scored]) -> list[Scored]:
    """The scores, best first: by accuracy, then by loss, then by number."""
    return sorted(scores, key=lambda score: (-score.accuracy, score.loss, score.number))
