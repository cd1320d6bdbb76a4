"""The best cells within limits of their size, in order, compared with all cells one by one."""

from collections.abc import Iterator
from itertools import combinations, islice, product
from math import log

import numpy as np
import pytest

from nascli.artifacts.distributions.best_within import Ranked
from nascli.artifacts.distributions.budget import UNLIMITED
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.errors import UsageError
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.costs import cell_costs
from nascli.spaces.darts import Darts
from nascli.spaces.names import SKIP
from nascli.spaces.nas_bench_201 import NasBench201
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace, all_genotypes

NETWORK = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=3, image_size=8)


class FewOps(Darts):
    """Four operations: few enough cells of one node to list, with skips that have weights in the reduction cell."""

    operations = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")


class FewEdges(NasBench201):
    """729 cells."""

    operations = ("none", "skip_connect", "nor_conv_3x3")


SPACES: list[CellSpace] = [FewEdges(), FewOps(1)]


def learnt(space: CellSpace, kind: str, seed: int = 0) -> MixtureDistribution | CategoricalDistribution:
    generator = np.random.default_rng(seed)
    if kind == "categorical":
        shapes = [(one.draws, len(one.options)) for one in space.decisions()]
        return CategoricalDistribution(space, [2 * generator.normal(size=shape) for shape in shapes])
    shape = len(space.edges()), len(space.operations)
    beta = {cell: generator.normal(size=shape[0]) for cell in space.cells}
    return MixtureDistribution(space, {cell: 2 * generator.normal(size=shape) for cell in space.cells}, beta)


def listed(found: MixtureDistribution | CategoricalDistribution) -> Iterator[tuple[CellGenotype, float]]:
    """Every network with its value, by hand."""
    if isinstance(found, CategoricalDistribution):
        networks = {genotype.network(): genotype for genotype in all_genotypes(found.space)}
        yield from ((genotype, found.log_probability(genotype)) for genotype in networks.values())
        return
    row = {edge: number for number, edge in enumerate(found.space.edges())}
    column = {op: number for number, op in enumerate(found.space.operations)}
    logs = {cell: np.log(found.strengths(cell)) for cell in found.space.cells}
    ways = [
        [
            way
            for way in combinations(range(len(one.options)), one.draws)
            if len({one.options[option].input for option in way}) == one.draws
        ]
        for one in found.space.decisions()
    ]
    for chosen in product(*ways):
        genotype = found.space.genotype([option for own in chosen for option in own])
        yield (
            genotype,
            sum(
                logs[cell][row[pick.input, node], column[pick.op]]
                for cell, one in genotype.cells.items()
                for node, picks in enumerate(one.nodes, found.space.inputs)
                for pick in picks
            ),
        )


