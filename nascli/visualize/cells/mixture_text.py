"""A mixture distribution as text: the strongest operation of every edge, and which edges the cell keeps."""

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.visualize.cells.drawn_cell import DrawnCell, drawn
from nascli.visualize.cells.genotype_text import Trees


def describe_mixture(distribution: MixtureDistribution) -> RenderableType:
    """Tables of the edges of all cells, and the strongest cells as trees."""
    mode = distribution.mode()
    tables = [_edge_table(distribution, cell) for cell in drawn(mode).values()]
    heading = () if distribution.beta is not None else ("edges have no weights β", "")
    return Group(*heading, *tables, "", Trees(mode))


def _edge_table(distribution: MixtureDistribution, cell: DrawnCell) -> Table:
    """One row per edge; a star marks what the mode keeps."""
    weighed = distribution.beta is not None
    heading = f"{cell.title}, entropy {distribution.entropy(cell.name):.3f} nats per edge"
    table = Table(title=heading, title_justify="left", box=None, padding=(0, 2, 0, 0))
    kept = {(source, node) for source, node, _ in cell.choices}
    for column in ("edge", "kept", "strongest operation"):
        table.add_column(column)
    for column in ("softmax(α)", "edge weight", "strength") if weighed else ("softmax(α)",):
        table.add_column(column, justify="right")
    for edge in distribution.strongest(cell.name):
        star = "*" if (edge.input, edge.node) in kept else ""
        numbers = (edge.probability, edge.weight, edge.strength) if weighed else (edge.probability,)
        table.add_row(f"{edge.input}→{edge.node}", star, edge.op, *(f"{value:.3f}" for value in numbers))
    return table
