"""The candidates of a Gaussian posterior: samples of the weights of one network."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.runs.scores import MEAN, POSTERIOR
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.ranking.candidates import Candidate, measured
from nascli.errors import UsageError

if TYPE_CHECKING:
    from nascli.core.engine.ranking.score_weights import WeightScorer
    from nascli.core.runtime import Runtime
    from nascli.data import DataModule

SIZES = ("max_params", "max_macs", "max_latency", "layers", "channels")
"""Settings of a ranking that choose among networks of different sizes, or size them."""


class WeightCandidates:
    """Samples of the weights of a super-network, which stays whole, and its mean weights to compare them with."""

    no_model: ClassVar[str] = ""
    only_model: ClassVar[str] = (
        "samples of a Gaussian posterior differ in their weights alone, and all have the genotype of the whole "
        "super-network"
    )

    def __init__(self, start: LoadedDistribution, search: SearchConfig, info: DataInfo, config: DeriveConfig) -> None:
        if given := [f"--{name.replace('_', '-')}" for name in SIZES if getattr(config, name) is not None]:
            it = "it" if len(given) == 1 else "them"
            raise UsageError(
                f"{' and '.join(given)}: all samples of a Gaussian posterior are of the same network: leave {it} out"
            )
        distribution = start.distribution
        assert isinstance(distribution, GaussianDistribution)
        self._distribution, self._search, self._start = distribution, search, start

    def own(self, seed: int, count: int) -> list[Candidate]:
        """Samples 1 to `count` of the sequence `seed`."""
        size = self._distribution.graph.size
        return measured(POSTERIOR, count, int, twin_of=int, size_of=lambda number: size)

    def uniform(self, seed: int, count: int, parameters: float) -> tuple[list[Candidate], None]:
        """The mean weights alone; there is no uniform noise to compare with."""
        return [Candidate(MEAN, 1, self._distribution.graph.size, 0, partial(int, 0))], None

    def genotype(self, seed: int, number: int) -> ChannelsGenotype:
        """That of the whole super-network."""
        return self._distribution.genotype

    def scorer(self, data: "DataModule", config: DeriveConfig, runtime: "Runtime") -> "WeightScorer":
        """A scorer with the super-network's weights. Raises ArtifactError where they don't fit."""
        from nascli.core.engine.ranking.score_channels import calibration_batches
        from nascli.core.engine.ranking.score_weights import WeightScorer

        calibration = calibration_batches(self._search, data, runtime) if config.recalibrate else []
        return WeightScorer(self._distribution, data, config, runtime, self._start.where, calibration)
