"""How a node of a cell is built from earlier states: as its genotype says, with shared weights, or as a mixture.

A space lays out a cell and calls its wiring for every node. So each space says once what its operations and its network
are, and each wiring says once how a search network differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nascli.graphs.builder import Builder
from nascli.graphs.operations import (
    Draw,
    DropPath,
    MaxPool,
    MixEdges,
    MixOperations,
    Restore,
    Shuffle,
    Sum,
    Zeros,
)
from nascli.spaces.cell_genotype import Pick
from nascli.spaces.names import NONE


@dataclass(frozen=True)
class CellPlace:
    """A cell that is being built.

    name: the beginning of its nodes' names. position: its place in the network, from 0. type: one of the space's
    `cells`. operation: adds an operation that reads a node: (name, op, node, source state) -> the node that it puts
    out. stride: the stride of the edges that leave a state.
    """

    name: str
    position: int
    type: str
    operation: Callable[[str, str, str, int], str]
    stride: Callable[[int], int]
    weightless: frozenset[str]
    made: dict[tuple[int, str], str] = field(default_factory=dict)
    """Operations without weights that have been added already, by source state and name."""


class Wiring(Protocol):
    """How nodes are built from earlier states."""

    @property
    def searching(self) -> bool:
        """Whether cells are those of a search network, whose batch norms have no scale and shift."""

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        """Add the parts of a node, given its `picks` and the earlier `states`, and return the last."""


@dataclass(frozen=True)
class Derived:
    """The picks of a genotype, each with weights of its own; drop-path may leave out all but the identities.

    Operations that no path from the cell's inputs reaches are built, but add nothing.
    """

    searching: bool = False

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        summands = []
        for number, pick in enumerate(picks):
            if pick.op == NONE:
                continue
            again = picks[:number].count(pick)
            name = edge_name(cell, node, pick) + (f"_{again + 1}" if again else "")
            end = _apply(cell, name, pick, states)
            if end != states[pick.input]:
                end = build.add(f"{name}.drop", DropPath(), end)
            if not _is_nothing(build, states[pick.input]):
                summands.append(end)
        return _sum(build, cell, node, summands, states)


DERIVED = Derived()


@dataclass(frozen=True)
class Shared:
    """The picks of one child. All children share the weights of an operation on an edge of a cell.

    Equal picks of a node are computed once and summed as often as they occur.
    """

    searching: bool = True

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        ends = {
            pick: _apply(cell, edge_name(cell, node, pick), pick, states)
            for pick in dict.fromkeys(picks)
            if pick.op != NONE and not _is_nothing(build, states[pick.input])
        }
        return _sum(build, cell, node, [ends[pick] for pick in picks if pick in ends], states)


@dataclass(frozen=True)
class Mixture:
    """All operations on all edges, weighted: by operation on each edge, and by edge in each node.

    With K = `partial_channels`, one K-th of a state's channels go through the operations and the others bypass them; a
    node's channels are then shuffled (Xu et al., ICLR 2020, Eq. 1 and 2). K = 1 is Liu et al., ICLR 2019, Eq. 2.
    """

    operations: tuple[str, ...]
    """The operations, in the order of the columns of the weights."""
    edges: tuple[tuple[int, int], ...]
    """The edges, in the order of the rows of the weights."""
    partial_channels: int
    searching: bool = True

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        rows = {edge: row for row, edge in enumerate(self.edges) if edge[1] == node}
        ends = [self._edge(build, cell, source, node, row, states[source]) for (source, _), row in rows.items()]
        name = f"{cell.name}.nodes.{node}"
        total = build.add(f"{name}.sum", MixEdges(cell.type, tuple(rows.values())), *ends)
        return (
            total if self.partial_channels == 1 else build.add(f"{name}.shuffle", Shuffle(self.partial_channels), total)
        )

    def _edge(self, build: Builder, cell: CellPlace, source: int, node: int, row: int, state: str) -> str:
        name = f"{cell.name}.edges.{source}-{node}"
        x = _mixed_channels(build, cell, name, row, state, self.partial_channels)
        columns = tuple(column for column, op in enumerate(self.operations) if op != NONE)
        ends = [
            cell.operation(f"{name}.{self.operations[column]}", self.operations[column], x, source)
            for column in columns
        ]
        mixed = build.add(f"{name}.mix", MixOperations(cell.type, row, columns), *ends)
        return _restored_channels(build, cell, name, row, (source, state), mixed, self.partial_channels)


@dataclass(frozen=True)
class Path:
    """One operation on each edge that a genotype picks, with the weights of a mixture.

    It is the mixture in which these operations and edges weigh 1 and all others 0.
    """

    edges: tuple[tuple[int, int], ...]
    """The edges, in the order of the rows of the mixture's weights."""
    partial_channels: int
    searching: bool = True

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        ends = {pick: self._edge(build, cell, node, pick, states[pick.input]) for pick in dict.fromkeys(picks)}
        total = _sum(build, cell, node, [end for pick in picks if (end := ends[pick])], states)
        if self.partial_channels == 1:
            return total
        return build.add(f"{cell.name}.nodes.{node}.shuffle", Shuffle(self.partial_channels), total)

    def _edge(self, build: Builder, cell: CellPlace, node: int, pick: Pick, state: str) -> str:
        """The node that an edge ends in; "" if all of its channels go through `none`."""
        name, row = edge_name(cell, node, pick), self.edges.index((pick.input, node))
        x = _mixed_channels(build, cell, name, row, state, self.partial_channels)
        if pick.op != NONE:
            end = cell.operation(name, pick.op, x, pick.input)
        elif self.partial_channels == 1:
            return ""
        else:
            end = build.add(name, Zeros(), x)
        return _restored_channels(build, cell, name, row, (pick.input, state), end, self.partial_channels)


