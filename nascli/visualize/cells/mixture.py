"""A mixture distribution as a picture: per cell a heat map of the operations' weights, and the strongest cell below."""

from math import log

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from nascli.artifacts.distributions.logits import Floats
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.visualize.canvas import write
from nascli.visualize.cells.drawn_cell import DrawnCell
from nascli.visualize.cells.heat_map import (
    EDGE_NAMES,
    KEY,
    LABELS,
    NODE_NAMES,
    ROW,
    Columns,
    draw_edge_names,
    draw_key,
    draw_node_names,
    draw_shares,
    least_room,
    scale,
    short,
)
from nascli.visualize.cells.page import Over, draw_cells
from nascli.visualize.style import MUTED

BARS = 44.0


def draw_mixture(distribution: MixtureDistribution, form: str, title: str | None) -> bytes:
    """Heat maps of softmax(alpha) times softmax(beta), picks outlined, and the strongest cells. svg, png or pdf."""
    space = distribution.space
    largest = scale(*map(distribution.strengths, space.cells))
    undecided = log(len(space.operations))
    remarks = {
        name: f"entropy {distribution.entropy(name):.2f} of {undecided:.2f} nats per edge" for name in space.cells
    }

    def draw_map(axes: Axes, x: float, y: float, room: float, cell: DrawnCell) -> None:
        _draw_map(axes, Columns(x, room, space), y, distribution, cell, largest)

    height = NODE_NAMES + _bars_height(distribution) + len(space.operations) * ROW + EDGE_NAMES + KEY
    return draw_cells(
        distribution.mode(),
        form,
        title,
        remarks,
        over=Over(height, draw_map),
        least_room=least_room(space),
    )


def _bars_height(distribution: MixtureDistribution) -> float:
    """The height of the bars of edge weights over the map."""
    return BARS if distribution.beta is not None else 0.0


def _draw_map(
    axes: Axes, columns: Columns, y: float, distribution: MixtureDistribution, cell: DrawnCell, largest: float
) -> None:
    """The heat map of a cell from y down."""
    operations = distribution.space.operations
    picked = cell.choices
    top = y + NODE_NAMES + _bars_height(distribution)
    bottom = top + len(operations) * ROW
    draw_node_names(axes, columns, y + 6)
    if distribution.beta is not None:
        _draw_edge_weights(axes, columns, top, distribution.edge_weights(cell.name))
    draw_shares(axes, columns, top, operations, distribution.strengths(cell.name), largest, picked)
    draw_edge_names(axes, columns, bottom + 12)
    formula = "softmax(α) · softmax(β)" if distribution.beta is not None else "softmax(α)"
    draw_key(axes, columns.x + LABELS, bottom + EDGE_NAMES + 8, largest, formula, "in the strongest cell, drawn below")


def _draw_edge_weights(axes: Axes, columns: Columns, top: float, weights: Floats) -> None:
    """A bar per edge, over the map that begins at `top`."""
    write(axes, columns.x + 12, top - BARS / 2 + 4, "edge weight β", 11)
    for (source, node), weight in zip(columns.space.edges(), weights, strict=True):
        left, height = columns.left(source, node), (BARS - 20) * float(weight)
        place = left + 4, top - 6 - height
        axes.add_patch(Rectangle(place, columns.width - 8, height, facecolor="#64748b", edgecolor="none"))
        number = min(9.0, columns.numbers)
        write(axes, left + columns.width / 2, place[1] - 7, short(weight), number, ha="center", color=MUTED)
