"""A mixture distribution as text: the strongest operation of every edge, and which of them the cell keeps."""

from rich.console import Group
from rich.table import Table

from nascli.artifacts.cell_genotype import CELL_INPUTS
from nascli.artifacts.mixture import MixtureDistribution
from nascli.visualize.text import CELL_TITLES, WIDTH, genotype_trees, plain


def plain_mixture(distribution: MixtureDistribution, _format: str, title: str | None) -> bytes:
    """Tables of the edges of both cells, and the strongest cells as trees, as UTF-8 text."""
    tables = [_edge_table(distribution, name) for name in CELL_TITLES]
    return plain(Group(*tables, "", genotype_trees(distribution.mode(), WIDTH)), title)


def _edge_table(distribution: MixtureDistribution, name: str) -> Table:
    """One row per edge; a star marks what the mode keeps."""
    heading = f"{CELL_TITLES[name]}, entropy {distribution.entropy(name):.3f} nats per edge"
    table = Table(title=heading, title_justify="left", box=None, padding=(0, 2, 0, 0))
    cell = dict(distribution.mode().cells())[name]
    kept = {(pick.input, state) for state, node in enumerate(cell.nodes, start=CELL_INPUTS) for pick in node}
    for column in ("edge", "kept", "strongest operation", "softmax(α)", "edge weight", "strength"):
        table.add_column(column, justify="left" if column in {"edge", "kept", "strongest operation"} else "right")
    for edge in distribution.strongest(name):
        star = "*" if (edge.input, edge.node) in kept else ""
        numbers = (f"{value:.3f}" for value in (edge.probability, edge.weight, edge.strength))
        table.add_row(f"{edge.input}→{edge.node}", star, edge.op, *numbers)
    return table
