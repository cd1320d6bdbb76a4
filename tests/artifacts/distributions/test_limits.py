"""The best cells within limits, compared with all cells one by one."""

from itertools import combinations, product

import numpy as np
import pytest

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.errors import UsageError
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import NONE, SKIP
from nascli.spaces.protocol import CellSpace
from tests.truth_table import genotypes

NAS_BENCH = cell_space("nas-bench-201")
LIMITS = [CellLimits(none, skips) for none in (False, True) for skips in (None, 0, 1, 2, 5)]


def mixture(space: CellSpace, generator: np.random.Generator, towards_skips: float) -> MixtureDistribution:
    edges = len(space.edges())
    alpha = {cell: generator.normal(size=(edges, len(space.operations))) for cell in space.cells}
    for values in alpha.values():
        values[:, space.operations.index(SKIP)] += towards_skips
    return MixtureDistribution(space, alpha, {cell: generator.normal(size=edges) for cell in space.cells})


def fits(genotype: CellGenotype, limits: CellLimits) -> bool:
    most = 99 if limits.max_skips is None else limits.max_skips
    for cell in genotype.cells.values():
        ops = [pick.op for node in cell.nodes for pick in node]
        if ops.count(SKIP) > most or (limits.without_none and NONE in ops):
            return False
    return True


@pytest.fixture(scope="module")
def everything() -> tuple[CellGenotype, ...]:
    return genotypes()


@pytest.mark.parametrize("limits", LIMITS)
def test_of_all_cells_of_the_benchmark_the_strongest(limits: CellLimits, everything: tuple[CellGenotype, ...]) -> None:
    cells = [cell for cell in everything if fits(cell, limits)]
    row = {edge: number for number, edge in enumerate(NAS_BENCH.edges())}
    column = {op: number for number, op in enumerate(NAS_BENCH.operations)}
    picked = np.array([[column[pick.op] for pick in cell.picks()] for cell in cells])
    sources = [(pick.input, node) for node, picks in enumerate(cells[0].cells["cell"].nodes, 1) for pick in picks]
    assert [row[edge] for edge in sources] == list(range(6))
    for seed in range(3):
        learnt = mixture(NAS_BENCH, np.random.default_rng(seed), towards_skips=2)
        logs = np.log(learnt.strengths("cell"))
        assert learnt.mode_within(limits) == cells[logs[np.arange(6), picked].sum(axis=1).argmax()]


@pytest.mark.parametrize("most", [None, 0, 1, 4])
def test_of_darts_cells_the_strongest_two_edges_of_each_node(most: int | None) -> None:
    """By hand: every pair of edges of both nodes with every operation. One of two steps is not enough: where a skip
    gives way, another edge may be better than another operation on its own.
    """
    space, moved = cell_space("darts", 2), 0
    for seed in range(3):
        learnt = mixture(space, np.random.default_rng(seed), towards_skips=2)
        genotype = learnt.mode_within(CellLimits(max_skips=most))
        for cell in space.cells:
            strengths = dict(zip(space.edges(), np.log(learnt.strengths(cell)), strict=True))
            some = [(column, op) for column, op in enumerate(space.operations) if op != NONE]
            pairs = [
                [
                    (strengths[one, node][a] + strengths[other, node][b], {(one, p), (other, q)}, [p, q].count(SKIP))
                    for one, other in combinations(range(node), 2)
                    for (a, p), (b, q) in product(some, some)
                ]
                for node in (2, 3)
            ]
            allowed = [both for both in product(*pairs) if most is None or both[0][2] + both[1][2] <= most]
            best = max(allowed, key=lambda both: both[0][0] + both[1][0])
            found = [{(pick.input, pick.op) for pick in node} for node in genotype.cells[cell].nodes]
            assert found == [picks for _, picks, _ in best]
            moved += found[1] != [{(p.input, p.op) for p in n} for n in learnt.mode().cells[cell].nodes][1]
    assert bool(moved) == (most in {0, 1})


@pytest.mark.parametrize("most", [None, 0, 1, 2])
def test_of_draws_the_most_probable(most: int | None) -> None:
    """PARSEC's two draws of a node are independent, and may agree."""
    space, generator = cell_space("darts", 1), np.random.default_rng(0)
    for _ in range(3):
        logits = [generator.normal(size=(one.draws, len(one.options))) for one in space.decisions()]
        for decision, values in zip(space.decisions(), logits, strict=True):
            values[:, [option.op == SKIP for option in decision.options]] += 2
        learnt = CategoricalDistribution(space, logits)
        genotype = learnt.mode_within(CellLimits(max_skips=most))
        for decision, (one, other) in zip(learnt.decisions, learnt.log_probabilities, strict=True):
            pairs = [
                (first + second, (a, b))
                for (a, first), (b, second) in product(*(zip(decision.options, x, strict=True) for x in (one, other)))
                if most is None or [a.op, b.op].count(SKIP) <= most
            ]
            assert genotype.cells[decision.cell].nodes[0] == max(pairs, key=lambda pair: pair[0])[1]


def test_without_limits_it_is_the_mode() -> None:
    for space in (NAS_BENCH, cell_space("darts")):
        learnt, generator = mixture(space, np.random.default_rng(4), towards_skips=0), np.random.default_rng(5)
        assert learnt.mode_within(CellLimits()) == learnt.mode()
        shapes = [(decision.draws, len(decision.options)) for decision in space.decisions()]
        drawn = CategoricalDistribution(space, [generator.normal(size=shape) for shape in shapes])
        assert drawn.mode_within(CellLimits()) == drawn.mode()
        assert MixtureDistribution.uniform(space).mode_within(CellLimits()) == MixtureDistribution.uniform(space).mode()


def test_of_equal_cells_it_is_the_modes_where_the_limit_allows_it_and_the_first_else() -> None:
    """Skips tie with 3x3 convolutions on all edges: skips come first, so six, or with a limit the first two edges."""
    alpha = np.zeros((6, 5))
    alpha[:, [NAS_BENCH.operations.index(SKIP), NAS_BENCH.operations.index("nor_conv_3x3")]] = 1
    learnt = MixtureDistribution(NAS_BENCH, {"cell": alpha}, None)
    assert learnt.mode_within(CellLimits(max_skips=6)) == learnt.mode_within(CellLimits()) == learnt.mode()
    assert [pick.op for pick in learnt.mode().picks()] == [SKIP] * 6
    few = [pick.op for pick in learnt.mode_within(CellLimits(max_skips=2)).picks()]
    assert few.count(SKIP) <= 2
    assert set(few) <= {SKIP, "nor_conv_3x3"}
    draws = [row[None].copy() for row in alpha]
    assert CategoricalDistribution(NAS_BENCH, draws).mode_within(CellLimits(max_skips=50)) == learnt.mode()


def test_a_limit_below_nothing_is_none() -> None:
    with pytest.raises(UsageError, match="a cell has 0 skip connections or more: --max-skips cannot be -1"):
        CellLimits(max_skips=-1)
    with pytest.raises(UsageError, match="cells of darts are derived without none anyway"):
        MixtureDistribution.uniform(cell_space("darts")).mode_within(CellLimits(without_none=True))
