"""The candidates of a posterior: masks of the channels that its super-network keeps (PGNAS, Algorithm 1)."""

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.masks import Mask, channels_of
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.runs.scores import POSTERIOR, UNIFORM
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.ranking.candidates import Candidate, mean_parameters, measured
from nascli.errors import UsageError
from nascli.graphs.graph import Graph, Size
from nascli.graphs.slim import slim
from nascli.seeds import derive_seed

if TYPE_CHECKING:
    from nascli.core.engine.ranking.score_channels import ChannelScorer
    from nascli.core.runtime import Runtime
    from nascli.data import DataModule

_SIZE_SAMPLES = 64
"""Candidates whose mean size stands for that of all in the search for the probability of uniform dropout."""

_HALVINGS = 14
"""How often the interval of that probability is halved: the last is 0.00006 long."""


class ChannelCandidates:
    """Masks over the channels of a posterior's super-network."""

    no_model = ""
    only_model = ""

    def __init__(self, start: LoadedDistribution, search: SearchConfig, info: DataInfo, config: DeriveConfig) -> None:
        if given := [f"--{name}" for name in ("layers", "channels") if getattr(config, name) is not None]:
            raise UsageError(
                f"{' and '.join(given)} size a network of cells; a posterior's networks have their size: leave "
                f"{'it' if len(given) == 1 else 'them'} out"
            )
        posterior = start.distribution
        assert isinstance(posterior, PosteriorDistribution)
        self._posterior, self._search, self._where = posterior, search, start.where
        self._candidates = partial(measured, twin_of=_digest, size_of=partial(size_of, posterior.graph))

    def own(self, seed: int, count: int) -> list[Candidate]:
        """Candidates 1 to `count` of the sequence `seed`: epsilon_i of line 7."""
        return self._candidates(POSTERIOR, count, partial(self._posterior.mask, seed))

    def uniform(self, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float]:
        """As many by uniform dropout, "Random" in Table 3, with `parameters` on average; and its drop probability."""
        probability = self.uniform_probability(seed, count, parameters)
        return self.dropped(seed, count, probability), probability

    def uniform_probability(self, seed: int, count: int, parameters: float) -> float:
        """The drop probability for which uniform candidates have this many parameters on average.

        By bisection: with the same random numbers at every probability, whatever is dropped once stays dropped at a
        higher one, so the mean size falls. Of `count` candidates the first `_SIZE_SAMPLES` are measured.
        """
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            larger = mean_parameters(self.dropped(seed, min(count, _SIZE_SAMPLES), middle)) > parameters
            low, high = (middle, high) if larger else (low, middle)
        return (low + high) / 2

    def dropped(self, seed: int, count: int, probability: float) -> list[Candidate]:
        """Candidates whose channels are all dropped with the same probability, from random numbers of their own."""
        numbers = partial(self._posterior.uniforms, derive_seed(seed, UNIFORM))
        return self._candidates(UNIFORM, count, lambda number: numbers(number) >= probability)

    def genotype(self, seed: int, number: int) -> ChannelsGenotype:
        """Candidate `number` of the sequence `seed`."""
        return self._posterior.sample(seed, number)

    def scorer(self, data: "DataModule", config: DeriveConfig, runtime: "Runtime") -> "ChannelScorer":
        """A scorer with the super-network's weights. Raises ArtifactError where they don't fit."""
        from nascli.core.engine.ranking.score_channels import ChannelScorer, calibration_batches

        calibration = calibration_batches(self._search, data, runtime) if config.recalibrate else []
        return ChannelScorer(self._posterior, data, config, runtime, self._where, calibration=calibration)


def size_of(graph: Graph, mask: Mask) -> Size:
    """The size of the network that a mask leaves of a super-network."""
    return slim(graph, channels_of(graph, mask)).graph.size


def _digest(mask: Mask) -> bytes:
    """What equal masks have in common, in few bytes."""
    return blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()
