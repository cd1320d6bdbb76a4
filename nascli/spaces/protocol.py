"""What a space of cells offers to methods, files, commands and pictures, none of which knows one by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, prod
from typing import ClassVar, Protocol

from nascli.errors import UsageError
from nascli.faults import Fault
from nascli.graphs.graph import Graph
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import DERIVED, Wiring

Edge = tuple[int, int]
"""From a state to a node, both by their numbers."""

Strengths = Mapping[str, Sequence[Sequence[float]]]
"""For each cell type, how strong each of the `operations` is on every edge, in the order of `edges`."""


@dataclass(frozen=True)
class Decision:
    """Independent draws of one of `options`, each of which becomes a pick of the node `node` of the cell type `cell`.

    `name` tells it from the other decisions of its cell. A node is the sum of its picks, so the order of several draws
    does not matter.
    """

    cell: str
    name: str
    node: int
    options: tuple[Pick, ...]
    draws: int = 1

    @property
    def outcomes(self) -> int:
        """How many outcomes there are; draws in another order are the same outcome."""
        return comb(len(self.options) + self.draws - 1, self.draws)


class CellSpace(Protocol):
    """A space of cells. Its attributes say what a cell consists of, its methods what is chosen and what follows."""

    name: ClassVar[str]
    cells: ClassVar[tuple[str, ...]]
    """The types of cells, by their names in files."""
    titles: ClassVar[Mapping[str, str]]
    """What people call each type."""
    remarks: ClassVar[Mapping[str, str]]
    """What a picture should say about each type; may be empty."""
    inputs: ClassVar[int]
    """The number of states that come from outside the cell; the nodes are numbered after them."""
    input_names: ClassVar[tuple[str, ...]]
    """What goes into a cell, in the order of its states: "c(k-1)" is the output of the cell before."""
    operations: ClassVar[tuple[str, ...]]
    """The operations that a mixture mixes on every edge."""
    known_operations: ClassVar[tuple[str, ...]]
    """The operations that a genotype may name."""
    keeps_none: ClassVar[bool]
    """Whether an edge of a derived cell may be `none`."""
    weightless: ClassVar[frozenset[str]]
    """Operations without weights: the same on all edges that leave a state."""
    example: ClassVar[str]
    """What its text form looks like."""

    def __hash__(self) -> int:
        """Spaces are values: equal ones have the same hash."""

    @property
    def nodes(self) -> int:
        """How many nodes a searched cell has."""

    def edges(self) -> tuple[Edge, ...]:
        """The edges that a mixture mixes, in the order of alpha's rows: by node, then by source."""

    def decisions(self) -> tuple[Decision, ...]:
        """What is decided independently when cells are drawn."""

    def genotype(self, choices: Sequence[int]) -> CellGenotype:
        """The cells for one choice per draw of every decision, in order."""

    def everything(self) -> CellGenotype:
        """All operations on all edges at once, for weights that cells share. It is not valid in a file."""

    def keep(self, strengths: Strengths) -> CellGenotype:
        """The cells that a mixture stands for."""

    def faults(self, cell: Cell) -> Sequence[Fault]:
        """The faults of a cell in this space, besides those that are faults in every space."""

    def graph(self, genotype: CellGenotype, settings: NetworkSettings, wiring: Wiring = DERIVED) -> Graph:
        """The network of a genotype. Raises UsageError for settings that it cannot have."""

    def looks_like(self, text: str) -> bool:
        """Whether a text seems to be meant as a genotype in this space's form."""

    def parse(self, text: str, where: str) -> CellGenotype:
        """A genotype from its text form. Raises ArtifactError that names the place of the fault."""

    def format(self, genotype: CellGenotype) -> str:
        """The inverse of `parse`. Raises UsageError if the form cannot express it."""


def edges_between(inputs: int, nodes: int) -> tuple[Edge, ...]:
    """Every edge from an earlier state to a node: by node, then by source.

    >>> edges_between(2, 2)
    ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    """
    return tuple((source, node) for node in range(inputs, inputs + nodes) for source in range(node))


def assembled(space: CellSpace, choices: Sequence[int], concat: tuple[int, ...]) -> CellGenotype:
    """`CellSpace.genotype` for cells whose output is the concatenation of the states `concat`."""
    picks: dict[str, list[list[Pick]]] = {cell: [[] for _ in range(space.nodes)] for cell in space.cells}
    left = iter(choices)
    for decision in space.decisions():
        for _ in range(decision.draws):
            picks[decision.cell][decision.node - space.inputs].append(decision.options[next(left)])
    cells = {cell: Cell(nodes=tuple(map(tuple, nodes)), concat=concat) for cell, nodes in picks.items()}
    return CellGenotype(space=space.name, cells=cells)


def all_at_once(space: CellSpace, concat: tuple[int, ...]) -> CellGenotype:
    """`CellSpace.everything` for cells whose output is the concatenation of the states `concat`."""
    nodes: list[list[Pick]] = [[] for _ in range(space.nodes)]
    for source, node in space.edges():
        nodes[node - space.inputs] += [Pick(op=op, input=source) for op in space.operations]
    cell = Cell.model_construct(nodes=tuple(map(tuple, nodes)), concat=concat)
    return CellGenotype.model_construct(space=space.name, cells=dict.fromkeys(space.cells, cell))


def all_genotypes(space: CellSpace) -> Iterator[CellGenotype]:
    """A genotype for every combination of choices. If every decision is one draw, each network comes once."""
    options = [range(len(decision.options)) for decision in space.decisions() for _ in range(decision.draws)]
    return map(space.genotype, product(*options))


def cell_count(space: CellSpace) -> int:
    """How many different outcomes the decisions of a space have together."""
    return prod(decision.outcomes for decision in space.decisions())


def check_keeps_none(space: CellSpace) -> None:
    """Raise UsageError for a space whose derived cells have no edge that is `none`."""
    if not space.keeps_none:
        raise UsageError(f"cells of {space.name} are derived without none anyway: leave --without-none out")
