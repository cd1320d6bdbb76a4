"""The frame that pictures share: a title, and panels with a heading each."""

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


def draw_panel(
    axes: Axes, y: float, height: float, heading: str, remark: str, left: float = MARGIN, width: float | None = None
) -> None:
    """A rounded panel, `width` pixels or as wide as the axes, with a heading on the left and a remark on the right."""
    room = axes.get_xlim()[1] - 2 * MARGIN if width is None else width
    bar(axes, left, y, room, height, 10, facecolor=PANEL, edgecolor="#e2e8f0", line=1.0)
    write(axes, left + 16, y + 21, heading, 13.5, weight="bold")
    write(axes, left + room - 16, y + 21, remark, 11, ha="right", color=MUTED)
