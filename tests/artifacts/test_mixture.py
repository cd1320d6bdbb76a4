"""What a mixture stands for, against brute force and by hand."""

from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascli.artifacts.genotype import Cell
from nascli.artifacts.mixture import MixtureDistribution, edges
from tests.artifacts.examples import OPERATIONS, mixture, provenance


def picks(cell: Cell) -> list[list[tuple[int, str]]]:
    return [[(pick.input, pick.op) for pick in node] for node in cell.nodes]


def make(nodes: int, alpha: np.ndarray, beta: np.ndarray | None, operations: tuple[str, ...]) -> MixtureDistribution:
    return MixtureDistribution(
        space="darts",
        nodes=nodes,
        operations=operations,
        alpha={"normal": alpha, "reduce": alpha},
        beta=None if beta is None else {"normal": beta, "reduce": beta},
        provenance=provenance(),
    )


def test_edges_are_ordered_by_node_then_input() -> None:
    assert edges(3) == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4))
    assert [len(edges(nodes)) for nodes in (3, 4, 5)] == [9, 14, 20]


def test_derivation_by_hand() -> None:
    """Two nodes, three operations; logits are logarithms of the probabilities that they stand for."""
    operations = ("none", "skip_connect", "sep_conv_3x3")
    alpha = np.log(
        [
            [0.8, 0.15, 0.05],  # 0 -> 2: none is strongest and doesn't count: skip_connect, 0.15
            [0.1, 0.3, 0.6],  #   1 -> 2: sep_conv_3x3, 0.6
            [0.1, 0.2, 0.7],  #   0 -> 3: sep_conv_3x3, 0.7
            [0.1, 0.5, 0.4],  #   1 -> 3: skip_connect, 0.5
            [0.4, 0.35, 0.25],  # 2 -> 3: skip_connect, 0.35
        ]
    )
    # Weights into node 3: 0.1, 0.3, 0.6, so the strengths there are 0.07, 0.15, 0.21.
    beta = np.log([0.5, 0.5, 0.1, 0.3, 0.6])
    weighted = make(2, alpha, beta, operations)
    np.testing.assert_allclose(weighted.edge_weights("normal"), [0.5, 0.5, 0.1, 0.3, 0.6], rtol=1e-12)
    np.testing.assert_allclose(weighted.strengths("reduce"), [0.075, 0.3, 0.07, 0.15, 0.21], rtol=1e-12)
    assert picks(weighted.mode().normal) == [
        [(0, "skip_connect"), (1, "sep_conv_3x3")],
        [(1, "skip_connect"), (2, "skip_connect")],
    ]
    # Without beta, 0.7 and 0.5 are the strongest.
    unweighted = make(2, alpha, None, operations).mode()
    assert picks(unweighted.reduce)[1] == [(0, "sep_conv_3x3"), (1, "skip_connect")]
    assert unweighted.normal.concat == (2, 3)


def brute_force(distribution: MixtureDistribution, cell: str) -> list[list[tuple[int, str]]]:
    """For each node, of all pairs of edges with all their operations, the one whose strengths sum to the most."""
    rows = edges(distribution.nodes)
    found = []
    for node in range(2, 2 + distribution.nodes):
        into = [row for row, (_, target) in enumerate(rows) if target == node]
        beta = distribution.beta
        shares = {row: exp(float(beta[cell][row])) if beta else 1.0 for row in into}
        total = sum(shares.values()) if beta else 1.0
        candidates = {}
        for first, second in product(into, into):
            if first >= second:
                continue
            for one, two in product(range(len(OPERATIONS)), repeat=2):
                if "none" in (OPERATIONS[one], OPERATIONS[two]):
                    continue
                strength = sum(
                    shares[row] / total * exp(float(logits[op])) / sum(exp(float(logit)) for logit in logits)
                    for row, op in ((first, one), (second, two))
                    for logits in [distribution.alpha[cell][row]]
                )
                candidates[(rows[first][0], OPERATIONS[one]), (rows[second][0], OPERATIONS[two])] = strength
        found.append(list(max(candidates, key=candidates.__getitem__)))
    return found


