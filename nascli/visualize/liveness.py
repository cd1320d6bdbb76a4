"""Which states of a cell reach its output."""

from nascli.artifacts.cell_genotype import CELL_INPUTS, Cell


def depths(cell: Cell) -> tuple[int, ...]:
    """Longest path from an input to each state, in nodes; the two inputs have depth 0."""
    depth = [0] * CELL_INPUTS
    for picks in cell.nodes:
        depth.append(1 + max(depth[pick.input] for pick in picks))
    return tuple(depth)


def live_states(cell: Cell) -> frozenset[int]:
    """The states that the cell's output depends on, over any number of nodes."""
    live = set(cell.concat)
    for state in reversed(range(CELL_INPUTS, CELL_INPUTS + len(cell.nodes))):
        if state in live:
            live.update(pick.input for pick in cell.nodes[state - CELL_INPUTS])
    return frozenset(live)
