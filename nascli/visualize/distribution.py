"""A mixture distribution as a picture: per cell a heat map of what each operation on each edge weighs, and the cell
that it stands for below.
"""

from math import log

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nascli.artifacts.cell_genotype import CELL_INPUTS, Cell
from nascli.artifacts.mixture import Floats, MixtureDistribution, edges
from nascli.visualize.canvas import WIDTH, bar, picture, pixel_axes, points, write
from nascli.visualize.cell import CELL_TITLES, LEGEND, ROOM, draw_cell, draw_legend
from nascli.visualize.layout import lay_out_alike
from nascli.visualize.panel import HEADING, MARGIN, PADDING, TITLE, draw_panel, draw_title
from nascli.visualize.style import HIGHLIGHT, INK, MUTED, PAPER, family, readable

LABELS = 108.0  # left of the map
ROW = 25.0
GROUP_GAP = 8.0  # between the edges of two nodes
NODE_NAMES = 20.0
BARS = 44.0
EDGE_NAMES = 24.0
KEY = 34.0
COLUMN_RANGE = (20.0, 60.0)
NUMBERS_FROM = 23.0  # the narrowest column with legible numbers
LEAST_SCALE = 0.25  # of the darkest colour, so that what is undecided looks pale
COLOURS = colormaps["Blues"]


def draw_distribution(distribution: MixtureDistribution, form: str, title: str | None) -> bytes:
    """Heat maps of softmax(alpha) times softmax(beta), the picks outlined, and the strongest cells. svg, png or pdf."""
    mode = distribution.mode()
    columns = len(edges(distribution.nodes))
    gaps = (distribution.nodes - 1) * GROUP_GAP
    narrowest, broadest = COLUMN_RANGE
    layouts = lay_out_alike(mode, max(ROOM, LABELS + columns * narrowest + gaps))
    room = max(layout.width for layout in layouts.values())
    column = min((room - LABELS - gaps) / columns, broadest)
    bars = BARS if distribution.beta is not None else 0.0
    map_height = NODE_NAMES + bars + len(distribution.operations) * ROW + EDGE_NAMES + KEY
    width = room + WIDTH - ROOM
    heights = {name: HEADING + map_height + layout.height + PADDING for name, layout in layouts.items()}
    top = MARGIN + (TITLE if title else 0)
    largest = max(LEAST_SCALE, *(float(_weights(distribution, name).max()) for name in layouts))

    def draw(figure: Figure) -> None:
        axes = pixel_axes(figure)
        draw_title(axes, title)
        y = top
        for name, cell in mode.cells():
            undecided = log(len(distribution.operations))
            remark = f"entropy {distribution.entropy(name):.2f} of {undecided:.2f} nats per edge"
            draw_panel(axes, y, heights[name], CELL_TITLES[name], remark)
            _draw_map(axes, MARGIN + PADDING, y + HEADING, column, distribution, name, cell, largest)
            draw_cell(axes, (width - layouts[name].width) / 2, y + HEADING + map_height, cell, layouts[name])
            y += heights[name] + MARGIN
        draw_legend(axes, y + LEGEND / 2 - 8, (mode.normal, mode.reduce))

    return picture(width, top + sum(heights.values()) + len(heights) * MARGIN + LEGEND, draw, form)


def _weights(distribution: MixtureDistribution, cell: str) -> Floats:
    """Share of every operation on every edge in its node's sum: [edges, operations]."""
    weights: Floats = distribution.edge_weights(cell)[:, None] * distribution.probabilities(cell)
    return weights


