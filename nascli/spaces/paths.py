"""What of a cell lies on a path from its inputs to its output. `none` is no path.

A node without any path to it is zeros; a cell whose output is such a node is disconnected.
"""

from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import Cell, CellGenotype
from nascli.spaces.protocol import NONE


def read_states(cell: Cell, inputs: int) -> frozenset[int]:
    """The states that the output of a cell with so many inputs depends on.

    >>> pick = lambda op, state: {"op": op, "input": state}
    >>> nodes = [[pick("skip_connect", 1)], [pick("skip_connect", 1)]]
    >>> sorted(read_states(Cell.model_validate({"nodes": nodes, "concat": [3]}), 2))
    [1, 3]
    """
    read = set(cell.concat)
    for state, picks in reversed(list(enumerate(cell.nodes, start=inputs))):
        if state in read:
            read |= {pick.input for pick in picks if pick.op != NONE}
    return frozenset(read)


def live_states(cell: Cell, inputs: int) -> frozenset[int]:
    """The states on a path from an input to the output."""
    reached = set(range(inputs))
    for state, picks in enumerate(cell.nodes, start=inputs):
        if any(pick.input in reached for pick in picks if pick.op != NONE):
            reached.add(state)
    return read_states(cell, inputs) & reached


def disconnected_cells(genotype: CellGenotype) -> tuple[str, ...]:
    """The names of the cells whose output nothing of their inputs reaches."""
    inputs = cell_space(genotype.space).inputs
    return tuple(name for name, cell in genotype.cells.items() if live_states(cell, inputs).isdisjoint(cell.concat))
