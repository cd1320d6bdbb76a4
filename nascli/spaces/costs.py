"""What each choice adds to the size of a network of cells: the size of every cell of a space, without building each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from nascli.graphs.builder import Builder
from nascli.graphs.graph import Size
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick
from nascli.spaces.names import NONE
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import DERIVED, CellPlace, edge_name

Place = tuple[str, int, Pick]
"""A pick: the type of its cell, the node that reads it, and the pick itself."""


@dataclass(frozen=True)
class CellCosts:
    """The size of the network of any cells that are drawn from a space or derived by its rule.

    It is `base`, and what each of the `picks` adds in all cells of its type together, and what an input of a type of
    cell adds if a pick reads it (`inputs`, by its number): DARTS maps an input by a convolution, if it is read at all.
    All nodes of such cells count, whatever reads them.
    """

    base: Size
    picks: Mapping[Place, Size]
    inputs: Mapping[str, Sequence[Size]]

    def size(self, genotype: CellGenotype) -> Size:
        """The size of a genotype's network, as `genotype.graph(settings).size` has it."""
        places = list(_places(genotype, len(next(iter(self.inputs.values())))))
        read = {(cell, pick.input) for cell, _, pick in places}
        found = [self.base, *(self.picks[place] for place in places)]
        for cell, sizes in self.inputs.items():
            found += [size for state, size in enumerate(sizes) if (cell, state) in read]
        return Size(sum(one.parameters for one in found), sum(one.multiply_adds for one in found))


@lru_cache(maxsize=16)
def cell_costs(space: CellSpace, settings: NetworkSettings) -> CellCosts:
    """What the choices of a space cost in a network, measured in one of all operations and in some of one on each edge.

    Raises UsageError for settings that no network of the space can have.
    """
    total, found = _measured(space, space.everything(), settings)
    # A short network may lack a type of cell: then its picks add nothing.
    every = {(cell, node, pick): Size(0, 0) for cell, node, pick in _places(space.everything(), space.inputs)}
    thin = _one_on_each_edge(space.everything())
    whole, _ = _measured(space, thin, settings)
    inputs: dict[str, list[Size]] = {}
    for cell in space.cells:
        inputs[cell] = []
        for state in range(space.inputs):
            rest, _ = _measured(space, _without_input(thin, cell, state), settings)
            gone = [
                found[place]
                for place in _places(thin, space.inputs)
                if place in found and place[0] == cell and place[2].input == state
            ]
            inputs[cell].append(_less(whole, [rest, *gone]))
    parts = [*found.values(), *(size for sizes in inputs.values() for size in sizes)]
    return CellCosts(_less(total, parts), every | found, inputs)


@dataclass(frozen=True)
class _Noting:
    """Derived cells; `names` notes where in the graph the operation of each pick is."""

    names: dict[str, Place] = field(default_factory=dict)
    searching: bool = False

    def node(self, build: Builder, cell: CellPlace, node: int, picks: Sequence[Pick], states: Sequence[str]) -> str:
        self.names.update({edge_name(cell, node, pick): (cell.type, node, pick) for pick in picks if pick.op != NONE})
        return DERIVED.node(build, cell, node, picks, states)


def _measured(space: CellSpace, genotype: CellGenotype, settings: NetworkSettings) -> tuple[Size, dict[Place, Size]]:
    """The size of a network, and the part that each pick has in it."""
    noting = _Noting()
    graph = space.graph(genotype, settings, noting)
    sums = {place: [0, 0] for place in noting.names.values()}
    for node, size in graph.sizes.items():
        # The nodes of an operation have its name, or begin with it: "cells.0.edges.1-2.sep_conv_3x3.first.norm".
        owner = next((name for name in accumulate(node.split("."), "{}.{}".format) if name in noting.names), None)
        if owner is not None:
            sums[noting.names[owner]][0] += size.parameters
            sums[noting.names[owner]][1] += size.multiply_adds
    return graph.size, {place: Size(*both) for place, both in sums.items()}


def _places(genotype: CellGenotype, inputs: int) -> Iterator[Place]:
    """Every pick but `none`, with its place, in cells that have `inputs` inputs."""
    for name, cell in genotype.cells.items():
        for node, picks in enumerate(cell.nodes, start=inputs):
            yield from ((name, node, pick) for pick in picks if pick.op != NONE)


def _one_on_each_edge(everything: CellGenotype) -> CellGenotype:
    """The last operation of those on every edge."""
    cells = {
        name: Cell.model_construct(
            nodes=tuple(tuple({pick.input: pick for pick in node}.values()) for node in cell.nodes), concat=cell.concat
        )
        for name, cell in everything.cells.items()
    }
    return CellGenotype.model_construct(space=everything.space, cells=cells)


def _without_input(genotype: CellGenotype, cell: str, state: int) -> CellGenotype:
    """The same cells, but no pick of one type of cell reads an input. It need not be valid in a file."""
    nodes = tuple(tuple(pick for pick in node if pick.input != state) for node in genotype.cells[cell].nodes)
    changed = Cell.model_construct(nodes=nodes, concat=genotype.cells[cell].concat)
    return CellGenotype.model_construct(space=genotype.space, cells={**genotype.cells, cell: changed})


def _less(total: Size, parts: Sequence[Size]) -> Size:
    """What is left of a size without its parts."""
    return Size(
        total.parameters - sum(part.parameters for part in parts),
        total.multiply_adds - sum(part.multiply_adds for part in parts),
    )
