"""A densely connected stage as a table: how much each of its blocks keeps of every source."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from nascli.visualize.canvas import points, text_width, write
from nascli.visualize.style import FAINT, INK, MUTED, PAPER, tint
from nascli.visualize.supernets.block_picture import DASHES, GONE, percent
from nascli.visualize.supernets.dense import DenseStage
from nascli.visualize.supernets.kept import Kept, readable

LABELS = 58.0
WIDEST_CELL = 40.0
COMFORTABLE_CELL = 26.0
CELL = 14.0
NAMES = 18.0
OTHERS_GAP = 7.0
TEXT = 9.5
NUMBER = 8.5
SMALLEST_NUMBER = 5.0
"""Where numbers would be smaller, as in very deep stages, cells have only their shade."""


def table_height(stage: DenseStage) -> float:
    """The height of a stage's table, with its names."""
    others = _other_rows(stage)
    return NAMES + CELL * (len(stage.rows) + others) + (OTHERS_GAP if others else 0) + 4


def least_table_width(stage: DenseStage) -> float:
    """The width at which a stage's table looks good."""
    return LABELS + COMFORTABLE_CELL * len(stage.columns)


def draw_table(
    axes: Axes, x: float, y: float, room: float, stage: DenseStage, kept: Mapping[str, Kept], colours: Mapping[str, str]
) -> None:
    """The table from (x, y) down, `room` pixels wide at most. `colours` has that of each convolution."""
    width = min(WIDEST_CELL, (room - LABELS) / len(stage.columns))
    for row, name in enumerate(stage.rows):
        label = "input" if row == 0 else _short(stage, name)
        write(axes, x + LABELS - 6, y + NAMES + (row + 0.5) * CELL, label, TEXT, ha="right", color=MUTED)
    below = y + NAMES + CELL * len(stage.rows) + OTHERS_GAP
    if _other_rows(stage):
        line = Line2D((x, x + LABELS - 6), (below - OTHERS_GAP / 2,) * 2, color=FAINT, linewidth=points(1))
        axes.add_artist(line)
        write(axes, x + LABELS - 6, below + CELL / 2, "inside", TEXT, ha="right", color=MUTED)
    for number, column in enumerate(stage.columns):
        left = x + LABELS + number * width
        name = _short(stage, column.block)
        *_, digits = name.rsplit(" ", 1)
        label = digits if digits.isdigit() else "out"
        write(axes, left + width / 2, y + NAMES / 2, label, min(TEXT, width / 2), ha="center", color=MUTED)
        conv = kept[column.conv]
        for row, share in zip(column.rows, conv.shares, strict=True):
            upper = y + NAMES + row * CELL
            _draw_cell(axes, left, upper, width, None if conv.dead else share, colours[column.conv])
        for row, other in enumerate(column.others):
            whole = None if kept[other].dead else kept[other].share
            _draw_cell(axes, left, below + row * CELL, width, whole, colours[other])


def _other_rows(stage: DenseStage) -> int:
    """The number of rows below the sources."""
    return max(len(column.others) for column in stage.columns)


def _short(stage: DenseStage, block: str) -> str:
    return readable(block.removeprefix(f"{stage.name}."))


def _draw_cell(axes: Axes, x: float, y: float, width: float, share: float | None, colour: str) -> None:
    """A cell as dark as its share; None: the convolution is gone."""
    corner = x + 0.75, y + 0.75
    size = width - 1.5, CELL - 1.5
    if share is None:
        line = {"edgecolor": GONE, "linestyle": DASHES, "linewidth": points(1)}
        axes.add_artist(Rectangle(corner, *size, facecolor="none", **line))
        return
    faint = share == 0
    look = {"edgecolor": FAINT, "linewidth": points(0.8)} if faint else {"edgecolor": "none"}
    axes.add_artist(Rectangle(corner, *size, facecolor=PAPER if faint else tint(colour, 0.08 + 0.52 * share), **look))
    number = min(NUMBER, (width - 3) / text_width("100", 1))
    if number >= SMALLEST_NUMBER:
        middle = x + width / 2, y + CELL / 2
        write(axes, *middle, percent(share), number, ha="center", color=MUTED if faint else INK)
