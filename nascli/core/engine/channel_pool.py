"""The candidates of a posterior over the channels of a super-network (PGNAS, Algorithm 1, lines 7 to 15)."""

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.model import ModelFile
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.scores import POSTERIOR, Scored
from nascli.config import DeriveConfig
from nascli.core.engine.ranking import Candidate, posterior_candidates, uniform_candidates, uniform_probability
from nascli.core.engine.scoring import Scorer
from nascli.core.nn.build import inherited_network
from nascli.core.runtime import Runtime
from nascli.data import DataModule


class ChannelPool:
    """A `Pool` of masks. `where` names the posterior's file."""

    population = POSTERIOR

    def __init__(self, posterior: PosteriorDistribution, where: str) -> None:
        self._posterior, self._where = posterior, where
        self.data: DataInfo = posterior.data

    def candidates(self, info: DataInfo, seed: int, count: int) -> list[Candidate]:
        return posterior_candidates(self._posterior, seed, count)

    def uniform(self, info: DataInfo, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float | None]:
        probability = uniform_probability(self._posterior, seed, count, parameters)
        return uniform_candidates(self._posterior, seed, count, probability), probability

    def scorer(self, data: DataModule, config: DeriveConfig, runtime: Runtime) -> Scorer:
        return Scorer(self._posterior, data, config, runtime, self._where)

    def genotype(self, seed: int, number: int) -> ChannelsGenotype:
        return self._posterior.genotype(self._posterior.mask(seed, number))

    def model(self, file: GenotypeFile, score: Scored) -> ModelFile:
        assert isinstance(file.genotype, ChannelsGenotype)
        network = inherited_network(file.genotype, self._posterior, self._where, seed=0)
        return ModelFile(
            weights={name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
            genotype=file.genotype,
            network=self._posterior.shape,
            data=self._posterior.data,
            metrics={"held_out_accuracy": score.accuracy, "held_out_loss": score.loss},
            provenance=file.provenance,
        )
