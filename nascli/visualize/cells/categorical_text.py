"""A categorical distribution as text: the likeliest choices of every draw, and the mode."""

from math import exp

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.visualize.cells.entropies import of_cell, of_decisions, summary
from nascli.visualize.cells.genotype_text import Trees

RANKS = ("likeliest", "second", "third")


def describe_categorical(distribution: CategoricalDistribution) -> RenderableType:
    """Tables of the draws of all cells, and the mode as trees."""
    tables = [_draw_table(distribution, name) for name in distribution.space.cells]
    return Group(summary(distribution), _likeliest(distribution), "", *tables, "", Trees(distribution.mode()))


def _likeliest(distribution: CategoricalDistribution) -> str:
    """How probable the mode and the likeliest network are. They may differ: two orders of draws are one network."""
    mode = distribution.mode()
    ((likeliest, log_probability),) = distribution.top(1)
    of_mode = f"log-probability {distribution.log_probability(mode):.4g}"
    most = f"probability {exp(log_probability):.4g}"
    if likeliest.network() == mode.network():
        return f"the mode is the likeliest network: {most}, {of_mode}"
    return f"the mode has {of_mode}; the likeliest network is another, of {most}"


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