@pytest.mark.parametrize(("nodes", "beta", "seed"), [(1, True, 0), (3, True, 1), (3, False, 2), (4, True, 3)])
def test_derivation_against_brute_force(nodes: int, beta: bool, seed: int) -> None:
    distribution = mixture(nodes, beta=beta, seed=seed)
    mode = distribution.mode()
    for name, cell in mode.cells():
        assert picks(cell) == brute_force(distribution, name)
        assert cell.concat == tuple(range(2, 2 + nodes))


def test_ties_go_to_the_earlier_state_and_the_earlier_operation() -> None:
    mode = make(4, np.zeros((14, 8), dtype=np.float32), np.zeros(14, dtype=np.float32), OPERATIONS).mode()
    assert picks(mode.normal) == [[(0, "max_pool_3x3"), (1, "max_pool_3x3")]] * 4


def test_entropy_of_the_undecided_and_the_decided() -> None:
    undecided = make(4, np.zeros((14, 8)), None, OPERATIONS)
    assert undecided.entropy("normal") == pytest.approx(log(8), rel=1e-12)
    decided = np.full((14, 8), -1e4)
    decided[:, 3] = 1e4
    assert make(4, decided, None, OPERATIONS).entropy("reduce") == 0.0
    # Half of the edges undecided between two, the others decided: half of log 2.
    between = decided.copy()
    between[::2, 5] = 1e4
    assert make(4, between, None, OPERATIONS).entropy("normal") == pytest.approx(log(2) / 2, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
@settings(max_examples=20)
def test_softmaxes_sum_to_one_and_ignore_a_shift(seed: int, shift: float) -> None:
    distribution = mixture(seed=seed)
    assert distribution.beta is not None
    shifted = make(4, distribution.alpha["normal"].astype(float) + shift, distribution.beta["normal"] + 1, OPERATIONS)
    np.testing.assert_allclose(distribution.probabilities("normal").sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(distribution.probabilities("normal"), shifted.probabilities("normal"), rtol=1e-9)
    np.testing.assert_allclose(distribution.edge_weights("normal"), shifted.edge_weights("normal"), rtol=1e-6)
    nodes = np.array([node for _, node in edges(4)])
    for node in range(2, 6):
        assert distribution.edge_weights("normal")[nodes == node].sum() == pytest.approx(1, rel=1e-12)


def test_the_tensors_belong_to_the_distribution() -> None:
    alpha = np.zeros((14, 8), dtype=np.float32)
    distribution = make(4, alpha, None, OPERATIONS)
    alpha[0, 3] = 9.0
    assert distribution.alpha["normal"][0, 3] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        distribution.alpha["normal"][0, 3] = 9.0


def test_each_fault_is_named() -> None:
    good = np.zeros((14, 8), dtype=np.float32)
    cells = {"normal": good, "reduce": good}

    def changed(**changes: object) -> str:
        fields: dict[str, object] = {
            "space": "darts",
            "nodes": 4,
            "operations": OPERATIONS,
            "alpha": cells,
            "beta": None,
        }
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the caller looks at the message
            MixtureDistribution(**(fields | {"provenance": provenance()} | changes))  # type: ignore[arg-type]
        return str(caught.value)

    assert changed(space="dart").startswith("unknown space 'dart': did you mean 'darts'?")
    assert changed(nodes=0) == "nodes: 0 is not from 1 to 32"
    assert changed(operations=("none",)) == "operations: there is none but 'none'"
    assert changed(operations=("skip", *OPERATIONS[1:])).startswith("operations[0]: unknown op 'skip'")
    assert changed(operations=(*OPERATIONS[:7], "none")) == "operations[7]: none is there twice"
    assert changed(nodes=5) == "alpha.normal: has shape [14, 8]; [20, 8] is needed"
    assert changed(alpha={"normal": good}) == "alpha: is for ['normal']; ['normal', 'reduce'] are needed"
    assert changed(beta=cells) == "beta.normal: has shape [14, 8]; [14] is needed"
    assert changed(alpha=cells | {"reduce": good * np.nan}) == "alpha.reduce: has values that are not finite"
    assert changed(alpha=cells | {"reduce": good.astype(int)}).startswith("alpha.reduce: is of type int64")
