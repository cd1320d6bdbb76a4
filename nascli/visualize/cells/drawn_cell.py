"""A cell as pictures see it: with what its space says about it, and without edges that are `none`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick
from nascli.spaces.names import NONE
from nascli.spaces.protocol import CellSpace


@dataclass(frozen=True)
class DrawnCell:
    """A cell of a genotype, by the name of its type."""

    name: str
    cell: Cell
    space: CellSpace

    @property
    def title(self) -> str:
        """What people call it."""
        return self.space.titles[self.name]

    @property
    def inputs(self) -> int:
        """States that come from outside."""
        return self.space.inputs

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs: "c(k-1)" is the output of the cell before."""
        return self.space.input_names

    @cached_property
    def nodes(self) -> Mapping[int, tuple[Pick, ...]]:
        """The picks of every node, by its number, without those that are `none`."""
        return {
            state: tuple(pick for pick in node if pick.op != NONE)
            for state, node in enumerate(self.cell.nodes, start=self.inputs)
        }

    @property
    def choices(self) -> frozenset[tuple[int, int, str]]:
        """All picks, including those that are `none`, as (input, node, operation)."""
        nodes = enumerate(self.cell.nodes, start=self.inputs)
        return frozenset((pick.input, state, pick.op) for state, node in nodes for pick in node)

    @property
    def concat(self) -> tuple[int, ...]:
        """The nodes that the output consists of."""
        return self.cell.concat

    def left_out(self, state: int) -> bool:
        """Whether a node is not in the output, if the output concatenates several."""
        return len(self.concat) > 1 and state not in self.concat

    @property
    def states(self) -> range:
        """Inputs and nodes."""
        return range(self.inputs + len(self.cell.nodes))

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """The longest path to each state, in nodes: 0 for inputs, 1 for nodes that read nothing."""
        depth = [0] * self.inputs
        for picks in self.nodes.values():
            depth.append(1 + max((depth[pick.input] for pick in picks), default=0))
        return tuple(depth)

    @cached_property
    def live(self) -> frozenset[int]:
        """The states on a path from an input to the output."""
        return self.cell.live_states(self.inputs)


def drawn(genotype: CellGenotype) -> dict[str, DrawnCell]:
    """The cells of a genotype by their names."""
    space = cell_space(genotype.space)
    return {name: DrawnCell(name, cell, space) for name, cell in genotype.cells.items()}
