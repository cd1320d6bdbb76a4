"""Candidate cells, drawn from a distribution and scored with the weights that its search has shared among all cells.

Single paths with shared weights: Guo et al., "Single Path One-Shot NAS", ECCV 2020; random search with parameter
sharing: Li & Talwalkar, UAI 2019.
"""

from collections.abc import Callable, Hashable, Iterable
from functools import partial

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.mixture import MixtureDistribution
from nascli.artifacts.provenance import DataDescription
from nascli.artifacts.scores import CELLS, UNIFORM
from nascli.config import CELL_NETWORK, DeriveConfig, SearchConfig
from nascli.core.engine.cell_scorer import CellScorer, Children
from nascli.core.engine.ranking import Candidate
from nascli.core.engine.sizing import shape_of
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import ArtifactError, UsageError
from nascli.graphs.graph import Size
from nascli.seeds import derive_seed
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Path, Shared, Wiring

Cells = CategoricalDistribution | MixtureDistribution


class CellPool:
    """A `Pool` of cells of a file whose search has left its shared weights.

    Sizes are those of a candidate's network in the search, not of the one that will be trained. Raises ArtifactError
    for a file that does not say what images it is for, UsageError for one without weights.
    """

    population = CELLS

    def __init__(self, start: LoadedDistribution, distribution: Cells, search: SearchConfig) -> None:
        weights = start.value.weights
        if weights is None:
            raise UsageError(f"{start.where} has no shared weights to score candidates with: search again to have them")
        if start.provenance.data is None:
            raise ArtifactError(f"{start.where} does not say what images it is for")
        self._where, self._distribution, self._search, self._weights = start.where, distribution, search, weights
        self._uniform = type(distribution).uniform(distribution.space)
        self.data: DataDescription = start.provenance.data

    def candidates(self, info: DataInfo, seed: int, count: int) -> list[Candidate]:
        return self._sized(CELLS, info, (partial(self.genotype, seed, number) for number in range(1, count + 1)))

    def uniform(self, info: DataInfo, seed: int, count: int, parameters: float) -> tuple[list[Candidate], float | None]:
        if isinstance(own := self._distribution, CategoricalDistribution) and not any(x.any() for x in own.logits):
            return [], None  # These are uniform themselves.
        others = derive_seed(seed, UNIFORM)
        draws = (partial(self._uniform.sample, others, number) for number in range(1, count + 1))
        return self._sized(UNIFORM, info, draws), None

    def _sized(self, population: str, info: DataInfo, draws: Iterable[Callable[[], CellGenotype]]) -> list[Candidate]:
        """Candidates with the sizes of their networks; cells that are the same network are twins."""
        settings, found = self._network(info), []
        sizes: dict[Hashable, Size] = {}
        for number, draw in enumerate(draws, 1):
            genotype = draw()
            network = genotype.network()
            if network not in sizes:
                sizes[network] = genotype.graph(settings).size
            found.append(Candidate(population, number, sizes[network], network, draw))
        return found

    def _network(self, info: DataInfo) -> NetworkSettings:
        """The size of the search network."""
        own = {name: self._search.settings[name] for name in CELL_NETWORK}
        return NetworkSettings(**shape_of(info).model_dump(), **own)

    def scorer(self, data: DataModule, config: DeriveConfig, runtime: Runtime) -> CellScorer:
        if config.recalibrate:
            raise UsageError("cells always have the statistics of their own batches: leave --recalibrate out")
        settings, space = self._search.settings, self._distribution.space
        wiring: Wiring = Path(space.edges(), settings.get("partial_channels", 1))
        if isinstance(self._distribution, CategoricalDistribution):
            wiring = Shared(searching=settings["network"] == "search")
        children = Children(space, self._network(data.info), wiring)
        return CellScorer(children, self._weights, data, config.batch_size, runtime, self._where)

    def genotype(self, seed: int, number: int) -> CellGenotype:
        return self._distribution.sample(seed, number)
