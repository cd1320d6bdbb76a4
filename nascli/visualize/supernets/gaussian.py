"""A Gaussian posterior as a picture: the size of the noise of every group of weights, in the order of layers."""

from math import floor, log10

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.visualize.canvas import WIDTH, bar, picture, pixel_axes, write
from nascli.visualize.chart import add_axes
from nascli.visualize.panel import HEADING, MARGIN, TITLE, draw_panel, draw_title
from nascli.visualize.style import SERIES
from nascli.visualize.supernets.dots import draw_dots
from nascli.visualize.supernets.kept import kind
from nascli.visualize.supernets.kept import title as in_words

CHART = 230.0
INSETS = (72.0, 24.0, 24.0, 34.0)  # left, right, above, below
LEGEND = 34.0
ENTRY = 110.0


def ticks(low: float, high: float) -> list[float]:
    """Round numbers in a range on a scale of logarithms, at least two: 1, 2 and 5 times powers of ten if these do.

    >>> ticks(0.08, 0.6)
    [0.1, 0.2, 0.5]
    >>> ticks(0.31, 0.35)
    [0.31, 0.32, 0.33, 0.34, 0.35]
    """
    powers = range(floor(log10(low)) - 1, floor(log10(high)) + 2)
    coarse = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    # A range of less than one decade is nearly linear.
    fine = [float(f"{value:.9g}") for value in MaxNLocator(5, steps=(1, 2, 5, 10)).tick_values(low, high)]
    for found in (coarse, fine):
        inside = [value for value in found if low <= value <= high]
        if len(inside) > 1:
            return inside
    return inside


def draw_gaussian(posterior: GaussianDistribution, form: str, title: str | None) -> bytes:
    """A dot for the deviation of every group's weights, relative to their root mean square. svg, png or pdf."""
    left, right, above, below = INSETS
    kinds = dict.fromkeys(kind(posterior.graph, group.conv) for group in posterior.graph.groups)
    colours = dict(zip(kinds, SERIES * len(kinds), strict=False))
    top = MARGIN + (TITLE if title else 0)
    height = HEADING + above + CHART + below

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        draw_panel(page, top, height, "Noise of the weights", f"{in_words(posterior)}; 1: as large as the weights")
        axes = add_axes(figure, MARGIN + left, top + HEADING + above, WIDTH - 2 * MARGIN - left - right, CHART)
        ratios = posterior.noise_ratios.tolist()
        draw_dots(axes, posterior.graph, [log10(ratio) for ratio in ratios], colours, "deviation")
        low, high = log10(min(ratios)), log10(max(ratios))
        margin = 0.06 * (high - low) + 0.02
        axes.set(ylim=(low - margin, high + margin))
        labels = ticks(10 ** (low - margin), 10 ** (high + margin))
        axes.set_yticks(list(map(log10, labels)), [f"{label:g}" for label in labels])
        for number, (name, colour) in enumerate(colours.items()):
            x = MARGIN + 16 + number * ENTRY
            bar(page, x, top + height + LEGEND / 2 - 6, 12, 12, 6, facecolor=colour, edgecolor=colour)
            write(page, x + 20, top + height + LEGEND / 2, name, 11.5)

    return picture(WIDTH, top + height + LEGEND + MARGIN / 2, draw, form)
