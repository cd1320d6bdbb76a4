"""The genotype of cells: small graphs of operations, stacked to a network. Their space says what they may be.

States of a cell are numbered as in DARTS: first its inputs, then its nodes.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nascli.errors import unknown
from nascli.faults import Fault, custom_error
from nascli.frozen import Frozen, require_kind
from nascli.graphs.graph import Graph
from nascli.registry import SPACES
from nascli.spaces import cell_space
from nascli.spaces.names import NONE, SKIP
from nascli.spaces.network_settings import DataShape, NetworkSettings

MOST_NODES = 32
MOST_PICKS = 16


def _known_operations(schema: dict[str, Any]) -> None:
    schema["enum"] = sorted({op for name in SPACES for op in cell_space(name).known_operations})


class Pick(Frozen):
    """One operation applied to one earlier state."""

    op: str = Field(json_schema_extra=_known_operations)
    input: int = Field(ge=0)


Node = Annotated[tuple[Pick, ...], Field(min_length=1, max_length=MOST_PICKS)]


class Cell(Frozen):
    """Nodes, each the sum of its picks, and the states whose channels are concatenated to the cell's output.

    A node that neither another node nor `concat` reads is legal: published cells have some. `none` is no path. A node
    that no path from an input reaches is zeros; a cell whose output consists of such nodes alone is disconnected.
    """

    nodes: tuple[Node, ...] = Field(min_length=1, max_length=MOST_NODES)
    concat: tuple[int, ...] = Field(min_length=1, max_length=MOST_NODES)

    def read_states(self, inputs: int) -> frozenset[int]:
        """The states that the output depends on, in a cell with `inputs` inputs.

        >>> pick = lambda op, state: {"op": op, "input": state}
        >>> nodes = [[pick("skip_connect", 1)], [pick("skip_connect", 1)]]
        >>> sorted(Cell.model_validate({"nodes": nodes, "concat": [3]}).read_states(2))
        [1, 3]
        """
        read = set(self.concat)
        for state, picks in reversed(list(enumerate(self.nodes, start=inputs))):
            if state in read:
                read |= {pick.input for pick in picks if pick.op != NONE}
        return frozenset(read)

    def live_states(self, inputs: int) -> frozenset[int]:
        """The states on a path from an input to the output."""
        reached = set(range(inputs))
        for state, picks in enumerate(self.nodes, start=inputs):
            if any(pick.input in reached for pick in picks if pick.op != NONE):
                reached.add(state)
        return self.read_states(inputs) & reached


class CellGenotype(Frozen):
    """The cells of a space, by their names, stacked to a network as the space says."""

    model_config = ConfigDict(json_schema_extra=require_kind)

    leaves_open: ClassVar[type[DataShape]] = NetworkSettings
    """What else its network depends on."""

    kind: Literal["cell"] = "cell"
    space: str = "darts"
    cells: Mapping[str, Cell]

    @model_validator(mode="after")
    def _fits_the_space(self) -> Self:
        if self.space not in SPACES:
            raise custom_error([(("space",), unknown("space", self.space, SPACES))])
        space = cell_space(self.space)
        faults: list[Fault] = [(("cells", name), "is missing") for name in space.cells if name not in self.cells]
        faults += [
            (("cells", name), unknown("cell", name, space.cells)) for name in self.cells if name not in space.cells
        ]
        for name in () if faults else space.cells:
            faults += [(("cells", name, *place), text) for place, text in _faults(self.cells[name], space.inputs)]
            faults += [(("cells", name, *place), text) for place, text in space.faults(self.cells[name])]
        if faults:
            raise custom_error(faults)
        # The same cells give the same bytes, whatever their order in a file.
        object.__setattr__(self, "cells", {name: self.cells[name] for name in space.cells})
        return self

    def __hash__(self) -> int:
        return hash((self.space, *self.cells.items()))

    def graph(self, settings: DataShape) -> Graph:
        """Its network, as data; the settings give its size. Raises UsageError for settings that it cannot have."""
        assert isinstance(settings, NetworkSettings), "the shape of the data does not size a network of cells"
        return cell_space(self.space).graph(self, settings)

    def facts(self, settings: DataShape) -> dict[str, Any]:
        """What is worth knowing about it and its network, as JSON. Raises UsageError as `graph` does."""
        graph, nodes = self.graph(settings), {name: len(cell.nodes) for name, cell in self.cells.items()}
        alike = set(nodes.values())
        return {
            "kind": self.kind,
            "space": self.space,
            "nodes": alike.pop() if len(alike) == 1 else nodes,
            "parameters": graph.parameters,
            "multiply_adds": graph.multiply_adds,
        }

    def text(self) -> str:
        """Its text in the form of its space. Raises UsageError if the form cannot express it."""
        return cell_space(self.space).format(self)

    def in_words(self, settings: DataShape) -> str:
        """Its network in a few words."""
        assert isinstance(settings, NetworkSettings)
        return f"{settings.layers} cells, {settings.channels} channels"

    def trait(self) -> tuple[str, str]:
        """The trait that tells such genotypes apart at a glance: its name and its value."""
        return "skips", f"{self.share(SKIP):5.0%}"

    def disconnected_cells(self) -> tuple[str, ...]:
        """The names of the cells whose output no path from an input reaches."""
        inputs = cell_space(self.space).inputs
        return tuple(name for name, cell in self.cells.items() if cell.live_states(inputs).isdisjoint(cell.concat))

    def picks(self) -> Iterator[Pick]:
        """Every pick of all cells, in order."""
        return (pick for cell in self.cells.values() for node in cell.nodes for pick in node)

    def network(self) -> Hashable:
        """A key that is equal for genotypes of one network, whatever the order of a node's picks, which are summed."""
        return self.space, *(
            (cell.concat, *(tuple(sorted((pick.input, pick.op) for pick in node)) for node in cell.nodes))
            for cell in self.cells.values()
        )

    def share(self, op: str) -> float:
        """The share of the picks, 0 to 1, that are `op`; a cell of `skip_connect` alone is a search gone wrong."""
        ops = [pick.op for pick in self.picks()]
        return ops.count(op) / len(ops)


def _faults(cell: Cell, inputs: int) -> Iterator[Fault]:
    """The faults of a cell with `inputs` inputs that are faults in every space."""
    for index, node in enumerate(cell.nodes):
        state = inputs + index
        for position, pick in enumerate(node):
            if pick.input >= state:
                text = f"{pick.input} does not come before node {state} (states 0-{state - 1})"
                yield ("nodes", index, position, "input"), text
    last = inputs + len(cell.nodes) - 1
    for position, state in enumerate(cell.concat):
        if not inputs <= state <= last:
            yield ("concat", position), f"{state} is not one of the nodes ({inputs}-{last})"
        elif state in cell.concat[:position]:
            yield ("concat", position), f"{state} is there twice"


def unknown_operations(cell: Cell, known: tuple[str, ...]) -> list[Fault]:
    """A fault for every pick whose operation is none of the `known` ones."""
    return [
        (("nodes", index, position, "op"), unknown("op", pick.op, known))
        for index, node in enumerate(cell.nodes)
        for position, pick in enumerate(node)
        if pick.op not in known
    ]
