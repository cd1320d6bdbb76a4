"""The frame that all pictures of cells share: a title, and panels with a heading each."""

from matplotlib.axes import Axes

from nascli.visualize.canvas import bar, printable, write
from nascli.visualize.style import MUTED, PANEL

MARGIN = 18.0
PADDING = 18.0
HEADING = 44.0
TITLE = 40.0


def draw_title(axes: Axes, title: str | None) -> None:
    """The picture's title, if any, in its uppermost `TITLE` pixels."""
    if title:
        write(axes, MARGIN, MARGIN + 10, printable(title, 75), 17, weight="bold")


def draw_panel(axes: Axes, y: float, height: float, heading: str, remark: str) -> None:
    """A rounded panel over the width of the axes, with a heading at its left and a remark at its right."""
    width = axes.get_xlim()[1]
    bar(axes, MARGIN, y, width - 2 * MARGIN, height, 10, facecolor=PANEL, edgecolor="#e2e8f0", line=1.0)
    write(axes, MARGIN + 16, y + 21, heading, 13.5, weight="bold")
    write(axes, width - MARGIN - 16, y + 21, remark, 11, ha="right", color=MUTED)
