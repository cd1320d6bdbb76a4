"""The course of one run or several as curves: accuracy, loss, entropy, skip share over the epochs."""

from collections.abc import Mapping
from itertools import cycle

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from nascli.visualize.canvas import WIDTH, picture, pixel_axes, points, printable, text_width, write
from nascli.visualize.metrics import Chart, Rows, charts, frozen_epochs, named_runs, points_of
from nascli.visualize.panel import MARGIN, TITLE, draw_title
from nascli.visualize.style import INK, MUTED, PANEL, SERIES

STYLES = ("-", (0, (4, 2)), (0, (1, 1.4)))
CHART_HEIGHT = 262.0
INSETS = (70.0, 34.0, 12.0, 52.0)  # left, above, right, below
RUN_NAMES = 26.0
FEW_EPOCHS = 15
FROZEN_COLOUR = "#e2e8f0"


def draw_runs(runs: Rows | Mapping[str, Rows], form: str, title: str | None) -> bytes:
    """A chart per quantity that any run has; a colour per curve of one run, or per run of several. svg, png or pdf."""
    named = named_runs(runs)
    shown = charts(named)
    several = len(named) > 1
    legend = _run_names(named) if several else []
    top = MARGIN + (TITLE if title else 0)
    below_legend = top + RUN_NAMES * len(legend)
    chart_rows = -(-len(shown) // 2)
    height = below_legend + chart_rows * CHART_HEIGHT + MARGIN / 2

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        for line, entries in enumerate(legend):
            for x, name, colour in entries:
                y = top + RUN_NAMES * (line + 0.5)
                page.add_line(Line2D((x, x + 22), (y, y), color=colour, linewidth=points(3)))
                write(page, x + 30, y, name, 11.5)
        for number, chart in enumerate(shown):
            chart_width = (WIDTH - 2 * MARGIN) / (2 if len(shown) > 1 else 1)
            left = MARGIN + number % 2 * chart_width + INSETS[0]
            upper = below_legend + number // 2 * CHART_HEIGHT + INSETS[1]
            size = chart_width - INSETS[0] - INSETS[2], CHART_HEIGHT - INSETS[1] - INSETS[3]
            axes = figure.add_axes(
                (left / WIDTH, 1 - (upper + size[1]) / height, size[0] / WIDTH, size[1] / height), facecolor=PANEL
            )
            _draw_chart(axes, chart, named)

    return picture(WIDTH, height, draw, form)


def _run_names(runs: Mapping[str, Rows]) -> list[list[tuple[float, str, str]]]:
    """Lines of (x, shown name, colour), each line as full as the page is wide."""
    lines: list[list[tuple[float, str, str]]] = [[]]
    x = MARGIN + 16
    for name, colour in zip(runs, cycle(SERIES), strict=False):
        shown = printable(name, 60)
        width = 30 + text_width(shown, 11.5) + 24
        if lines[-1] and x + width > WIDTH - MARGIN:
            lines.append([])
            x = MARGIN + 16
        lines[-1].append((x, shown, colour))
        x += width
    return lines


def _draw_chart(axes: Axes, chart: Chart, runs: Mapping[str, Rows]) -> None:
    several = len(runs) > 1
    for rows, run_colour in zip(runs.values(), cycle(SERIES), strict=False):
        for curve, curve_colour, style in zip(chart.curves, SERIES, STYLES, strict=False):
            series = points_of(rows, curve)
            axes.plot(
                [epoch for epoch, _ in series],
                [value for _, value in series],
                color=run_colour if several else curve_colour,
                linestyle=style if several else "-",
                linewidth=points(2.2),
                marker="o" if len(series) <= FEW_EPOCHS else "",
                markersize=points(5),
            )
    if frozen := frozen_epochs(runs):
        axes.axvspan(frozen[0] - 0.5, frozen[-1] + 0.5, facecolor=FROZEN_COLOUR, edgecolor="none", zorder=0)
    axes.grid(axis="y", color="#e2e8f0", linewidth=points(1))
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#94a3b8")
    axes.tick_params(colors=MUTED, labelsize=points(10.5), length=points(3))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 2.5, 5, 10)))
    axes.set_xlabel("epoch", fontsize=points(11), color=INK)
    axes.set_ylabel(chart.unit, fontsize=points(11), color=INK)
    axes.set_title(chart.title, fontsize=points(13), weight="bold", loc="left", pad=points(12), color=INK)
    axes.margins(x=0.02, y=0.08)
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    if high - low < chart.least_span:
        axes.set_ylim((low + high - chart.least_span) / 2, (low + high + chart.least_span) / 2)
    epochs = sorted({epoch for rows in runs.values() for curve in chart.curves for epoch, _ in points_of(rows, curve)})
    if len(epochs) == 1:
        axes.set_xticks(epochs)
    _legend(axes, chart, several, bool(frozen))


def _legend(axes: Axes, chart: Chart, several: bool, frozen: bool) -> None:
    """Names of the curves above the chart, where no curve is."""
    lines: list[Artist] = [
        Line2D(
            [],
            [],
            color=INK if several else colour,
            linestyle=style if several else "-",
            linewidth=points(2.2),
            label=curve.label,
        )
        for curve, colour, style in zip(chart.curves, SERIES, STYLES, strict=False)
    ]
    if frozen:
        lines.append(Patch(facecolor=FROZEN_COLOUR, label="warm-up"))
    axes.legend(
        handles=lines,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(lines),
        frameon=False,
        fontsize=points(10.5),
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.15,
    )
