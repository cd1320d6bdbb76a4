"""What a distribution may be asked for, a protocol for each offer, and how many networks at a time."""

from collections.abc import Sequence
from typing import Any, Protocol, Self, runtime_checkable

from nascli.artifacts.distributions.best_within import BestWithin
from nascli.artifacts.distributions.distribution import Distribution
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.genotypes.genotype import CellGenotype, Genotype
from nascli.errors import UsageError
from nascli.spaces.protocol import CellSpace

MOST = 10_000
"""The most genotypes of one derivation. Each is a file, and nobody trains more."""


@runtime_checkable
class OffersMode(Protocol):
    """A distribution that stands for one network."""

    def mode(self) -> Genotype:
        """That network."""


@runtime_checkable
class StandsForCells(Distribution, Protocol):
    """A distribution that stands for cells of a space."""

    @property
    def space(self) -> CellSpace:
        """The space of the cells."""

    def mode(self) -> CellGenotype:
        """The cells that it stands for."""


@runtime_checkable
class OffersLimits(Protocol):
    """A distribution over operations, whose best can be searched for within limits.

    Each method raises UsageError where no cell is within the limits, and for limits that the space rules out.
    """

    @property
    def space(self) -> CellSpace:
        """The space of the cells."""

    @property
    def limits(self) -> CellLimits:
        """The limits that it is within already."""

    def mode_within(self, limits: CellLimits) -> CellGenotype:
        """The best cells within the limits by the rule of the mode, which it is if that is within them."""

    def mode_ranking(self, limits: CellLimits) -> BestWithin:
        """All within the limits, the best first, by the rule of the mode."""

    def ranking(self, limits: CellLimits) -> BestWithin:
        """All within the limits, the best first, in the order of `OffersTop`."""


@runtime_checkable
class OffersTop(Protocol):
    """A distribution that knows which networks are better than others."""

    def top(self, count: int) -> Sequence[tuple[Genotype, float | None]]:
        """The best `count`, best first, each with its log-probability where it has one; fewer if there are no more."""


@runtime_checkable
class OffersSamples(Protocol):
    """A distribution that networks can be drawn from."""

    def sample(self, seed: int, number: int) -> Genotype:
        """Network `number` of the sequence `seed`."""


@runtime_checkable
class OffersCells(Distribution, Protocol):
    """A distribution that cells of a space can be drawn from."""

    @property
    def space(self) -> CellSpace:
        """The space of the cells."""

    def sample(self, seed: int, number: int) -> CellGenotype:
        """Cell `number` of the sequence `seed`."""

    @classmethod
    def uniform(cls, space: CellSpace) -> Self:
        """The distribution that has learnt nothing: all its tensors are zero."""


@runtime_checkable
class KnowsProbabilities(Protocol):
    """A distribution that gives networks a probability."""

    def log_probability(self, genotype: Any) -> float:
        """In nats."""


def check_count(count: int) -> None:
    """Raise UsageError for more genotypes than a derivation makes, or none."""
    if not 1 <= count <= MOST:
        raise UsageError(f"from 1 to {MOST:,} genotypes can be derived at a time, not {count:,}")
