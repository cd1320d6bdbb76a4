"""Which candidates are ranked, how large they are, and in what order they end up."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest

from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.scores import Scored, best_first
from nascli.core.engine.ranking import (
    Budget,
    Candidate,
    mean_and_deviation,
    posterior_candidates,
    size_of,
    uniform_candidates,
    uniform_probability,
)
from nascli.errors import UsageError
from nascli.graphs.graph import Size
from tests.artifacts.examples import posterior

POSTERIOR = posterior()


def with_probability(drop: float) -> PosteriorDistribution:
    """The same super-network, where every channel is dropped with one probability."""
    logit = np.float32(np.log(drop / (1 - drop)))
    return replace(POSTERIOR, logits={name: np.full_like(row, logit) for name, row in POSTERIOR.logits.items()})


def parameters(candidates: Sequence[Candidate]) -> list[int]:
    return [candidate.size.parameters for candidate in candidates]


def test_a_candidate_is_that_of_its_number() -> None:
    many, few = posterior_candidates(POSTERIOR, 5, 6), posterior_candidates(POSTERIOR, 5, 3)
    assert [one.number for one in many] == [1, 2, 3, 4, 5, 6]
    for one, again in zip(many, few, strict=False):
        assert np.array_equal(one.draw(), POSTERIOR.mask(5, one.number))
        assert (one.size, one.twin_of) == (again.size, again.twin_of)
    assert many[0].twin_of != posterior_candidates(POSTERIOR, 6, 1)[0].twin_of


def test_twins_have_one_mask() -> None:
    sure = posterior_candidates(with_probability(1e-6), 0, 5)
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_uniform_dropout_of_the_same_mean_size(seed: int) -> None:
    target = mean(parameters(posterior_candidates(POSTERIOR, seed, 64)))
    probability = uniform_probability(POSTERIOR, seed, 64, target)
    found = mean(parameters(uniform_candidates(POSTERIOR, seed, 64, probability)))
    assert found == pytest.approx(target, rel=2e-3)
    # Found by halving 14 times: 2**-13 to either side, the mean is on either side of what it should be.
    fewer, more = (
        mean(parameters(uniform_candidates(POSTERIOR, seed, 64, probability + step))) for step in (2**-13, -(2**-13))
    )
    assert fewer <= target <= more
    assert 0.2 < probability < 0.8, "the logits are drawn around 0"


def test_a_uniform_posterior_finds_itself() -> None:
    """Up to the noise of two times 64 draws."""
    even = with_probability(0.3)
    target = mean(parameters(posterior_candidates(even, 2, 64)))
    assert uniform_probability(even, 2, 64, target) == pytest.approx(0.3, abs=0.02)


def test_uniform_masks_shrink_as_the_probability_grows() -> None:
    small, large = (uniform_candidates(POSTERIOR, 3, 4, drop) for drop in (0.6, 0.3))
    for one, other in zip(small, large, strict=True):
        assert np.all(one.draw() <= other.draw())
        assert not np.array_equal(other.draw(), POSTERIOR.uniforms(3, other.number) >= 0.3), "numbers of its own"


def scored(number: int, accuracy: float, loss: float) -> Scored:
    return Scored("posterior", number, accuracy, loss, 10, 20)


def test_by_accuracy_then_loss_then_number() -> None:
    rows = [scored(1, 0.5, 0.1), scored(2, 0.9, 0.7), scored(3, 0.9, 0.6), scored(4, 0.9, 0.6)]
    assert [row.number for row in best_first(rows)] == [3, 4, 2, 1]


def test_mean_and_deviation() -> None:
    values = [0.5, 0.75, 0.9, 0.1]
    assert mean_and_deviation(values) == pytest.approx((mean(values), stdev(values)))
    assert mean_and_deviation([0.25]) == (0.25, 0.0)


def test_a_budget_keeps_what_is_at_its_limit_and_less() -> None:
    candidates = posterior_candidates(POSTERIOR, 0, 9)
    sizes = sorted(parameters(candidates))
    middle = sizes[4]
    kept = Budget(max_params=middle).within(candidates)
    assert sorted(parameters(kept)) == [size for size in sizes if size <= middle]
    macs = min(candidate.size.multiply_adds for candidate in candidates)
    assert {one.size.multiply_adds for one in Budget(max_macs=macs).within(candidates)} == {macs}
    assert Budget().within(candidates) == candidates
    least = min(candidate.size.multiply_adds for candidate in candidates)
    with pytest.raises(UsageError, match=f"within --max-macs {least - 1:,}.* and {least:,} multiply-adds"):
        Budget(max_macs=least - 1).within(candidates)
    with pytest.raises(
        UsageError, match=f"none of 9 candidates is within --max-params {sizes[0] - 1:,}.*at least {sizes[0]:,}"
    ):
        Budget(max_params=sizes[0] - 1).within(candidates)
