"""The trials of a random search as a picture: the accuracy of every cell, and the best cell below it."""

from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.artifacts.distributions.trials import TrialsDistribution
from nascli.visualize.canvas import points
from nascli.visualize.cells.page import Lead, draw_cells
from nascli.visualize.cells.trials_text import heading, summary
from nascli.visualize.chart import add_axes, dress, mark_level
from nascli.visualize.panel import HEADING, MARGIN, draw_panel
from nascli.visualize.style import HIGHLIGHT, SERIES

CHART_HEIGHT = 170.0
INSETS = (72.0, 52.0, 8.0, 48.0)  # left, right, above, below
LEAST_SPAN = 1.0  # per cent
MOST_NAMED = 32  # cells whose numbers fit below the axis


def draw_trials(trials: TrialsDistribution, form: str, title: str | None) -> bytes:
    """The accuracies in falling order, and the best cell below. `form`: svg, png or pdf."""
    left, right, above, below = INSETS
    height = HEADING + (above + CHART_HEIGHT + below if trials.done else 0)

    def draw_accuracies(figure: Figure, axes: Axes, y: float) -> None:
        draw_panel(axes, y, height, heading(trials), summary(trials))
        if trials.done:
            width = axes.get_xlim()[1] - 2 * MARGIN - left - right
            _draw_chart(add_axes(figure, MARGIN + left, y + HEADING + above, width, CHART_HEIGHT), trials)

    which = "the best cell" if trials.done else "the first to be trained"
    remarks = dict.fromkeys(trials.space.cells, which)
    return draw_cells(trials.mode(), form, title, remarks, lead=Lead(height + MARGIN, draw_accuracies))


def _draw_chart(axes: Axes, trials: TrialsDistribution) -> None:
    """A dot per cell by its rank, the best in another colour, and a line at the mean."""
    accuracies = [100 * trial.accuracy for trial in trials.done]
    count = len(accuracies)
    ranks = range(1, count + 1)
    size = points(9 if count <= MOST_NAMED else 6 if count <= 200 else 4)
    axes.plot(ranks, accuracies, "o", color=SERIES[0], markersize=size, markeredgewidth=0, clip_on=False)
    axes.plot(ranks[:1], accuracies[:1], "o", color=HIGHLIGHT, markersize=size, markeredgewidth=0, clip_on=False)
    if count > 1:
        average = mean(accuracies)
        mark_level(axes, "mean", average)
    if count <= MOST_NAMED:
        trained = trials.done[0].loss is not None
        order = f"number of the cell, in the order of {'training' if trained else 'drawing'}"
        dress(axes, order, "accuracy (%)", LEAST_SPAN)
        axes.set_xticks(ranks, [str(trial.number) for trial in trials.done])
    else:
        dress(axes, "rank", "accuracy (%)", LEAST_SPAN)
    axes.set_xlim(0.5 - 0.01 * count, count + 0.5 + 0.01 * count)
