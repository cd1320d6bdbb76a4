"""What a kind of distribution says of its candidates: how they are drawn, measured and scored. Needs no torch.

The row of a kind in `nascli.registry.DISTRIBUTIONS` names a class of the shape of `Candidates`.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotypes.genotype import Genotype
from nascli.artifacts.load import LoadedDistribution
from nascli.config import DeriveConfig, SearchConfig
from nascli.graphs.graph import Size

if TYPE_CHECKING:
    from nascli.core.nn.graph_network import GraphNetwork
    from nascli.core.runtime import Runtime
    from nascli.data import DataModule


SHARED_WEIGHTS = "shared weights belong to no candidate alone: leave --model out, and train the genotype"
"""Why a cell has no network of its own to write (`Candidates.no_model`)."""


@dataclass(frozen=True)
class Candidate:
    """Number `number`, from 1, of a population.

    `draw` draws it anew: a mask of channels, or a cell genotype. `twin_of` is what equal networks have in common.
    """

    population: str
    number: int
    size: Size
    twin_of: Hashable
    draw: Callable[[], Any]


class Scorer(Protocol):
    """One network with the weights of all candidates, as a search has left it, and the images to rank on."""

    def at_once(self, images: int) -> int:
        """Candidates in a forward pass, for this many images."""

    def per_pass(self, images: int) -> int:
        """Candidates that are scored and saved together, for this many images."""

    def scores(
        self, drawn: Sequence[Any], images: np.ndarray, stop: Callable[[], bool] = lambda: False
    ) -> list[tuple[float, float]] | None:
        """The accuracy, 0 to 1, and mean cross-entropy in nats of each, on the training images at these indices.

        None where `stop`, which is asked between forward passes, returns True. Raises Diverged where a loss is not
        finite.
        """

    def network(self, genotype: Any, number: int) -> "GraphNetwork":
        """The own network of candidate `number`, as it is scored. Raises UsageError where it has none (`no_model`)."""


class Candidates(Protocol):
    """The candidates, for a ranking by `config`, of a distribution that `search` made from images of `info`."""

    no_model: ClassVar[str]
    """Why no candidate has a network of its own to write; empty where each has."""

    only_model: ClassVar[str]
    """Why a genotype says nothing without the network of the best, and why several don't; empty where they do."""

    def __init__(self, start: LoadedDistribution, search: SearchConfig, info: DataInfo, config: DeriveConfig) -> None:
        """Raises UsageError, ArtifactError where the distribution has none."""

    def own(self, seed: int, count: int) -> list[Candidate]:
        """Candidates 1 to `count` of the sequence `seed`."""

    def uniform(self, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float | None]:
        """As many uniform ones to compare them with, with `parameters` on average; none where there is no such thing.

        The second result is the probability of dropping a channel in uniform dropout; None for other kinds.
        """

    def genotype(self, seed: int, number: int) -> Genotype:
        """Candidate `number` of the sequence `seed`."""

    def scorer(self, data: "DataModule", config: DeriveConfig, runtime: "Runtime") -> Scorer:
        """What scores them. Raises ArtifactError where the weights don't fit, UsageError for an impossible setting."""


def measured(
    population: str,
    count: int,
    draw: Callable[[int], Any],
    *,
    twin_of: Callable[[Any], Hashable],
    size_of: Callable[[Any], Size],
) -> list[Candidate]:
    """Candidates 1 to `count`; equal networks are measured once."""
    sizes: dict[Hashable, Size] = {}
    found = []
    for number in range(1, count + 1):
        drawn = draw(number)
        twin = twin_of(drawn)
        if twin not in sizes:
            sizes[twin] = size_of(drawn)
        found.append(Candidate(population, number, sizes[twin], twin, partial(draw, number)))
    return found


def mean_parameters(candidates: Sequence[Candidate]) -> float:
    """Of their networks."""
    return fmean(candidate.size.parameters for candidate in candidates)
