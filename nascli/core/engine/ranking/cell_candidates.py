"""The candidates of a distribution over cells, whose networks share the weights of their search."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.runs.scores import CELLS, UNIFORM
from nascli.config import DeriveConfig, SearchConfig, TrainConfig
from nascli.core.engine.offers import OffersCells
from nascli.core.engine.ranking.candidates import SHARED_WEIGHTS, Candidate, measured
from nascli.core.engine.sizing import shape_of, trained_cells
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.settings.groups import CellNetwork, SharesWeights
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.costs import cell_costs
from nascli.spaces.network_settings import NetworkSettings

if TYPE_CHECKING:
    from nascli.core.engine.ranking.score_cells import CellScorer
    from nascli.core.runtime import Runtime
    from nascli.data import DataModule


class CellCandidates:
    """Cells of a distribution, with the sizes that their networks will have in training; they share a search's weights.

    The network that is trained is the recipe's, unless the configuration gives another (`layers`, `channels`).
    """

    no_model = SHARED_WEIGHTS
    only_model = ""

    def __init__(self, start: LoadedDistribution, search: SearchConfig, info: DataInfo, config: DeriveConfig) -> None:
        assert isinstance(start.distribution, OffersCells)
        assert isinstance(search.settings, CellNetwork)
        self._start, self._distribution, self._search = start, start.distribution, search
        self._network = NetworkSettings(**shape_of(info).model_dump(), **search.settings.size)
        known = {name: getattr(config, name) for name in ("method", "dataset", "layers", "channels")}
        space = self._distribution.space
        training = TrainConfig(**known, space=space.name, image_size=info.image_size)
        costs = cell_costs(space, trained_cells(training, shape_of(info)))
        self._candidates = partial(measured, twin_of=CellGenotype.network, size_of=costs.size)

    def own(self, seed: int, count: int) -> list[Candidate]:
        """Candidates 1 to `count` of the sequence `seed`."""
        return self._candidates(CELLS, count, partial(self._distribution.sample, seed))

    def uniform(self, seed: int, count: int, parameters: float) -> tuple[list[Candidate], None]:
        """As many uniform cells; none where the distribution itself has learnt nothing."""
        own = self._distribution
        if not any(values.any() for values in own.tensors().values()):
            return [], None
        nothing = {name: np.zeros_like(values) for name, values in own.tensors().items()}
        uniform = type(own).assemble(own.settings(), nothing)  # within the same limits
        return self._candidates(UNIFORM, count, partial(uniform.sample, derive_seed(seed, UNIFORM))), None

    def genotype(self, seed: int, number: int) -> CellGenotype:
        """Candidate `number` of the sequence `seed`."""
        return self._distribution.sample(seed, number)

    def scorer(self, data: "DataModule", config: DeriveConfig, runtime: "Runtime") -> "CellScorer":
        """A scorer with the shared weights. Raises ArtifactError where they don't fit, UsageError for `recalibrate`."""
        from nascli.core.engine.ranking.score_cells import CellScorer, Children

        if config.recalibrate:
            raise UsageError("cells always have the statistics of their own batches: leave --recalibrate out")
        space, settings, start = self._distribution.space, self._search.settings, self._start
        assert isinstance(settings, SharesWeights)
        assert start.value.weights is not None
        children = Children(space, self._network, settings.wiring(space))
        return CellScorer(children, start.value.weights, data, config.batch_size, runtime, start.where)