def _draw_map(
    axes: Axes,
    x: float,
    y: float,
    column: float,
    distribution: MixtureDistribution,
    name: str,
    cell: Cell,
    largest: float,
) -> None:
    """The heat map of a cell, with a group of columns per node, from the upper left corner (x, y)."""
    weights = _weights(distribution, name)
    edge_weights = distribution.edge_weights(name)
    operations = distribution.operations
    picked = {(pick.input, state, pick.op) for state, node in enumerate(cell.nodes, start=CELL_INPUTS) for pick in node}
    rows_top = y + NODE_NAMES + (BARS if distribution.beta is not None else 0)
    rows_bottom = rows_top + len(operations) * ROW
    for row, operation in enumerate(operations):
        middle = rows_top + (row + 0.5) * ROW
        bar(axes, x, middle - 5, 5, 10, 2, facecolor=family(operation).colour, edgecolor="none")
        write(axes, x + 12, middle, readable(operation), 11, color=MUTED if operation == "none" else INK)
    if distribution.beta is not None:
        write(axes, x + 12, rows_top - BARS / 2 + 4, "edge weight β", 11)
    outlines = []
    for number, (source, node) in enumerate(edges(distribution.nodes)):
        left = x + LABELS + number * column + (node - CELL_INPUTS) * GROUP_GAP
        if source == 0:
            write(axes, left + node * column / 2, y + 6, f"node {node}", 10.5, ha="center", color=MUTED)
        if distribution.beta is not None:
            _draw_edge_weight(axes, left, rows_top - 6, column, float(edge_weights[number]))
        for row, operation in enumerate(operations):
            corner = left, rows_top + row * ROW
            _draw_weight(axes, *corner, column, float(weights[number, row]), largest)
            if (source, node, operation) in picked:
                outlines.append(corner)
        write(axes, left + column / 2, rows_bottom + 12, f"{source}→{node}", min(10.5, column / 2.6), ha="center")
    for left, upper in outlines:
        frame = Rectangle((left + 1, upper + 1), column - 2, ROW - 2, facecolor="none", edgecolor=HIGHLIGHT)
        frame.set_linewidth(points(2.5))
        axes.add_patch(frame)
    _draw_key(axes, x + LABELS, rows_bottom + EDGE_NAMES + 8, largest, distribution.beta is not None)


def _draw_edge_weight(axes: Axes, left: float, bottom: float, column: float, weight: float) -> None:
    height = (BARS - 20) * weight
    axes.add_patch(Rectangle((left + 4, bottom - height), column - 8, height, facecolor="#64748b", edgecolor="none"))
    if column >= NUMBERS_FROM:
        write(axes, left + column / 2, bottom - height - 7, _short(weight), 9, ha="center", color=MUTED)


def _draw_weight(axes: Axes, left: float, upper: float, column: float, weight: float, largest: float) -> None:
    colour = COLOURS(weight / largest)
    axes.add_patch(
        Rectangle((left, upper), column, ROW, facecolor=to_hex(colour), edgecolor=PAPER, linewidth=points(1))
    )
    if column >= NUMBERS_FROM:
        luminance = float(np.dot(colour[:3], (0.2126, 0.7152, 0.0722)))
        ink = INK if luminance > 0.45 else PAPER
        write(axes, left + column / 2, upper + ROW / 2, _short(weight), 9.5, ha="center", color=ink)


def _draw_key(axes: Axes, x: float, y: float, largest: float, has_beta: bool) -> None:
    """One line: the scale of colours, what is shown, and the outline's meaning."""
    steps = 40
    write(axes, x, y, "0", 10, color=MUTED)
    for step in range(steps):
        colour = to_hex(COLOURS((step + 0.5) / steps))
        axes.add_patch(Rectangle((x + 12 + 2.5 * step, y - 5), 2.6, 10, facecolor=colour, edgecolor="none"))
    formula = "softmax(α) · softmax(β)" if has_beta else "softmax(α)"
    write(axes, x + 118, y, f"{largest:.2f}   {formula}", 10, color=MUTED)
    axes.add_patch(Rectangle((x + 330, y - 6), 16, 12, facecolor="none", edgecolor=HIGHLIGHT, linewidth=points(2.5)))
    write(axes, x + 353, y, "in the strongest cell, drawn below", 10, color=MUTED)


def _short(share: float) -> str:
    """A share in two decimals, without the zero in front: .07, 1.0.

    >>> _short(0.071), _short(0.999)
    ('.07', '1.0')
    """
    text = f"{share:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")
