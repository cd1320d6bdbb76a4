"""A mixture distribution as text: the strongest operation of every edge, and which of them the cell keeps."""

from rich.console import Group
from rich.table import Table

from nascli.artifacts.mixture import MixtureDistribution
from nascli.visualize.drawn_cell import DrawnCell, drawn
from nascli.visualize.text import WIDTH, genotype_trees, plain


def plain_mixture(distribution: MixtureDistribution, _format: str, title: str | None) -> bytes:
    """Tables of the edges of all cells, and the strongest cells as trees, as UTF-8 text."""
    mode = distribution.mode()
    tables = [_edge_table(distribution, cell) for cell in drawn(mode).values()]
    return plain(Group(*tables, "", genotype_trees(mode, WIDTH)), title)


def _edge_table(distribution: MixtureDistribution, cell: DrawnCell) -> Table:
    """One row per edge; a star marks what the mode keeps."""
    heading = f"{cell.title}, entropy {distribution.entropy(cell.name):.3f} nats per edge"
    table = Table(title=heading, title_justify="left", box=None, padding=(0, 2, 0, 0))
    kept = {(source, node) for source, node, _ in cell.choices}
    for column in ("edge", "kept", "strongest operation", "softmax(α)", "edge weight", "strength"):
        table.add_column(column, justify="left" if column in {"edge", "kept", "strongest operation"} else "right")
    for edge in distribution.strongest(cell.name):
        star = "*" if (edge.input, edge.node) in kept else ""
        numbers = (f"{value:.3f}" for value in (edge.probability, edge.weight, edge.strength))
        table.add_row(f"{edge.input}→{edge.node}", star, edge.op, *numbers)
    return table
