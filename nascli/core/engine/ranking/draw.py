"""Line 7: candidates are drawn from a distribution, and as many uniform ones to compare them with. Needs no torch.

A candidate of a posterior is a mask of the channels that its super-network keeps (PGNAS, Algorithm 1), one of a
distribution over cells is a cell.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from hashlib import blake2b
from math import inf
from statistics import fmean
from typing import Any

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.masks import Mask, channels_of
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.runs.scores import CELLS, POSTERIOR, UNIFORM
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.offers import OffersCells, check_count
from nascli.core.engine.ranking.held_out import search_behind
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.sizing import shape_of
from nascli.errors import UsageError
from nascli.graphs.graph import Graph, Size
from nascli.graphs.slim import slim
from nascli.seeds import derive_seed
from nascli.settings.groups import CellNetwork
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.network_settings import NetworkSettings

_SIZE_SAMPLES = 64
"""Candidates whose mean size stands for that of all in the search for the probability of uniform dropout."""

_HALVINGS = 14
"""How often the interval of that probability is halved: the last is 0.00006 long."""


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


def draw(
    start: LoadedDistribution, info: DataInfo, config: DeriveConfig, count: int, reporter: Reporter
) -> tuple[list[Candidate], float | None]:
    """A distribution's candidates that are within the budget, of which `count` are wanted; then as many uniform ones.

    The second result is the probability of dropping a channel in uniform dropout; None where there is none. Raises
    UsageError where fewer than `count` would be ranked to the end.
    """
    check_count(count)
    own = start.distribution
    kind: ChannelCandidates | CellCandidates
    if isinstance(own, PosteriorDistribution):
        kind = ChannelCandidates(own)
    else:
        assert isinstance(own, OffersCells)
        kind = CellCandidates(own, search_network(search_behind(start), info))
    drawn = kind.own(config.seed, config.candidates)
    chosen = within_budget(drawn, config.max_params, config.max_macs)
    if len(chosen) < len(drawn):
        reporter.notice(
            f"{len(chosen):,} of {len(drawn):,} candidates are within the budget; the others are not ranked"
        )
    finalists = min(len(chosen), config.shortlist or len(chosen))
    if finalists < count:
        raise UsageError(f"{count:,} networks are asked for, and {finalists:,} would be ranked to the end")
    if not config.uniform:
        return chosen, None
    # As many as those that are ranked (with a budget, not all that were drawn) and, on average, as large. The budget
    # does not apply to them: none is chosen, and without the larger ones they would be smaller on average.
    uniform, probability = kind.uniform(config.seed, len(chosen), _mean_parameters(chosen))
    return chosen + uniform, probability


def within_budget(
    candidates: Sequence[Candidate], max_params: int | None = None, max_macs: int | None = None
) -> list[Candidate]:
    """Those whose networks are small enough. Raises UsageError, which names the least sizes, where none is."""
    parameters, macs = max_params or inf, max_macs or inf
    small = [one for one in candidates if one.size.parameters <= parameters and one.size.multiply_adds <= macs]
    if not small:
        least, least_macs = (min(sizes) for sizes in zip(*(astuple(one.size) for one in candidates), strict=True))
        limits = {"--max-params": max_params, "--max-macs": max_macs}
        given = " and ".join(f"{name} {limit:,}" for name, limit in limits.items() if limit is not None)
        raise UsageError(
            f"none of {len(candidates):,} candidates is within {given}: they have at least {least:,} parameters and "
            f"{least_macs:,} multiply-adds. Raise the limit, draw more --candidates, or search with a larger "
            "--weight-prior"
        )
    return small


class ChannelCandidates:
    """Masks over the channels of a posterior's super-network."""

    def __init__(self, posterior: PosteriorDistribution) -> None:
        self._posterior = posterior
        self._candidates = partial(_candidates, twin_of=_digest, size_of=partial(size_of, posterior.graph))

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
            larger = _mean_parameters(self.dropped(seed, min(count, _SIZE_SAMPLES), middle)) > parameters
            low, high = (middle, high) if larger else (low, middle)
        return (low + high) / 2

    def dropped(self, seed: int, count: int, probability: float) -> list[Candidate]:
        """Candidates whose channels are all dropped with the same probability, from random numbers of their own."""
        numbers = partial(self._posterior.uniforms, derive_seed(seed, UNIFORM))
        return self._candidates(UNIFORM, count, lambda number: numbers(number) >= probability)


class CellCandidates:
    """Cells of a distribution, with the sizes that their networks have in the search, whose weights they share."""

    def __init__(self, distribution: OffersCells, network: NetworkSettings) -> None:
        self._distribution = distribution
        self._candidates = partial(
            _candidates, twin_of=CellGenotype.network, size_of=lambda cell: cell.graph(network).size
        )

    def own(self, seed: int, count: int) -> list[Candidate]:
        """Candidates 1 to `count` of the sequence `seed`."""
        return self._candidates(CELLS, count, partial(self._distribution.sample, seed))

    def uniform(self, seed: int, count: int, parameters: float) -> tuple[list[Candidate], None]:
        """As many uniform cells; none where the distribution itself has learnt nothing."""
        own = self._distribution
        if not any(values.any() for values in own.tensors().values()):
            return [], None
        uniform = type(own).uniform(own.space)
        return self._candidates(UNIFORM, count, partial(uniform.sample, derive_seed(seed, UNIFORM))), None


def search_network(search: SearchConfig, info: DataInfo) -> NetworkSettings:
    """The size of the network that a search for cells had."""
    assert isinstance(search.settings, CellNetwork)
    return NetworkSettings(**shape_of(info).model_dump(), **search.settings.size)


def size_of(graph: Graph, mask: Mask) -> Size:
    """The size of the network that a mask leaves of a super-network."""
    return slim(graph, channels_of(graph, mask)).graph.size


def _candidates(
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


def _digest(mask: Mask) -> bytes:
    """What equal masks have in common, in few bytes."""
    return blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()


def _mean_parameters(candidates: Sequence[Candidate]) -> float:
    return fmean(candidate.size.parameters for candidate in candidates)
