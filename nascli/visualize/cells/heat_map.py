"""A heat map of shares between 0 and 1: a column per edge, a group of columns per node, a row per operation."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from nascli.artifacts.distributions.logits import Floats
from nascli.spaces.protocol import CellSpace
from nascli.visualize.canvas import bar, points, text_width, write
from nascli.visualize.style import HIGHLIGHT, INK, MUTED, PAPER, family, readable

LABELS = 108.0  # left of the map
ROW = 25.0
GROUP_GAP = 8.0  # between the edges of two nodes
NODE_NAMES = 20.0
EDGE_NAMES = 24.0
KEY = 34.0
COLUMN_RANGE = (20.0, 60.0)
LEAST_SCALE = 0.25  # the least share of the darkest colour, so that undecided maps look pale
COLOURS = colormaps["Blues"]
NEXT_TO_NOTHING = "#a3afbf"
"""The ink of shares that round to 0, so that the others stand out."""

Choice = tuple[int, int, str]
"""An operation on an edge: input state, node state, operation."""


def least_room(space: CellSpace) -> float:
    """The width in pixels below which the columns of a space's edges would get too narrow."""
    return LABELS + len(space.edges()) * COLUMN_RANGE[0] + (space.nodes - 1) * GROUP_GAP


def scale(*shares: Floats) -> float:
    """The share that gets the darkest colour: the largest of all, but not less than `LEAST_SCALE`."""
    return max(LEAST_SCALE, *(float(array.max()) for array in shares))


@dataclass(frozen=True)
class Columns:
    """Where the columns stand. The map begins at x and is `room` pixels wide, with its labels."""

    x: float
    room: float
    space: CellSpace

    @property
    def nodes(self) -> range:
        """The nodes, by their numbers."""
        return range(self.space.inputs, self.space.inputs + self.space.nodes)

    @property
    def width(self) -> float:
        """The width of one column."""
        room = self.room - LABELS - (len(self.nodes) - 1) * GROUP_GAP
        return min(room / len(self.space.edges()), COLUMN_RANGE[1])

    @property
    def numbers(self) -> float:
        """The size in pixels of a number that fits into a column."""
        return min(9.5, self.width / 2.5)

    def left(self, source: int, node: int) -> float:
        """The x at which the column of an edge begins."""
        before = self.space.edges().index((source, node))
        return self.x + LABELS + before * self.width + self.nodes.index(node) * GROUP_GAP

    def group(self, node: int) -> tuple[float, float]:
        """The x at which the group of a node begins, and its width: one column for each of its inputs."""
        return self.left(0, node), node * self.width


def draw_node_names(axes: Axes, columns: Columns, y: float) -> None:
    """The name of each node over the middle of its group."""
    for node in columns.nodes:
        left, width = columns.group(node)
        write(axes, left + width / 2, y, f"node {node}", 10.5, ha="center", color=MUTED)


def draw_edge_names(axes: Axes, columns: Columns, y: float) -> None:
    """The name of each edge under its column."""
    names = {edge: "{}→{}".format(*edge) for edge in columns.space.edges()}
    size = min(10.5, (columns.width - 2) / max(text_width(name, 1) for name in names.values()))
    for edge, name in names.items():
        write(axes, columns.left(*edge) + columns.width / 2, y, name, size, ha="center")


def draw_shares(
    axes: Axes,
    columns: Columns,
    y: float,
    operations: tuple[str, ...],
    shares: Floats,
    largest: float,
    picked: Collection[Choice],
    row_height: float = ROW,
) -> None:
    """The map itself, from y down. `shares`: [edges, operations].

    `largest` gets the darkest colour; the choices in `picked` are outlined.
    """
    for row, operation in enumerate(operations):
        middle = y + (row + 0.5) * row_height
        bar(axes, columns.x, middle - 5, 5, 10, 2, facecolor=family(operation).colour, edgecolor="none")
        write(axes, columns.x + 12, middle, readable(operation), 11, color=MUTED if operation == "none" else INK)
    outlines = []
    for (source, node), edge_shares in zip(columns.space.edges(), shares, strict=True):
        for row, (operation, share) in enumerate(zip(operations, edge_shares, strict=True)):
            corner = columns.left(source, node), y + row * row_height
            _draw_share(axes, columns, *corner, row_height, float(share), largest)
            if (source, node, operation) in picked:
                outlines.append(corner)
    for left, upper in outlines:
        frame = Rectangle((left + 1, upper + 1), columns.width - 2, row_height - 2, facecolor="none")
        frame.set(edgecolor=HIGHLIGHT, linewidth=points(2.5))
        axes.add_patch(frame)


def draw_key(axes: Axes, x: float, y: float, largest: float, what: str, outlined: str) -> None:
    """One line: the scale of colours, `what` it shows, and what the outline means."""
    steps = 40
    write(axes, x, y, "0", 10, color=MUTED)
    for step in range(steps):
        colour = to_hex(COLOURS((step + 0.5) / steps))
        axes.add_patch(Rectangle((x + 12 + 2.5 * step, y - 5), 2.6, 10, facecolor=colour, edgecolor="none"))
    label = f"{largest:.2f}   {what}"
    write(axes, x + 118, y, label, 10, color=MUTED)
    x = max(x + 330, x + 118 + text_width(label, 10) + 24)
    axes.add_patch(Rectangle((x, y - 6), 16, 12, facecolor="none", edgecolor=HIGHLIGHT, linewidth=points(2.5)))
    write(axes, x + 23, y, outlined, 10, color=MUTED)


def short(share: float) -> str:
    """A share with two decimals, or 1.0, without the leading zero.

    >>> short(0.071), short(0.999)
    ('.07', '1.0')
    """
    text = f"{share:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


def _draw_share(
    axes: Axes, columns: Columns, left: float, upper: float, height: float, share: float, largest: float
) -> None:
    colour = COLOURS(share / largest)
    rectangle = Rectangle((left, upper), columns.width, height, facecolor=to_hex(colour), edgecolor=PAPER)
    rectangle.set_linewidth(points(1))
    axes.add_artist(rectangle)  # add_patch would update the limits of the axes a thousand times
    luminance = float(np.dot(colour[:3], (0.2126, 0.7152, 0.0722)))
    ink = NEXT_TO_NOTHING if share < 0.005 else INK if luminance > 0.45 else PAPER
    write(axes, left + columns.width / 2, upper + height / 2, short(share), columns.numbers, ha="center", color=ink)