def _mixed_channels(build: Builder, cell: CellPlace, name: str, row: int, state: str, partial_channels: int) -> str:
    """The part of a state's channels that goes through the operations of an edge."""
    if partial_channels == 1:
        return state
    mixed = build.channels(state) // partial_channels
    return build.add(f"{name}.draw", Draw(cell.position, row, mixed), state)


def _restored_channels(
    build: Builder, cell: CellPlace, name: str, row: int, start: tuple[int, str], mixed: str, partial_channels: int
) -> str:
    """The channels that have passed through the operations, beside those of the edge's first state that bypass them."""
    source, state = start
    if partial_channels == 1:
        return mixed
    if cell.stride(source) > 1:
        state = build.add(f"{name}.shrink", MaxPool(2, 2, 0, ceil=True), state)
    return build.add(f"{name}.restore", Restore(cell.position, row), state, mixed)


def edge_name(cell: CellPlace, node: int, pick: Pick) -> str:
    """The name of a pick's operation in the graph; the nodes that it consists of begin with it."""
    return f"{cell.name}.edges.{pick.input}-{node}.{pick.op}"


def _apply(cell: CellPlace, name: str, pick: Pick, states: Sequence[str]) -> str:
    """An operation on a state. One without weights is computed once for all nodes that pick it."""
    if pick.op not in cell.weightless:
        return cell.operation(name, pick.op, states[pick.input], pick.input)
    key = pick.input, pick.op
    if key not in cell.made:
        place = f"{cell.name}.states.{pick.input}.{pick.op}"
        cell.made[key] = cell.operation(place, pick.op, states[pick.input], pick.input)
    return cell.made[key]


def _is_nothing(build: Builder, state: str) -> bool:
    return isinstance(build.op(state), Zeros)


def _sum(build: Builder, cell: CellPlace, node: int, summands: Sequence[str], states: Sequence[str]) -> str:
    name = f"{cell.name}.nodes.{node}.sum"
    return build.add(name, Sum(), *summands) if summands else build.add(name, Zeros(), states[0])
