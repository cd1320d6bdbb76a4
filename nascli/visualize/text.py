"""A genotype as text: a tree per cell, side by side where they fit."""

import io

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from nascli.artifacts.cell_genotype import CELL_INPUTS, Cell, CellGenotype
from nascli.visualize.liveness import live_states
from nascli.visualize.style import family, one_line

WIDTH = 100
"""Columns of text files."""

INPUT_NAMES = ("c(k-2)", "c(k-1)")
CELL_TITLES = {"normal": "normal cell", "reduce": "reduction cell"}
SPACE = 4


def genotype_trees(genotype: CellGenotype, width: int) -> RenderableType:
    """Both cells: beside each other if `width` columns are enough, else below each other."""
    trees = [cell_tree(name, cell) for name, cell in genotype.cells()]
    console = Console(width=1000, file=io.StringIO())
    if sum(Measurement.get(console, console.options, tree).maximum for tree in trees) + SPACE > width:
        return Group(trees[0], "", trees[1])
    grid = Table.grid(padding=(0, SPACE))
    grid.add_row(*trees)
    return grid


def cell_tree(name: str, cell: Cell) -> Tree:
    """Nodes with the operations that they sum, and the output."""
    live = live_states(cell)
    longest = max(len(pick.op) for node in cell.nodes for pick in node)
    tree = Tree(Text(CELL_TITLES[name], style="bold"), guide_style="bright_black")
    for state, picks in enumerate(cell.nodes, start=CELL_INPUTS):
        remark = "" if state in cell.concat else " not in the output" if state in live else " unused"
        branch = tree.add(Text.assemble((f"node {state}", "bold" if state in live else "dim"), (remark, "dim")))
        for pick in picks:
            source = INPUT_NAMES[pick.input] if pick.input < CELL_INPUTS else f"node {pick.input}"
            style = family(pick.op).terminal if state in live else "dim"
            branch.add(Text.assemble((f"{pick.op:<{longest}}", style), (" ← ", "bright_black"), source))
    tree.add(Text.assemble(("c(k)", "bold"), " = nodes ", ", ".join(map(str, cell.concat))))
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
