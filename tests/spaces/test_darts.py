"""The space `darts`: what is chosen, what a mixture stands for, where reductions sit."""

import pytest

from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.darts import reduction_cells
from nascli.spaces.protocol import cell_count


@pytest.mark.parametrize(
    ("layers", "positions"),
    [(1, (0,)), (2, (0, 1)), (3, (1, 2)), (5, (1, 3)), (8, (2, 5)), (14, (4, 9)), (17, (5, 11)), (20, (6, 13))],
)
def test_reductions_sit_at_a_third_and_two_thirds(layers: int, positions: tuple[int, ...]) -> None:
    assert reduction_cells(layers) == positions


def test_a_node_decides_between_all_earlier_states_and_all_operations_but_none_twice() -> None:
    """Liu et al.'s operations and edges; node 2 of PARSEC has 14 options for each of its two draws, node 5 has 35."""
    space = cell_space("darts")
    assert len(space.edges()) == 14
    sizes = [(decision.cell, decision.name, len(decision.options), decision.draws) for decision in space.decisions()]
    assert sizes == [(cell, str(node), 7 * node, 2) for cell in ("normal", "reduce") for node in range(2, 6)]
    assert "none" not in {pick.op for decision in space.decisions() for pick in decision.options}


def test_the_number_of_cells_is_that_of_unordered_draws() -> None:
    """Two of m options with repetition: m (m + 1) / 2, for each node of both cells."""
    expected = 1
    for node in (2, 3, 4, 5):
        options = 7 * node
        expected *= (options * (options + 1) // 2) ** 2
    assert cell_count(cell_space("darts")) == expected


def keep(rows: dict[tuple[int, int], dict[str, float]], nodes: int) -> CellGenotype:
    """The kept cells for equal strengths in both; those not given are 0."""
    space = cell_space("darts", nodes=nodes)
    table = [[rows.get(edge, {}).get(op, 0.0) for op in space.operations] for edge in space.edges()]
    return space.keep({"normal": table, "reduce": table})


def test_a_node_keeps_two_edges_by_their_best_operation_and_none_is_no_operation() -> None:
    rows = {
        (0, 2): {"none": 0.9, "skip_connect": 0.3},
        (1, 2): {"none": 0.1, "sep_conv_3x3": 0.2},
        (0, 3): {"none": 1.0, "max_pool_3x3": 0.1},
        (1, 3): {"dil_conv_5x5": 0.4, "avg_pool_3x3": 0.3},
        (2, 3): {"sep_conv_5x5": 0.5},
    }
    genotype = keep(rows, 2)
    for cell in genotype.cells.values():
        assert [[(pick.op, pick.input) for pick in node] for node in cell.nodes] == [
            [("skip_connect", 0), ("sep_conv_3x3", 1)],
            [("dil_conv_5x5", 1), ("sep_conv_5x5", 2)],
        ]
        assert cell.concat == (2, 3)


def test_of_equals_the_first_wins() -> None:
    genotype = keep({}, 3)
    assert [[(pick.op, pick.input) for pick in node] for node in genotype.cells["normal"].nodes] == [
        [("max_pool_3x3", 0), ("max_pool_3x3", 1)]
    ] * 3
