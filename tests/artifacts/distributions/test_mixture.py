"""What a mixture stands for, against brute force and by hand."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.artifacts.genotypes.genotype import Cell
from nascli.errors import UsageError
from nascli.spaces import cell_space
from nascli.spaces.protocol import CellSpace
from tests.artifacts.examples import mixture, provenance

DARTS = cell_space("darts")
NAS_BENCH = cell_space("nas-bench-201")


def picks(cell: Cell) -> list[list[tuple[int, str]]]:
    return [[(pick.input, pick.op) for pick in node] for node in cell.nodes]


def make(space: CellSpace, alpha: np.ndarray, beta: np.ndarray | None) -> MixtureDistribution:
    """The same logits for every type of cell."""
    return MixtureDistribution(
        space, dict.fromkeys(space.cells, alpha), None if beta is None else dict.fromkeys(space.cells, beta)
    )


def logits_of(space: CellSpace, rows: Sequence[Mapping[str, float]]) -> np.ndarray:
    """The logits of the given probabilities, per edge by operation; others have probability 0."""
    logits = np.full((len(rows), len(space.operations)), -1e4)
    for row, named in zip(logits, rows, strict=True):
        for op, probability in named.items():
            row[space.operations.index(op)] = log(probability)
    return logits


def test_edges_are_ordered_by_node_then_input() -> None:
    assert cell_space("darts", 3).edges() == (
        (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4)
    )  # fmt: skip
    assert [len(cell_space("darts", nodes).edges()) for nodes in (3, 4, 5)] == [9, 14, 20]
    assert NAS_BENCH.edges() == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def test_derivation_by_hand() -> None:
    """Two nodes; logits are logarithms of the probabilities that they stand for."""
    space = cell_space("darts", 2)
    alpha = logits_of(
        space,
        [
            {"none": 0.8, "skip_connect": 0.15, "sep_conv_3x3": 0.05},  # 0 -> 2: none is strongest and doesn't count
            {"none": 0.1, "skip_connect": 0.3, "sep_conv_3x3": 0.6},
            {"none": 0.1, "skip_connect": 0.2, "sep_conv_3x3": 0.7},  # 0 -> 3
            {"none": 0.1, "skip_connect": 0.5, "sep_conv_3x3": 0.4},
            {"none": 0.4, "skip_connect": 0.35, "sep_conv_3x3": 0.25},
        ],
    )
    # Weights into node 3: 0.1, 0.3, 0.6, so the strengths there are 0.07, 0.15, 0.21.
    beta = np.log([0.5, 0.5, 0.1, 0.3, 0.6])
    weighted = make(space, alpha, beta)
    np.testing.assert_allclose(weighted.edge_weights("normal"), [0.5, 0.5, 0.1, 0.3, 0.6], rtol=1e-12)
    strongest = weighted.strongest("reduce")
    assert [(edge.input, edge.node) for edge in strongest] == list(space.edges())
    assert [edge.op for edge in strongest] == ["skip_connect", *["sep_conv_3x3"] * 2, *["skip_connect"] * 2]
    np.testing.assert_allclose([edge.strength for edge in strongest], [0.075, 0.3, 0.07, 0.15, 0.21], rtol=1e-12)
    np.testing.assert_allclose([edge.probability for edge in strongest], [0.15, 0.6, 0.7, 0.5, 0.35], rtol=1e-12)
    np.testing.assert_allclose([edge.weight for edge in strongest], [0.5, 0.5, 0.1, 0.3, 0.6], rtol=1e-12)
    # none, skip_connect and sep_conv_3x3 of the last edge, 2 -> 3, times its 0.6.
    strengths = weighted.strengths("reduce")
    np.testing.assert_allclose(strengths[4], [0.24, 0, 0, 0.21, 0.15, 0, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(strengths.sum(axis=1), [0.5, 0.5, 0.1, 0.3, 0.6], rtol=1e-12)
    assert picks(weighted.mode().cells["normal"]) == [
        [(0, "skip_connect"), (1, "sep_conv_3x3")],
        [(1, "skip_connect"), (2, "skip_connect")],
    ]
    # Without beta, 0.7 and 0.5 are the strongest.
    unweighted = make(space, alpha, None).mode()
    assert picks(unweighted.cells["reduce"])[1] == [(0, "sep_conv_3x3"), (1, "skip_connect")]
    assert unweighted.cells["normal"].concat == (2, 3)


def test_derivation_in_nas_bench_201_by_hand() -> None:
    """Every edge is kept, with `none` where that is strongest, whatever the edge weighs in its node."""
    alpha = logits_of(
        NAS_BENCH,
        [
            {"none": 0.1, "skip_connect": 0.2, "nor_conv_3x3": 0.7},  # 0 -> 1
            {"none": 0.6, "nor_conv_1x1": 0.4},  # 0 -> 2
            {"avg_pool_3x3": 0.6, "none": 0.4},
            {"skip_connect": 1.0},  # 0 -> 3
            {"nor_conv_1x1": 0.5, "skip_connect": 0.3, "none": 0.2},
            {"nor_conv_3x3": 0.4, "none": 0.35, "avg_pool_3x3": 0.25},
        ],
    )
    beta = np.log([1.0, 0.9, 0.1, 0.05, 0.05, 0.9])
    for distribution in (make(NAS_BENCH, alpha, None), make(NAS_BENCH, alpha, beta)):
        ops = ["nor_conv_3x3", "none", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"]
        assert [edge.op for edge in distribution.strongest("cell")] == ops
        text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
        assert NAS_BENCH.format(distribution.mode()).strip() == text
    strengths = [edge.strength for edge in distribution.strongest("cell")]
    np.testing.assert_allclose(strengths, [0.7, 0.54, 0.06, 0.05, 0.025, 0.36], rtol=1e-12)


def brute_force(distribution: MixtureDistribution, cell: str) -> list[list[tuple[int, str]]]:
    """For each node, the pair of edges and operations with the largest sum of strengths, out of all pairs."""
    rows, operations = distribution.space.edges(), distribution.space.operations
    found = []
    for node in range(2, 2 + distribution.space.nodes):
        into = [row for row, (_, target) in enumerate(rows) if target == node]
        beta = distribution.beta
        shares = {row: exp(float(beta[cell][row])) if beta else 1.0 for row in into}
        total = sum(shares.values()) if beta else 1.0
        candidates = {}
        for first, second in product(into, into):
            if first >= second:
                continue
            for one, two in product(range(len(operations)), repeat=2):
                if "none" in (operations[one], operations[two]):
                    continue
                strength = sum(
                    shares[row] / total * exp(float(logits[op])) / sum(exp(float(logit)) for logit in logits)
                    for row, op in ((first, one), (second, two))
                    for logits in [distribution.alpha[cell][row]]
                )
                candidates[(rows[first][0], operations[one]), (rows[second][0], operations[two])] = strength
        found.append(list(max(candidates, key=candidates.__getitem__)))
    return found


@pytest.mark.parametrize(("nodes", "beta", "seed"), [(1, True, 0), (3, True, 1), (3, False, 2), (4, True, 3)])
def test_derivation_against_brute_force(nodes: int, beta: bool, seed: int) -> None:
    distribution = mixture(nodes, beta=beta, seed=seed)
    mode = distribution.mode()
    assert mode.cells.keys() == {"normal", "reduce"}
    for name, cell in mode.cells.items():
        assert picks(cell) == brute_force(distribution, name)
        assert cell.concat == tuple(range(2, 2 + nodes))


def test_an_edge_that_beta_decided_against_still_has_a_best_operation() -> None:
    """Its share of the node is 0 in float64, and so are all products with it; its operations still have an order."""
    for space in (cell_space("darts", nodes=1), cell_space("nas-bench-201")):
        edges, best = len(space.edges()), space.operations.index("skip_connect") + 1
        alpha = np.zeros((edges, len(space.operations)))
        alpha[:, best] = 1
        beta = np.where(np.arange(edges) == edges - 1, 0.0, -5000.0)
        distribution = MixtureDistribution(space, dict.fromkeys(space.cells, alpha), dict.fromkeys(space.cells, beta))
        ops = {pick.op for pick in distribution.mode().picks()}
        assert ops == {edge.op for edge in distribution.strongest(space.cells[0])} == {space.operations[best]}


def test_ties_go_to_the_earlier_state_and_the_earlier_operation() -> None:
    mode = make(DARTS, np.zeros((14, 8), dtype=np.float32), np.zeros(14, dtype=np.float32)).mode()
    assert picks(mode.cells["normal"]) == [[(0, "max_pool_3x3"), (1, "max_pool_3x3")]] * 4
    strongest = make(DARTS, np.zeros((14, 8), dtype=np.float32), None).strongest("normal")
    assert {edge.op for edge in strongest} == {"max_pool_3x3"}, "what is told is what is derived"
    # Where an edge may be nothing, `none` is the first.
    nothing = make(NAS_BENCH, np.zeros((6, 5), dtype=np.float32), None).mode()
    assert {pick.op for pick in nothing.picks()} == {"none"}


def test_entropy_of_the_undecided_and_the_decided() -> None:
    undecided = make(DARTS, np.zeros((14, 8)), None)
    assert undecided.entropy("normal") == pytest.approx(log(8), rel=1e-12)
    decided = np.full((14, 8), -1e4)
    decided[:, 3] = 1e4
    assert make(DARTS, decided, None).entropy("reduce") == 0.0
    # Half of the edges undecided between two, the others decided: half of log 2.
    between = decided.copy()
    between[::2, 5] = 1e4
    assert make(DARTS, between, None).entropy("normal") == pytest.approx(log(2) / 2, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
@settings(max_examples=20)
def test_softmaxes_sum_to_one_and_ignore_a_shift(seed: int, shift: float) -> None:
    distribution = mixture(seed=seed)
    assert distribution.beta is not None
    shifted = make(DARTS, distribution.alpha["normal"].astype(float) + shift, distribution.beta["normal"] + 1)
    np.testing.assert_allclose(distribution.probabilities("normal").sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(distribution.probabilities("normal"), shifted.probabilities("normal"), rtol=1e-9)
    np.testing.assert_allclose(distribution.edge_weights("normal"), shifted.edge_weights("normal"), rtol=1e-6)
    nodes = np.array([node for _, node in DARTS.edges()])
    for node in range(2, 6):
        assert distribution.edge_weights("normal")[nodes == node].sum() == pytest.approx(1, rel=1e-12)


def test_the_tensors_belong_to_the_distribution() -> None:
    alpha = np.zeros((14, 8), dtype=np.float32)
    distribution = make(DARTS, alpha, None)
    alpha[0, 3] = 9.0
    assert distribution.alpha["normal"][0, 3] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        distribution.alpha["normal"][0, 3] = 9.0


def test_what_a_continued_search_must_share() -> None:
    assert mixture(5).shared_settings(provenance()) == {"space": "darts", "nodes": 5}
    assert mixture(space="nas-bench-201").shared_settings(provenance()) == {"space": "nas-bench-201", "nodes": 3}


def test_each_fault_is_named() -> None:
    """Faults of the space itself are those of a file: see `test_distribution`."""
    good = np.zeros((14, 8), dtype=np.float32)
    cells = {"normal": good, "reduce": good}

    def changed(**changes: object) -> str:
        fields: dict[str, object] = {"space": DARTS, "alpha": cells, "beta": None}
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the caller looks at the message
            MixtureDistribution(**(fields | changes))  # type: ignore[arg-type]
        return str(caught.value)

    assert changed(space=cell_space("darts", 5)) == "alpha.normal: has shape [14, 8]; [20, 8] is needed"
    assert changed(space=NAS_BENCH) == "alpha: is for ['normal', 'reduce']; ['cell'] are needed"
    assert changed(alpha={"normal": good}) == "alpha: is for ['normal']; ['normal', 'reduce'] are needed"
    assert changed(alpha=dict.fromkeys(cells, good[:, :7])).startswith("alpha.normal: has shape [14, 7]; [14, 8]")
    assert changed(beta=cells) == "beta.normal: has shape [14, 8]; [14] is needed"
    assert changed(beta={}) == "beta: is for []; ['normal', 'reduce'] are needed"
    assert changed(alpha=cells | {"reduce": good * np.nan}) == "alpha.reduce: has values that are not finite"
    assert changed(alpha=cells | {"reduce": good.astype(int)}).startswith("alpha.reduce: is of type int64")
    assert changed(alpha=cells | {"reduce": good.astype(float) + 2e30}).startswith("alpha.reduce: has values beyond 1e")


def test_the_mode_without_none_is_the_best_of_the_others() -> None:
    """Where `none` wins, the best other operation is taken, the first of a tie; other edges stay as they are."""
    rows = [{"none": 0.6, "skip_connect": 0.2, "nor_conv_3x3": 0.2}, *[{"nor_conv_1x1": 0.7, "none": 0.3}] * 5]
    mixture = make(NAS_BENCH, logits_of(NAS_BENCH, rows), None)
    assert [pick.op for pick in mixture.mode().picks()] == ["none", *["nor_conv_1x1"] * 5]
    assert [pick.op for pick in mixture.mode_within(CellLimits(without_none=True)).picks()] == [
        "skip_connect",
        *["nor_conv_1x1"] * 5,
    ]
    with pytest.raises(UsageError, match="cells of darts are derived without none anyway"):
        make(DARTS, np.zeros((14, 8)), None).mode_within(CellLimits(without_none=True))


def test_samples_of_the_benchmark_have_each_operation_as_often_as_it_weighs() -> None:
    """Chi-squared with 4 degrees of freedom on each edge: 23.5 is exceeded once in 10,000."""
    generator = np.random.default_rng(0)
    mixture = make(NAS_BENCH, generator.normal(size=(6, 5)), generator.normal(size=6))
    count = 1000
    drawn = [list(mixture.sample(3, number).picks()) for number in range(count)]
    wanted = mixture.probabilities("cell")
    for edge in range(6):
        found = np.array([sum(picks[edge].op == op for picks in drawn) for op in NAS_BENCH.operations])
        assert ((found - count * wanted[edge]) ** 2 / (count * wanted[edge])).sum() < 23.5
    assert mixture.sample(3, 7) == mixture.sample(3, 7) != mixture.sample(4, 7)


def test_samples_of_darts_keep_two_edges_drawn_without_replacement() -> None:
    """Node 3 has three edges: their pairs by hand, each edge in proportion to its weight without `none`."""
    generator = np.random.default_rng(1)
    mixture = make(cell_space("darts", 2), generator.normal(size=(5, 8)), generator.normal(size=5))
    weights = mixture.strengths("normal")[2:, 1:].sum(axis=1)
    share = weights / weights.sum()
    pairs = {
        (i, j): share[i] * share[j] * (1 / (1 - share[i]) + 1 / (1 - share[j])) for i, j in ((0, 1), (0, 2), (1, 2))
    }
    assert sum(pairs.values()) == pytest.approx(1)
    count, found = 1000, dict.fromkeys(pairs, 0)
    for number in range(count):
        picks = mixture.sample(0, number).cells["normal"].nodes[1]
        assert all(pick.op != "none" for pick in picks)
        found[picks[0].input, picks[1].input] += 1
    assert sum((found[pair] - count * p) ** 2 / (count * p) for pair, p in pairs.items()) < 18.4  # 2 degrees
