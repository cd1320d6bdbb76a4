"""The genotype of cells: two small graphs of operations, stacked to a network.

States of a cell are numbered as in DARTS: 0 and 1 are the outputs of the two previous cells, 2, 3, … the nodes.
"""

from collections.abc import Hashable, Iterator
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nascli.artifacts.faults import Fault, custom_error
from nascli.artifacts.frozen import Frozen, require_kind
from nascli.errors import unknown
from nascli.registry import SPACES

MOST_NODES = 32
MOST_PICKS = 16
CELL_INPUTS = 2
CELL_NAMES = ("normal", "reduce")

_KNOWN_OPERATIONS = sorted({op for space in SPACES.values() for op in space.operations})


class Pick(Frozen):
    """One operation applied to one earlier state."""

    op: str = Field(json_schema_extra={"enum": [*_KNOWN_OPERATIONS]})
    input: int = Field(ge=0)


Node = Annotated[tuple[Pick, ...], Field(min_length=1, max_length=MOST_PICKS)]


class Cell(Frozen):
    """Nodes, each the sum of its picks, and the states whose channels are concatenated to the cell's output.

    A node that neither another node nor `concat` reads is legal: published cells have some.
    """

    nodes: tuple[Node, ...] = Field(min_length=1, max_length=MOST_NODES)
    concat: tuple[int, ...] = Field(min_length=1, max_length=MOST_NODES)

    @model_validator(mode="after")
    def _inputs_precede_and_concat_fits(self) -> Self:
        faults: list[Fault] = []
        for index, node in enumerate(self.nodes):
            state = CELL_INPUTS + index
            for position, pick in enumerate(node):
                if pick.input >= state:
                    text = f"{pick.input} does not come before node {state} (states 0-{state - 1})"
                    faults.append((("nodes", index, position, "input"), text))
        last = CELL_INPUTS + len(self.nodes) - 1
        for position, state in enumerate(self.concat):
            if not CELL_INPUTS <= state <= last:
                faults.append((("concat", position), f"{state} is not one of the nodes ({CELL_INPUTS}-{last})"))
            elif state in self.concat[:position]:
                faults.append((("concat", position), f"{state} is there twice"))
        if faults:
            raise custom_error(faults)
        return self


class CellGenotype(Frozen):
    """A normal and a reduction cell, stacked to a network by `nascli.core.nn`."""

    model_config = ConfigDict(json_schema_extra=require_kind)

    kind: Literal["cell"] = "cell"
    space: str = "darts"
    normal: Cell
    reduce: Cell

    @model_validator(mode="after")
    def _operations_are_of_the_space(self) -> Self:
        if self.space not in SPACES:
            raise custom_error([(("space",), unknown("space", self.space, SPACES))])
        operations = SPACES[self.space].operations
        faults: list[Fault] = [
            ((name, "nodes", index, position, "op"), unknown("op", pick.op, operations))
            for name, cell in self.cells()
            for index, node in enumerate(cell.nodes)
            for position, pick in enumerate(node)
            if pick.op not in operations
        ]
        if faults:
            raise custom_error(faults)
        return self

    def cells(self) -> tuple[tuple[str, Cell], tuple[str, Cell]]:
        """`(("normal", …), ("reduce", …))`."""
        return ("normal", self.normal), ("reduce", self.reduce)

    def picks(self) -> Iterator[Pick]:
        """Every pick of both cells, in order."""
        return (pick for _, cell in self.cells() for node in cell.nodes for pick in node)

    def network(self) -> Hashable:
        """Equal for genotypes of one network: those that differ in the order of a node's picks, which are summed."""
        return self.space, *(
            (cell.concat, *(tuple(sorted((pick.input, pick.op) for pick in node)) for node in cell.nodes))
            for _, cell in self.cells()
        )

    def share(self, op: str) -> float:
        """The share of the picks, 0 to 1, that are `op`; a cell of `skip_connect` alone is a search gone wrong."""
        ops = [pick.op for pick in self.picks()]
        return ops.count(op) / len(ops)