@pytest.mark.parametrize("kind", ["mixture", "categorical"])
@pytest.mark.parametrize("space", SPACES, ids=["nas-bench-201", "darts"])
def test_all_within_the_limits_in_their_order(space: CellSpace, kind: str) -> None:
    found, costs = learnt(space, kind), cell_costs(space, NETWORK)
    every = sorted(listed(found), key=lambda pair: -pair[1])
    sizes = [costs.size(genotype) for genotype, _ in every]
    skips = [max(sum(p.op == SKIP for n in cell.nodes for p in n) for cell in g.cells.values()) for g, _ in every]
    tight = sorted(size.parameters for size in sizes)[len(sizes) // 50]
    macs = sorted(size.multiply_adds for size in sizes)[len(sizes) // 20]
    for most_skips, parameters, multiply_adds in [
        (None, tight, None), (None, None, macs), (1, tight, 2 * macs), (0, 4 * tight, macs), (None, UNLIMITED, None)
    ]:  # fmt: skip
        limits = CellLimits(False, most_skips, parameters, multiply_adds, NETWORK)
        fits = [
            size.parameters <= (parameters or UNLIMITED)
            and size.multiply_adds <= (multiply_adds or UNLIMITED)
            and (most_skips is None or own <= most_skips)
            for size, own in zip(sizes, skips, strict=True)
        ]
        wanted = [value for (_, value), one in zip(every, fits, strict=True) if one]
        ranked = list(islice(found.ranking(limits), 300))
        assert [one.value for one in ranked] == pytest.approx(wanted[:300], abs=1e-9)
        within = {genotype.network() for (genotype, _), one in zip(every, fits, strict=True) if one}
        assert len({one.genotype.network() for one in ranked} & within) == len(ranked) == min(300, len(wanted))
        better = sum(not one and value > ranked[-1].value + 1e-9 for (_, value), one in zip(every, fits, strict=True))
        assert found.ranking(limits).better_beyond(ranked) == min(better, 10_000)
        assert [genotype for genotype, _ in found.top(5, limits)] == [one.genotype for one in ranked[:5]]
        assert next(iter(found.mode_ranking(limits))).value <= ranked[0].value + 1e-9
        assert found.mode_within(limits).network() in within


def test_the_mode_within_a_limit_is_the_likeliest_order_of_draws() -> None:
    space = FewOps(1)
    found = learnt(space, "categorical", 1)
    assert isinstance(found, CategoricalDistribution)
    costs = cell_costs(space, NETWORK)
    most = costs.size(found.mode()).parameters - 1
    logs = [row for values in found.log_probabilities for row in values]
    best = max(
        (sum(row[o] for row, o in zip(logs, choices, strict=True)), choices)
        for choices in product(*(range(len(row)) for row in logs))
        if costs.size(space.genotype(choices)).parameters <= most
    )
    limits = CellLimits(max_params=most, network=NETWORK)
    assert found.mode_within(limits) == space.genotype(best[1])
    assert found.mode_within(CellLimits(max_params=most + 1, network=NETWORK)) == found.mode()


def test_the_strongest_of_a_mixture_is_its_mode_and_the_others_follow() -> None:
    for space in (*SPACES, cell_space("darts")):
        found = learnt(space, "mixture", 2)
        assert isinstance(found, MixtureDistribution)
        best = found.top(4)
        assert best[0][0] == found.mode()
        assert len({genotype.network() for genotype, _ in best}) == 4


def test_cells_of_darts_are_found_among_all_of_them_at_once() -> None:
    """There are 4e18 networks of two draws a node. The best of few parameters is known: only one operation is good."""
    space = cell_space("darts")
    logits = [
        np.where([[pick.op == "sep_conv_5x5" for pick in one.options]] * 2, 9.0, 0.0) for one in space.decisions()
    ]
    found, costs = CategoricalDistribution(space, logits), cell_costs(space, NETWORK)
    least = CellLimits(max_params=costs.size(found.mode()).parameters, network=NETWORK)
    assert found.mode_within(least) == found.mode()
    half = CellLimits(max_params=costs.size(found.mode()).parameters // 2, network=NETWORK)
    best = found.mode_within(half)
    assert costs.size(best).parameters <= half.max_params  # type: ignore[operator]
    convolutions = sum(pick.op == "sep_conv_5x5" for pick in best.picks())
    # With one more of them, in place of the cheapest that is none, it would be too large.
    assert 0 < convolutions < 16
    assert found.ranking(half).better_beyond([Ranked(best, found.log_probability(best) - log(2))]) == 10_000


def test_none_within_the_limits_is_one_line_with_the_smallest() -> None:
    space = FewOps(1)
    costs = cell_costs(space, NETWORK)
    for kind in ("mixture", "categorical"):
        found = learnt(space, kind)
        sizes = [costs.size(genotype) for genotype, _ in listed(found)]
        least, macs = min(size.parameters for size in sizes), min(size.multiply_adds for size in sizes)
        told = (
            f"no cell of darts is within --max-params {least - 1:,}: the smallest has {least:,} parameters, and the "
            f"one that computes least has {macs:,} multiply-adds, with 3 cells and 4 channels"
        )
        with pytest.raises(UsageError) as caught:
            found.mode_within(CellLimits(max_params=least - 1, network=NETWORK))
        assert str(caught.value) == told
        assert costs.size(found.mode_within(CellLimits(max_params=least, network=NETWORK))).parameters == least
    with pytest.raises(UsageError, match="a network is not empty: --max-macs cannot be 0"):
        CellLimits(max_macs=0)
