"""Candidates of a posterior and of uniform dropout as a picture: how often accuracies occur, and accuracy by size."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nascli.artifacts.runs.scores import CELLS, MEAN, POSTERIOR, UNIFORM
from nascli.visualize.canvas import WIDTH, bar, picture, pixel_axes, points, write
from nascli.visualize.chart import add_axes, dress
from nascli.visualize.panel import HEADING, MARGIN, TITLE, draw_panel, draw_title
from nascli.visualize.runs.scored import Candidates, short, summary
from nascli.visualize.style import HIGHLIGHT, SERIES, tint

COLOURS = {POSTERIOR: SERIES[0], CELLS: SERIES[0], UNIFORM: SERIES[4], MEAN: SERIES[4]}
HISTOGRAM = 210.0
SCATTER = 250.0
INSETS = (72.0, 30.0, 10.0, 52.0)  # left, right, above, below
LINE = 21.0
MOST_BINS = 36
MOST_LARGE_DOTS = 300


def draw_candidates(candidates: Candidates, form: str, title: str | None) -> bytes:
    """A histogram of both populations with their means and the best, and accuracies by size, if sizes differ.

    svg, png or pdf.
    """
    left, right, above, below = INSETS
    top = MARGIN + (TITLE if title else 0)
    lines = LINE * (len(candidates.populations) + 1)
    histogram = HEADING + lines + above + HISTOGRAM + below
    scatter = HEADING + above + SCATTER + below
    width = WIDTH - 2 * MARGIN - left - right
    by_size = len(candidates.sizes) > 1

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        remark = "with the weights of the search; dashed: the means"
        draw_panel(page, top, histogram, "Accuracy on held-out images", remark)
        for number, (name, scored) in enumerate(candidates.populations.items()):
            y = top + HEADING + LINE * (number + 0.5) - 4
            bar(page, MARGIN + 16, y - 6, 18, 12, 1, facecolor=tint(COLOURS[name], 0.5), edgecolor=COLOURS[name])
            write(page, MARGIN + 42, y, name, 11.5, weight="bold")
            write(page, MARGIN + 116, y, summary(scored), 11.5)
        _name_best(page, top + HEADING + lines - LINE / 2 - 4, candidates)
        y = top + HEADING + lines + above
        _draw_histogram(add_axes(figure, MARGIN + left, y, width, HISTOGRAM), candidates)
        if not by_size:
            return
        y = top + histogram + MARGIN / 2
        draw_panel(page, y, scatter, "Accuracy by size", "parameters of their networks")
        _draw_scatter(add_axes(figure, MARGIN + left, y + HEADING + above, width, SCATTER), candidates)

    return picture(WIDTH, top + histogram + (MARGIN / 2 + scatter if by_size else 0) + MARGIN, draw, form)


def bins(accuracies: Sequence[float]) -> list[float]:
    """Edges in per cent of about `MOST_BINS` bins at most, each with equally many of the accuracies that can occur.

    Accuracies are whole numbers of images divided by their total; bins that cut across that grid would look ragged.
    """
    values = sorted({round(100 * accuracy, 9) for accuracy in accuracies})
    low, high = values[0], values[-1]
    grid = min((b - a for a, b in pairwise(values)), default=1.0)
    width = grid * max(1, ceil((high - low) / grid / MOST_BINS - 1e-6))
    count = floor((high - low) / width + 1e-6) + 1
    return [low - grid / 2 + number * width for number in range(count + 1)]


def _draw_histogram(axes: Axes, candidates: Candidates) -> None:
    populations = candidates.populations
    edges = bins([one.accuracy for scored in populations.values() for one in scored])
    for name, scored in reversed([*populations.items()]):
        values = [100 * one.accuracy for one in scored]
        colour = COLOURS[name]
        axes.hist(values, edges, color=colour, alpha=0.5, linewidth=0)
        axes.hist(values, edges, color=colour, histtype="step", linewidth=points(1.6))
        axes.axvline(mean(values), color=colour, linewidth=points(2), linestyle=(0, (4, 3)))
    dress(axes, "accuracy (%)", "candidates", 1)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=(1, 2, 2.5, 5, 10)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _, high = axes.get_ylim()
    axes.set_ylim(0, 1.1 * high)
    margin = 0.02 * (edges[-1] - edges[0])
    axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    best = candidates.best()
    axes.plot([100 * best.accuracy], [0], "^", color=HIGHLIGHT, markersize=points(11), clip_on=False, zorder=5)


def _name_best(page: Axes, y: float, candidates: Candidates) -> None:
    best = candidates.best()
    page.plot([MARGIN + 25], [y], "^", color=HIGHLIGHT, markersize=points(10))
    write(page, MARGIN + 42, y, "best", 11.5, weight="bold")
    which = f"number {best.number} of the posterior's" if best.population == POSTERIOR else f"number {best.number}"
    write(page, MARGIN + 116, y, f"{which}: {100 * best.accuracy:.2f} %, {short(best.parameters)} parameters", 11.5)


def _draw_scatter(axes: Axes, candidates: Candidates) -> None:
    everything = [one for scored in candidates.populations.values() for one in scored]
    unit, name_of_unit = _unit(max(one.parameters for one in everything))
    size = points(6 if len(everything) <= MOST_LARGE_DOTS else 4)
    for name, scored in reversed([*candidates.populations.items()]):
        at = [one.parameters / unit for one in scored], [100 * one.accuracy for one in scored]
        axes.plot(*at, "o", color=COLOURS[name], markersize=size, markeredgewidth=0, alpha=0.65)
    best = candidates.best()
    at = [best.parameters / unit], [100 * best.accuracy]
    axes.plot(*at, "^", color=HIGHLIGHT, markersize=points(11), clip_on=False, zorder=5)
    dress(axes, f"parameters{name_of_unit}", "accuracy (%)", 1)
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=(1, 2, 2.5, 5, 10)))


def _unit(largest: float) -> tuple[float, str]:
    for unit, name in ((1e6, " (million)"), (1e3, " (thousand)")):
        if largest >= 2 * unit:
            return unit, name
    return 1.0, ""
