"""Categoricals conditioned on limits, compared with the list of all draws in float64."""

from itertools import product
from math import exp, log

import numpy as np
import pytest
import torch

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits, limits_of
from nascli.errors import UsageError
from nascli.spaces.costs import cell_costs
from nascli.spaces.names import SKIP
from nascli.spaces.protocol import CellSpace
from tests.artifacts.distributions.test_best_within import NETWORK, SPACES, FewOps

BOTH = CellLimits(max_skips=1, max_params=8_000, max_macs=64_000, network=NETWORK)
LIMITS = {"parameters": CellLimits(max_params=5_000, network=NETWORK), "all": BOTH, "skips": CellLimits(max_skips=0)}
CASES = [
    (space, name)
    for space, names in zip(SPACES, (("all", "skips"), ("all", "parameters")), strict=True)
    for name in names
]


class Listed:
    """All draws of a space, which of them are within limits, and the log-probabilities of some logits, by torch."""

    def __init__(self, space: CellSpace, limits: CellLimits) -> None:
        generator = np.random.default_rng(0)
        shapes = [(one.draws, len(one.options)) for one in space.decisions()]
        self.logits = [torch.tensor(2 * generator.normal(size=shape), requires_grad=True) for shape in shapes]
        rows = [row.log_softmax(dim=0) for values in self.logits for row in values]
        self.choices = np.array(list(product(*(range(len(row)) for row in rows))))
        self.logs = sum(row[torch.tensor(self.choices[:, draw])] for draw, row in enumerate(rows))
        cells = [space.genotype(own) for own in self.choices.tolist()]
        costs, most = cell_costs(space, NETWORK), 10**12
        self.within = np.array(
            [
                (size := costs.size(cell)).parameters <= (limits.max_params or most)
                and size.multiply_adds <= (limits.max_macs or most)
                and all(
                    sum(pick.op == SKIP for node in one.nodes for pick in node)
                    <= (most if limits.max_skips is None else limits.max_skips)
                    for one in cell.cells.values()
                )
                for cell in cells
            ]
        )
        self.networks = {cell.network(): cell for cell in cells}
        self.mass = self.logs[torch.tensor(self.within)].logsumexp(dim=0)
        self.distribution = CategoricalDistribution(space, [values.detach().numpy() for values in self.logits], limits)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def listed(request: pytest.FixtureRequest) -> Listed:
    space, limits = request.param
    return Listed(space, LIMITS[limits])


def test_the_mass_the_entropy_and_the_marginals(listed: Listed) -> None:
    now = listed.distribution
    assert now.log_mass == pytest.approx(listed.mass.item(), abs=1e-12)
    logs = (listed.logs - listed.mass).detach().numpy()[listed.within]
    assert now.total_entropy() == pytest.approx(-(np.exp(logs) * logs).sum(), abs=1e-11)
    assert now.undecided().limit == pytest.approx(log(listed.within.sum()))
    column = 0
    for values in now.log_marginals:
        for row in values:
            shares = np.bincount(listed.choices[listed.within, column], np.exp(logs), minlength=len(row))
            assert np.exp(row) == pytest.approx(shares, abs=1e-13)
            column += 1
    some = list(listed.networks.values())[::17]
    beyond = [cell for cell in some if now.log_probability(cell) == -np.inf]
    free = CategoricalDistribution(now.space, now.logits)
    assert all(
        now.log_probability(cell) == pytest.approx(free.log_probability(cell) - now.log_mass)
        for cell in some
        if cell not in beyond
    )
    assert sum(exp(now.log_probability(cell)) for cell in listed.networks.values()) == pytest.approx(1)


def test_the_gradient_is_that_of_the_conditioned_log_probability(listed: Listed) -> None:
    """sum_k w_k (log p(alpha_k) - log P(within)), by torch's differentiation through the list of all draws."""
    generator = np.random.default_rng(1)
    chosen, weights = generator.choice(np.flatnonzero(listed.within), 4), generator.random(4)
    (((listed.logs[chosen] - listed.mass) * torch.tensor(weights)).sum()).backward()
    found = listed.distribution.gradient(listed.choices[chosen], weights)
    for own, values in zip(found, listed.logits, strict=True):
        assert values.grad is not None
        assert own == pytest.approx(values.grad.numpy(), abs=1e-12)
        assert np.abs(own).max() > 1e-3


def test_draws_are_as_probable_as_they_should_be(listed: Listed) -> None:
    now, count = listed.distribution, 1_500
    drawn = now.draw(np.random.default_rng(3).random((count, now.numbers)))
    places = {tuple(own): place for place, own in enumerate(listed.choices.tolist())}
    counts = np.bincount([places[tuple(own)] for own in drawn.tolist()], minlength=len(listed.choices))
    assert not counts[~listed.within].any()
    shares = np.where(listed.within, np.exp((listed.logs - listed.mass).detach().numpy()), 0)
    often = shares * count > 15
    assert (np.abs(counts - count * shares)[often] < 4.5 * np.sqrt(count * shares)[often]).all()
    assert counts[often].sum() == pytest.approx(count * shares[often].sum(), abs=4 * count**0.5)


def test_limits_that_are_hardly_ever_met_lose_no_precision() -> None:
    """Pools weigh 1e-90 each: P(within) underflows in float64, and what is within is as likely as among pools alone."""
    space, least = FewOps(2), cell_costs(FewOps(2), NETWORK)
    logits = [np.where([[p.op == "max_pool_3x3" for p in one.options]] * 2, -200.0, 0.0) for one in space.decisions()]
    pools = space.genotype([one.options.index(p) for one in space.decisions() for p in one.options[:1] * 2])
    limits = CellLimits(max_params=least.size(pools).parameters, max_skips=0, network=NETWORK)
    now = CategoricalDistribution(space, logits, limits)
    assert now.log_mass < -1_000
    assert now.total_entropy() == pytest.approx(now.undecided().limit)
    for number in range(5):
        assert {pick.op for pick in now.sample(0, number).picks()} == {"max_pool_3x3"}


def test_a_file_says_what_limits_it() -> None:
    now = CategoricalDistribution.uniform(FewOps(1), BOTH)
    assert now.settings()["limits"] == BOTH.facts()
    assert limits_of(now.settings()["limits"]) == BOTH
    assert "limits" not in CategoricalDistribution.uniform(FewOps(1)).settings()
    assert (now.mode_within(NO_LIMITS), now.top(1)[0][0]) == (now.mode(), next(iter(now.ranking(NO_LIMITS))).genotype)
    tighter = CellLimits(max_params=5_000, network=NETWORK)
    assert cell_costs(now.space, NETWORK).size(now.mode_within(tighter)).parameters <= 5_000
    for wrong in (
        [], {"max_skips": "2"}, {"max_skips": True}, {"max_skips": -1}, {"max_params": 5}, {"most": 1},
        {"without_none": 1}, {"max_params": 5, "network": {}}, {"max_skips": 1, "network": NETWORK.model_dump()},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^limits: "):
            limits_of(wrong)
    with pytest.raises(UsageError, match="limited for a network of 3 cells and 4 channels, not of 4 and 4"):
        now.mode_within(CellLimits(max_macs=9, network=NETWORK.model_copy(update={"layers": 4})))
