"""A genotype as text: a tree per cell, side by side where they fit."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize.cells.drawn_cell import DrawnCell, drawn
from nascli.visualize.style import family

SPACE = 4
WIDEST = 1000


class Trees:
    """A tree per cell: side by side if there is room, else one below the other."""

    def __init__(self, genotype: CellGenotype) -> None:
        self._trees = [cell_tree(cell) for cell in drawn(genotype).values()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(width=WIDEST)
        if sum(Measurement.get(console, wide, tree).maximum for tree in self._trees) + SPACE > options.max_width:
            for tree in self._trees:
                yield tree
                yield ""
        else:
            grid = Table.grid(padding=(0, SPACE))
            grid.add_row(*self._trees)
            yield grid


def cell_tree(cell: DrawnCell) -> Tree:
    """Nodes with the operations that they sum, and the output."""
    live = cell.live
    longest = max((len(pick.op) for node in cell.nodes.values() for pick in node), default=0)
    tree = Tree(Text(cell.title, style="bold"), guide_style="bright_black")
    for state, picks in cell.nodes.items():
        remark = " unused" if state not in live else " not in the output" if cell.left_out(state) else ""
        branch = tree.add(Text.assemble((f"node {state}", "bold" if state in live else "dim"), (remark, "dim")))
        for pick in picks:
            source = cell.input_names[pick.input] if pick.input < cell.inputs else f"node {pick.input}"
            style = family(pick.op).terminal if {state, pick.input} <= live else "dim"
            branch.add(Text.assemble((f"{pick.op:<{longest}}", style), (" ← ", "bright_black"), source))
    tree.add(
        Text.assemble(
            ("c(k)", "bold"), " = nodes " if len(cell.concat) > 1 else " = node ", ", ".join(map(str, cell.concat))
        )
    )
    return tree
