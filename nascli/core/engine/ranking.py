"""Which candidates are ranked, how large their networks are, and in what order they end up. Needs no torch.

PGNAS, Algorithm 1, lines 7 to 15, and the row "Random" of its Table 3.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from hashlib import blake2b
from math import fsum, sqrt
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.masks import Mask, channels_of
from nascli.artifacts.scores import POSTERIOR, UNIFORM
from nascli.errors import UsageError
from nascli.graphs.graph import Graph, Size
from nascli.graphs.slim import slim
from nascli.seeds import derive_seed

_SIZED = 64
"""Candidates whose mean size stands for that of all while the probability of uniform dropout is looked for."""

_HALVINGS = 14
"""Of the interval of that probability: the last is 0.00006 long."""


@runtime_checkable
class OffersCandidates(Protocol):
    """A distribution over masks of a super-network, with the weights that go with it."""

    @property
    def graph(self) -> Graph:
        """The super-network."""

    @property
    def data(self) -> DataInfo:
        """The images that it is for."""

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """The super-network's state."""

    def uniforms(self, seed: int, number: int) -> NDArray[np.float64]:
        """Random numbers in [0, 1) for candidate `number` of the sequence `seed`. [mask_size]"""

    def mask(self, seed: int, number: int) -> Mask:
        """Which channels that candidate keeps. [mask_size]"""

    def genotype(self, mask: Mask) -> ChannelsGenotype:
        """The genotype that keeps what a mask keeps."""


@dataclass(frozen=True)
class Candidate:
    """Number `number`, from 1, of a population.

    `draw` draws it anew: a mask of channels, or a cell genotype. `twin_of` is what equal ones have in common.
    """

    population: str
    number: int
    size: Size
    twin_of: Hashable
    draw: Callable[[], Any]


@dataclass(frozen=True)
class Budget:
    """Limits on the size of a network; None: none."""

    max_params: int | None = None
    max_macs: int | None = None

    def allows(self, size: Size) -> bool:
        """Whether a network of that size is small enough."""
        return (self.max_params is None or size.parameters <= self.max_params) and (
            self.max_macs is None or size.multiply_adds <= self.max_macs
        )

    def within(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are small enough. Raises UsageError where none is, with the least sizes."""
        small = [candidate for candidate in candidates if self.allows(candidate.size)]
        if not small:
            parameters, macs = (min(sizes) for sizes in zip(*(astuple(one.size) for one in candidates), strict=True))
            limits = {"--max-params": self.max_params, "--max-macs": self.max_macs}
            given = " and ".join(f"{name} {limit:,}" for name, limit in limits.items() if limit is not None)
            raise UsageError(
                f"none of {len(candidates):,} candidates is within {given}: they have at least {parameters:,} "
                f"parameters and {macs:,} multiply-adds. Raise the limit, draw more --candidates, or search with a "
                "larger --weight-prior"
            )
        return small


def posterior_candidates(posterior: OffersCandidates, seed: int, count: int) -> list[Candidate]:
    """Candidates 1 to `count` of the sequence `seed`, with their sizes."""
    masks = (partial(posterior.mask, seed, number) for number in range(1, count + 1))
    return list(_candidates(POSTERIOR, posterior.graph, masks))


def uniform_candidates(posterior: OffersCandidates, seed: int, count: int, probability: float) -> list[Candidate]:
    """As many whose channels are all dropped with one probability, from random numbers of their own."""
    masks = (partial(_uniform_mask, posterior, seed, number, probability) for number in range(1, count + 1))
    return list(_candidates(UNIFORM, posterior.graph, masks))


def uniform_probability(posterior: OffersCandidates, seed: int, count: int, parameters: float) -> float:
    """The drop probability for which uniform candidates have so many parameters in the mean.

    By bisection: with the same random numbers at every probability, whatever is dropped once stays dropped at a higher
    one, so the mean size falls. Of `count` candidates the first `_SIZED` have a say.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = uniform_candidates(posterior, seed, min(count, _SIZED), middle)
        if fsum(candidate.size.parameters for candidate in found) / len(found) > parameters:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample (0 for a single value)."""
    mean = fsum(values) / len(values)
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def size_of(graph: Graph, mask: Mask) -> Size:
    """Of the network that a mask leaves of a super-network."""
    return slim(graph, channels_of(graph, mask)).graph.size


def _candidates(population: str, graph: Graph, masks: Iterator[Callable[[], Mask]]) -> Iterator[Candidate]:
    sizes: dict[bytes, Size] = {}
    for number, draw in enumerate(masks, 1):
        mask = draw()
        key = blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()
        if key not in sizes:
            sizes[key] = size_of(graph, mask)
        yield Candidate(population, number, sizes[key], key, draw)


def _uniform_mask(posterior: OffersCandidates, seed: int, number: int, probability: float) -> Mask:
    return posterior.uniforms(derive_seed(seed, UNIFORM), number) >= probability
