"""Which states of a cell reach its output."""

from nascli.artifacts.cell_genotype import Cell


def depths(cell: Cell) -> tuple[int, ...]:
    """Longest path from an input to each state, in nodes; the two inputs have depth 0."""
    depth = [0, 0]
    for picks in cell.nodes:
        depth.append(1 + max(depth[pick.input] for pick in picks))
    return tuple(depth)


def live_states(cell: Cell) -> frozenset[int]:
    """The states that the cell's output depends on, over any number of nodes."""
    live = set(cell.concat)
    for state in range(len(cell.nodes) + 1, 1, -1):
        if state in live:
            live.update(pick.input for pick in cell.nodes[state - 2])
    return frozenset(live)
