"""A categorical distribution as text: the likeliest choices of every draw, and the mode."""

from rich.console import Group
from rich.table import Table

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.visualize.entropies import of_cell, of_decisions, summary
from nascli.visualize.text import WIDTH, genotype_trees, plain

RANKS = ("likeliest", "second", "third")


def plain_categorical(distribution: CategoricalDistribution, _format: str, title: str | None) -> bytes:
    """Tables of the draws of all cells, and the mode as trees, as UTF-8 text."""
    tables = [_draw_table(distribution, name) for name in distribution.space.cells]
    return plain(Group(summary(distribution), "", *tables, "", genotype_trees(distribution.mode(), WIDTH)), title)


def _draw_table(distribution: CategoricalDistribution, name: str) -> Table:
    """One row per draw, with the likeliest pairs of an operation and its input."""
    heading = f"{distribution.space.titles[name]}, {of_cell(distribution, name)}"
    table = Table(title=heading, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "entropy", "draw"):
        table.add_column(column, justify="right")
    for column in RANKS:
        table.add_column(column)
    entropies = of_decisions(distribution, name).items()
    for (decision, (_, *entropy)), draws in zip(entropies, distribution.likeliest(name, len(RANKS)), strict=True):
        for draw, choices in enumerate(draws, start=1):
            node = (decision, "{:.2f} of {:.2f}".format(*entropy)) if draw == 1 else ("", "")
            likeliest = (f"{choice.probability:.3f} {choice.op} ← {choice.input}" for choice in choices)
            table.add_row(*node, str(draw), *likeliest)
    return table
