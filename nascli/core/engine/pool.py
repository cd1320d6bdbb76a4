"""What candidates are drawn from and how they are scored: the one thing in which channels and cells differ."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotype import Genotype, GenotypeFile
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import DataDescription
from nascli.artifacts.scores import Scored
from nascli.config import DeriveConfig
from nascli.core.engine.ranking import Candidate
from nascli.core.runtime import Runtime
from nascli.data import DataModule

Stop = Callable[[], bool]


class CandidateScorer(Protocol):
    """Scores candidates with the weights that a search has left."""

    def at_once(self, images: int) -> int:
        """Candidates in a forward pass, where there are so many images."""

    def per_pass(self, images: int) -> int:
        """Candidates that are scored, and kept by a run directory, together."""

    def scores(
        self, drawn: Sequence[Any], images: np.ndarray, stop: Stop = lambda: False
    ) -> list[tuple[float, float]] | None:
        """The accuracy, 0 to 1, and mean cross-entropy in nats of each on the training images at these indices.

        None where `stop`, which is asked now and then, says so. Raises Diverged for a loss that is not finite.
        """


class Pool(Protocol):
    """The candidates of a distribution, and the population that they are compared with."""

    population: str
    """What the distribution's own candidates are called."""

    data: DataInfo | DataDescription
    """The images of the search."""

    def candidates(self, info: DataInfo, seed: int, count: int) -> list[Candidate]:
        """Candidates 1 to `count` of the sequence `seed`, with the sizes that their networks have for such images."""

    def uniform(self, info: DataInfo, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float | None]:
        """As many that know nothing of what was learnt, and the probability of dropping a channel where that is what
        makes them as large, on average, as `parameters`. None where the distribution has learnt nothing itself.
        """

    def scorer(self, data: DataModule, config: DeriveConfig, runtime: Runtime) -> CandidateScorer:
        """What scores them. Raises ArtifactError for weights that don't fit."""

    def genotype(self, seed: int, number: int) -> Genotype:
        """That of candidate `number`."""


@runtime_checkable
class OffersModels(Protocol):
    """A pool whose candidates have weights that are good for themselves alone."""

    def model(self, file: GenotypeFile, score: Scored, scorer: CandidateScorer) -> ModelFile:
        """The network of a candidate with the weights and statistics that it was scored with by the pool's `scorer`."""
