"""The true accuracy and rank of what searches would have derived after each epoch, with marks to compare with."""

from collections.abc import Callable, Mapping
from math import log
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from nascli.artifacts.truth import Worth
from nascli.visualize.canvas import WIDTH, picture, pixel_axes, points
from nascli.visualize.chart import add_axes, dress, mark_level
from nascli.visualize.panel import MARGIN, TITLE, draw_title
from nascli.visualize.runs.judged import Judged
from nascli.visualize.runs.run import FEW_EPOCHS, RUN_NAMES, draw_run_names, run_colours, run_names
from nascli.visualize.style import INK, MUTED, SERIES

HEIGHT = 250.0
INSETS = (70.0, 40.0, 86.0, 52.0)  # left, above, right, below
TICKS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 90)  # errors in per cent
TICK_ROOM = 0.065  # of the axis, between the labels of two ticks
LEAST_ERROR = 0.1  # per cent, for a logarithm


def draw_truth(judged: Judged, form: str, title: str | None) -> bytes:
    """Two charts, accuracy above rank; a colour per run. `form`: svg, png or pdf."""
    colours = run_colours(judged.runs) if len(judged.runs) > 1 else dict.fromkeys(judged.runs, SERIES[0])
    names = run_names(colours if len(colours) > 1 else {})
    top = MARGIN + (TITLE if title else 0)
    charts = top + RUN_NAMES * len(names)
    left, above, right, below = INSETS
    width, height = WIDTH - 2 * MARGIN - left - right, HEIGHT - above - below + 60

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        draw_run_names(page, top, names)
        for number, fill in enumerate((_accuracies, _ranks)):
            upper = charts + number * (height + above + below) + above
            fill(add_axes(figure, MARGIN + left, upper, width, height), judged, colours)

    return picture(WIDTH, charts + 2 * (height + above + below) + MARGIN / 2, draw, form)


def _accuracies(axes: Axes, judged: Judged, colours: Mapping[str, str]) -> None:
    """On a logarithmic scale of the error, which keeps good cells apart and still shows a collapse."""
    _curves(axes, judged, colours, lambda worth: _error(worth.accuracy))
    worst = max(_error(worth.accuracy) for worths in judged.runs.values() for worth in worths.values())
    levels = {name: _error(accuracy) for name, accuracy, _ in judged.marks()}
    _dress(axes, "true accuracy (%)", 1.15 * max(worst, *levels.values()), 0.85 * min(levels.values()))
    axes.set_yticks(_ticks(*sorted(axes.get_ylim())))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:g}"))
    _marks(axes, levels)
    _heading(axes, f"True accuracy of what would be derived: {judged.column}", "errors on a logarithmic scale")


def _ticks(low: float, high: float) -> list[float]:
    """Those of `TICKS` between two errors that leave room for each other, on a logarithmic scale."""
    shown: list[float] = []
    for error in TICKS:
        if low <= error <= high and (not shown or log(error / shown[-1]) >= TICK_ROOM * log(high / low)):
            shown.append(error)
    return shown


def _error(accuracy: float) -> float:
    return max(LEAST_ERROR, 100 - accuracy)


def _ranks(axes: Axes, judged: Judged, colours: Mapping[str, str]) -> None:
    _curves(axes, judged, colours, lambda worth: worth.rank)
    _dress(axes, f"rank of {len(judged.table):,}", 1.4 * len(judged.table), 0.75)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rank, _: f"{rank:,.0f}"))
    _marks(axes, {name: rank for name, _, rank in judged.marks()})
    _heading(axes, "Its rank among all cells", "on a logarithmic scale")


def _dress(axes: Axes, name: str, worst: float, best: float) -> None:
    """Axes with a logarithmic scale, the best at the top."""
    dress(axes, "epoch", name, 0)
    axes.set_yscale("log")
    axes.set_ylim(worst, best)
    axes.yaxis.set_minor_locator(NullLocator())


def _curves(axes: Axes, judged: Judged, colours: Mapping[str, str], value: Callable[[Worth], float]) -> None:
    for name, worths in judged.runs.items():
        look: dict[str, Any] = {"marker": "o", "markersize": points(5)} if len(worths) <= FEW_EPOCHS else {}
        numbers = [value(worth) for worth in worths.values()]
        axes.plot(list(worths), numbers, color=colours[name], linewidth=points(2.2), **look)


def _marks(axes: Axes, levels: Mapping[str, float]) -> None:
    """Dashed lines with their names on the right."""
    for name, level in levels.items():
        mark_level(axes, name, level)


def _heading(axes: Axes, text: str, scale: str) -> None:
    axes.set_title(text, fontsize=points(13), weight="bold", loc="left", pad=points(12), color=INK)
    axes.set_title(scale, fontsize=points(10.5), loc="right", pad=points(12), color=MUTED)
