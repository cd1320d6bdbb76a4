"""The course of one or more runs as curves over the epochs, a chart per quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nascli.visualize.canvas import WIDTH, picture, pixel_axes, points, printable, text_width, write
from nascli.visualize.chart import add_axes, dress
from nascli.visualize.panel import MARGIN, TITLE, draw_title
from nascli.visualize.runs.curves import Chart, Rows, charts, frozen_epochs, named_runs, points_of, shown_in
from nascli.visualize.style import INK, MUTED, SERIES

STYLES: Sequence[Any] = ("-", (0, (4, 2)), (0, (1, 1.4)), (0, (5, 1.5, 1, 1.5)))
CHART_HEIGHT = 262.0
INSETS = (70.0, 34.0, 12.0, 52.0)  # left, above, right, below
RUN_NAMES = 26.0
FEW_EPOCHS = 15
FROZEN_COLOUR = "#e2e8f0"
TITLE_TEXT = 13.0
LEGEND_TEXT = 10.5
LEGEND_HANDLE = 1.6  # in units of the text's size, as in the next line
LEGEND_GAPS = (0.8, 1.2)  # after a handle, between two entries
LEGEND_LINE = 20.0


@dataclass(frozen=True)
class Place:
    """Where a chart's axes stand, in pixels. `over` is the height of the legend above, `columns` its columns."""

    left: float
    upper: float
    width: float
    height: float
    over: float
    columns: int


def draw_runs(runs: Rows | Mapping[str, Rows], form: str, title: str | None) -> bytes:
    """A chart per quantity that any run has; one colour per curve, or per run if there are several. svg, png or pdf."""
    named = named_runs(runs)
    shown = charts(named)
    colours = run_colours(named) if len(named) > 1 else {}
    names = run_names(colours)
    top = MARGIN + (TITLE if title else 0)
    places, bottom = _places(shown, named, top + RUN_NAMES * len(names))

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        draw_run_names(page, top, names)
        for chart, place in zip(shown, places, strict=True):
            axes = add_axes(figure, place.left, place.upper, place.width, place.height)
            _draw_chart(axes, chart, shown_in(chart, named), colours, place)

    return picture(WIDTH, bottom + MARGIN / 2, draw, form)


def run_colours(runs: Mapping[str, Any]) -> dict[str, str]:
    """A colour per run: easy to tell apart for up to eight runs, at least all different for more."""
    if len(runs) <= len(SERIES):
        return dict(zip(runs, SERIES, strict=False))
    return dict(zip(runs, _scale("turbo", len(runs)), strict=True))


def _scale(name: str, count: int) -> list[str]:
    """`count` colours of one of matplotlib's scales, without its ends, which are too dark or too pale."""
    return [to_hex(colormaps[name](0.05 + 0.78 * i / max(1, count - 1))) for i in range(count)]


def run_names(colours: Mapping[str, str]) -> list[list[tuple[float, str, str]]]:
    """Lines of (x, shown name, colour), each line as full as the page is wide."""
    lines: list[list[tuple[float, str, str]]] = []
    x = WIDTH
    for name, colour in colours.items():
        shown = printable(name, 60)
        width = 30 + text_width(shown, 11.5) + 24
        if x + width > WIDTH - MARGIN:
            lines.append([])
            x = MARGIN + 16
        lines[-1].append((x, shown, colour))
        x += width
    return lines


def draw_run_names(page: Axes, top: float, lines: Sequence[Sequence[tuple[float, str, str]]]) -> None:
    """Draw what `run_names` returns, from `top` down, RUN_NAMES pixels for each line."""
    for line, entries in enumerate(lines):
        for x, name, colour in entries:
            y = top + RUN_NAMES * (line + 0.5)
            page.add_line(Line2D((x, x + 22), (y, y), color=colour, linewidth=points(3)))
            write(page, x + 30, y, name, 11.5)


def _places(shown: Sequence[Chart], runs: Mapping[str, Rows], top: float) -> tuple[list[Place], float]:
    """The places of the charts, two in a row, from `top` down; and where the last one ends."""
    left, above, right, below = INSETS
    room = (WIDTH - 2 * MARGIN) / (2 if len(shown) > 1 else 1)
    width, height = room - left - right, CHART_HEIGHT - above - below
    places = []
    for first in range(0, len(shown), 2):
        row = shown[first : first + 2]
        entries = [_entries(chart, bool(frozen_epochs(shown_in(chart, runs)))) for chart in row]
        over = max(_legend_height(chart, names, width) for chart, names in zip(row, entries, strict=True))
        for number, names in enumerate(entries):
            at = MARGIN + number * room + left, top + above + over
            places.append(Place(*at, width, height, over, _columns(names, width)))
        top += CHART_HEIGHT + over
    return places, top


