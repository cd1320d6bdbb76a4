"""The candidates of a posterior over the channels of a super-network (PGNAS, Algorithm 1, lines 7 to 15)."""

from dataclasses import replace

from torch import Tensor

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.masks import mask_of
from nascli.artifacts.model import ModelFile
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.scores import POSTERIOR, Scored
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.pool import CandidateScorer
from nascli.core.engine.ranking import Candidate, posterior_candidates, uniform_candidates, uniform_probability
from nascli.core.engine.scoring import Scorer
from nascli.core.engine.search import open_streams
from nascli.core.nn.build import inherited_network
from nascli.core.runtime import Runtime
from nascli.data import DataModule

CALIBRATION_IMAGES = 2048
"""On so many training images, or all if there are fewer, a candidate's own statistics are taken."""


class ChannelPool:
    """A `Pool` of masks. `where` names the posterior's file, `search` is what made it."""

    population = POSTERIOR

    def __init__(self, posterior: PosteriorDistribution, where: str, search: SearchConfig) -> None:
        self._posterior, self._where, self._search = posterior, where, search
        self.data: DataInfo = posterior.data

    def candidates(self, info: DataInfo, seed: int, count: int) -> list[Candidate]:
        return posterior_candidates(self._posterior, seed, count)

    def uniform(self, info: DataInfo, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float | None]:
        probability = uniform_probability(self._posterior, seed, count, parameters)
        return uniform_candidates(self._posterior, seed, count, probability), probability

    def scorer(self, data: DataModule, config: DeriveConfig, runtime: Runtime) -> Scorer:
        calibration: list[Tensor] = []
        if config.recalibrate:
            train = open_streams(self._search, data, runtime)["train"]
            count = min(train.batches_per_pass, -(-CALIBRATION_IMAGES // train.batch_size))
            calibration = [train.next()[0] for _ in range(count)]
            train.close()
        return Scorer(self._posterior, data, config, runtime, self._where, calibration=calibration)

    def genotype(self, seed: int, number: int) -> ChannelsGenotype:
        return self._posterior.genotype(self._posterior.mask(seed, number))

    def model(self, file: GenotypeFile, score: Scored, scorer: CandidateScorer) -> ModelFile:
        assert isinstance(file.genotype, ChannelsGenotype)
        assert isinstance(scorer, Scorer)
        supernet = scorer.supernet(mask_of(self._posterior.graph, file.genotype.channels))
        scored = {name: tensor.cpu().numpy() for name, tensor in supernet.state_dict().items()}
        posterior = replace(self._posterior, weights=scored)
        network = inherited_network(file.genotype, posterior, self._where, seed=0)
        return ModelFile(
            weights={name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
            genotype=file.genotype,
            network=self._posterior.shape,
            data=self._posterior.data,
            metrics={"held_out_accuracy": score.accuracy, "held_out_loss": score.loss},
            provenance=file.provenance,
        )
