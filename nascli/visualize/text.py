"""A genotype as text: a tree per cell, side by side where they fit."""

import io

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize.drawn_cell import DrawnCell, drawn
from nascli.visualize.style import family, one_line

WIDTH = 100
"""Columns of text files."""

SPACE = 4


def genotype_trees(genotype: CellGenotype, width: int) -> RenderableType:
    """All cells: beside each other if `width` columns are enough, else below each other."""
    trees = [cell_tree(cell) for cell in drawn(genotype).values()]
    console = Console(width=1000, file=io.StringIO())
    if sum(Measurement.get(console, console.options, tree).maximum for tree in trees) + SPACE > width:
        return Group(*(line for tree in trees for line in (tree, "")))
    grid = Table.grid(padding=(0, SPACE))
    grid.add_row(*trees)
    return grid


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


def plain_genotype(genotype: CellGenotype, _format: str, title: str | None) -> bytes:
    """The trees as UTF-8 text without colours."""
    return plain(genotype_trees(genotype, WIDTH), title)


def plain(content: RenderableType, title: str | None) -> bytes:
    """What rich would print, as UTF-8 text of `WIDTH` columns without colours or spaces at line ends."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        if title:
            console.print(Text(one_line(title)), "")
        console.print(content)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()).encode()