def _entries(chart: Chart, frozen: bool) -> list[float]:
    """The widths in pixels of the legend's entries."""
    labels = [curve.label for curve in chart.curves] + ["warm-up"] * frozen
    return [text_width(label, LEGEND_TEXT) + (LEGEND_HANDLE + sum(LEGEND_GAPS)) * LEGEND_TEXT for label in labels]


def _columns(entries: Sequence[float], width: float) -> int:
    """The most entries of a legend that fit on a line; in several lines, all columns are as wide as the widest."""
    if sum(entries) <= width:
        return len(entries)
    return max(1, int(width / max(entries)))


def _legend_height(chart: Chart, entries: Sequence[float], width: float) -> float:
    """The height that a legend needs between axes and title; 0 if it fits beside the title."""
    if 1.1 * text_width(chart.title, TITLE_TEXT) + 12 + sum(entries) <= width:
        return 0.0
    return LEGEND_LINE * -(-len(entries) // _columns(entries, width))


def _curve_styles(chart: Chart, run_colour: str | None) -> list[dict[str, Any]]:
    """Colour and style of each curve. Curves of one run differ in colour; several runs have a colour each, and the
    curves of each differ in style.

    Where a chart shows many curves of one run in an order, their colours follow it.
    """
    if run_colour:
        return [
            {"color": run_colour, "linestyle": style} for _, style in zip(chart.curves, cycle(STYLES), strict=False)
        ]
    count = sum(not curve.metric.grey for curve in chart.curves)
    colours = iter(_scale("viridis", count) if chart.panel.of_one else SERIES[:count])
    return [{"color": MUTED if curve.metric.grey else next(colours), "linestyle": "-"} for curve in chart.curves]


def _draw_chart(axes: Axes, chart: Chart, runs: Mapping[str, Rows], colours: Mapping[str, str], place: Place) -> None:
    """The curves of the runs, and what stands around them; without `colours` there is only one run."""
    for name, rows in runs.items():
        for curve, look in zip(chart.curves, _curve_styles(chart, colours.get(name)), strict=True):
            series = points_of(rows, curve)
            axes.plot(
                [epoch for epoch, _ in series],
                [value for _, value in series],
                linewidth=points(2.2),
                marker="o" if len(series) <= FEW_EPOCHS else "",
                markersize=points(5),
                **look,
            )
    frozen = frozen_epochs(runs)
    if frozen:
        start = frozen[0] - 0.5 if frozen[0] else 0
        axes.axvspan(start, frozen[-1] + 0.5, facecolor=FROZEN_COLOUR, edgecolor="none", zorder=0)
    dress(axes, "epoch", chart.panel.axis, chart.panel.least_span)
    epochs = sorted({epoch for rows in runs.values() for curve in chart.curves for epoch, _ in points_of(rows, curve)})
    if len(epochs) == 1:
        axes.set_xticks(epochs)
    pad = points(12 + place.over)
    axes.set_title(chart.title, fontsize=points(TITLE_TEXT), weight="bold", loc="left", pad=pad, color=INK)
    _legend(axes, chart, _curve_styles(chart, INK if colours else None), bool(frozen), place.columns)


def _legend(axes: Axes, chart: Chart, looks: Sequence[Mapping[str, Any]], frozen: bool, columns: int) -> None:
    """The names of the curves, above the chart, where no curve is."""
    lines: list[Artist] = [
        Line2D([], [], linewidth=points(2.2), label=curve.label, **look)
        for curve, look in zip(chart.curves, looks, strict=True)
    ]
    if frozen:
        lines.append(Patch(facecolor=FROZEN_COLOUR, label="warm-up"))
    after_handle, between = LEGEND_GAPS
    # A legend fills its columns one after the other, but people read lines.
    axes.legend(
        handles=[line for first in range(columns) for line in lines[first::columns]],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=points(LEGEND_TEXT),
        handlelength=LEGEND_HANDLE,
        handletextpad=after_handle,
        columnspacing=between,
        borderaxespad=0.15,
    )
