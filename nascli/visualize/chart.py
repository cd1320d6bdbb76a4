"""What all charts share: axes placed in pixels, in the colours of the page."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nascli.visualize.canvas import PIXELS_PER_INCH, points
from nascli.visualize.style import INK, MUTED, PANEL

GRID = "#e2e8f0"


def add_axes(figure: Figure, left: float, upper: float, width: float, height: float) -> Axes:
    """Axes with their upper left corner at (left, upper); all in pixels."""
    page_width, page_height = figure.get_size_inches() * PIXELS_PER_INCH
    place = left / page_width, 1 - (upper + height) / page_height, width / page_width, height / page_height
    return figure.add_axes(place, facecolor=PANEL)


def mark_level(axes: Axes, name: str, level: float) -> None:
    """A dashed line at a height to compare with, and its name to the right of the axes."""
    axes.axhline(level, color=MUTED, linewidth=points(1.4), linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        name,
        (1, level),
        (points(6), 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center_baseline",
        fontsize=points(10.5),
        color=MUTED,
    )


def dress(axes: Axes, x: str, y: str, least_span: float) -> None:
    """Grid, ticks and names of the axes, once the data is drawn; y spans at least `least_span`.

    If no number is negative, the axis does not reach far below 0.
    """
    lowest = axes.dataLim.ymin
    axes.grid(axis="y", color=GRID, linewidth=points(1))
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#94a3b8")
    axes.tick_params(colors=MUTED, labelsize=points(10.5), length=points(3))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 2.5, 5, 10)))
    axes.set_xlabel(x, fontsize=points(11), color=INK)
    axes.set_ylabel(y, fontsize=points(11), color=INK)
    axes.margins(x=0.02, y=0.08)
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    if high - low < least_span:
        low, high = (low + high - least_span) / 2, (low + high + least_span) / 2
    if low < 0 <= lowest:
        low = -0.04 * high
    axes.set_ylim(low, high)
