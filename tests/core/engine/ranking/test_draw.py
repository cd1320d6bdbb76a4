"""Which candidates are ranked, and how large they are."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.load import LoadedArtifact
from nascli.config import DeriveConfig
from nascli.core.engine.ranking.candidates import Candidate
from nascli.core.engine.ranking.channel_candidates import ChannelCandidates, size_of
from nascli.core.engine.ranking.draw import within_budget
from nascli.errors import UsageError
from nascli.graphs.graph import Size
from tests.artifacts.examples import posterior, provenance
from tests.core.engine.ranking.example import CONFIG

POSTERIOR = posterior()


def candidates_of(found: PosteriorDistribution) -> ChannelCandidates:
    start = LoadedArtifact(DistributionFile(found, provenance(method="pgnas")), "", "run.safetensors")
    return ChannelCandidates(start, CONFIG, found.data, DeriveConfig(method="pgnas"))


CHANNELS = candidates_of(POSTERIOR)


def with_probability(drop: float) -> PosteriorDistribution:
    """The same super-network, where every channel is dropped with one probability."""
    logit = np.float32(np.log(drop / (1 - drop)))
    return replace(POSTERIOR, logits={name: np.full_like(row, logit) for name, row in POSTERIOR.logits.items()})


def parameters(candidates: Sequence[Candidate]) -> list[int]:
    return [candidate.size.parameters for candidate in candidates]


def test_a_candidate_is_that_of_its_number() -> None:
    many, few = CHANNELS.own(5, 6), CHANNELS.own(5, 3)
    assert [one.number for one in many] == [1, 2, 3, 4, 5, 6]
    for one, again in zip(many, few, strict=False):
        assert np.array_equal(one.draw(), POSTERIOR.mask(5, one.number))
        assert (one.size, one.twin_of) == (again.size, again.twin_of)
    assert many[0].twin_of != CHANNELS.own(6, 1)[0].twin_of


def test_twins_have_one_mask() -> None:
    sure = candidates_of(with_probability(1e-6)).own(0, 5)
    assert len({one.twin_of for one in sure}) == 1
    assert parameters(sure) == [POSTERIOR.graph.parameters] * 5


def test_sizes_are_those_of_the_network_that_is_left() -> None:
    graph = POSTERIOR.graph
    whole = np.ones(graph.mask_size, bool)
    assert size_of(graph, whole) == Size(graph.parameters, graph.multiply_adds)
    # Dropped inputs of the very last convolution: 12 maps of 16 channels lose 3x3 weights each, and their producers.
    last = list(graph.mask_ranges.values())[-1]
    one_less = whole.copy()
    one_less[last.start] = False
    out = graph.shapes[list(graph.masked)[-1]].channels
    read = graph.shapes[list(graph.masked)[-2]]
    producer = 9 * sum(graph.masked[list(graph.masked)[-2]].sources) + 2
    assert read.channels == sum(graph.masked[list(graph.masked)[-1]].sources), "conv2 reads conv1 alone"
    assert size_of(graph, one_less).parameters == graph.parameters - 9 * out - producer


def test_uniform_dropout_of_the_same_mean_size() -> None:
    seed = 1
    target = mean(parameters(CHANNELS.own(seed, 32)))
    probability = CHANNELS.uniform_probability(seed, 32, target)
    found = mean(parameters(CHANNELS.dropped(seed, 32, probability)))
    assert found == pytest.approx(target, rel=2e-3)
    # Found by halving 14 times: 2**-13 to either side, the mean is on either side of what it should be.
    fewer, more = (mean(parameters(CHANNELS.dropped(seed, 32, probability + step))) for step in (2**-13, -(2**-13)))
    assert fewer <= target <= more
    assert 0.2 < probability < 0.8, "the logits are drawn around 0"


def test_a_uniform_posterior_finds_itself() -> None:
    """Up to the noise of two times 64 draws."""
    even = with_probability(0.3)
    target = mean(parameters(candidates_of(even).own(2, 64)))
    assert candidates_of(even).uniform_probability(2, 64, target) == pytest.approx(0.3, abs=0.02)


def test_uniform_masks_shrink_as_the_probability_grows() -> None:
    small, large = (CHANNELS.dropped(3, 4, drop) for drop in (0.6, 0.3))
    for one, other in zip(small, large, strict=True):
        assert np.all(one.draw() <= other.draw())
        assert not np.array_equal(other.draw(), POSTERIOR.uniforms(3, other.number) >= 0.3), "numbers of its own"


def test_a_budget_keeps_what_is_at_its_limit_and_less() -> None:
    candidates = CHANNELS.own(0, 9)
    sizes = sorted(parameters(candidates))
    middle = sizes[4]
    kept = within_budget(candidates, max_params=middle)
    assert sorted(parameters(kept)) == [size for size in sizes if size <= middle]
    macs = min(candidate.size.multiply_adds for candidate in candidates)
    assert {one.size.multiply_adds for one in within_budget(candidates, max_macs=macs)} == {macs}
    assert within_budget(candidates) == candidates
    least = min(candidate.size.multiply_adds for candidate in candidates)
    with pytest.raises(UsageError, match=f"within --max-macs {least - 1:,}.* and {least:,} multiply-adds"):
        within_budget(candidates, max_macs=least - 1)
    with pytest.raises(
        UsageError, match=f"none of 9 candidates is within --max-params {sizes[0] - 1:,}.*at least {sizes[0]:,}"
    ):
        within_budget(candidates, max_params=sizes[0] - 1)
