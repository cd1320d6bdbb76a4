"""A Gaussian posterior as a picture: the size of the noise of every group of weights, in the order of layers."""

from math import floor, log10

from matplotlib.figure import Figure

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
        shown = [
            (log10(digit) + power, f"{digit * 10.0**power:g}")
            for power in range(floor(low) - 1, floor(high) + 2)
            for digit in (1, 2, 5)
        ]
        inside = [(place, text) for place, text in shown if low - margin <= place <= high + margin]
        axes.set_yticks([place for place, _ in inside], [text for _, text in inside])
        for number, (name, colour) in enumerate(colours.items()):
            x = MARGIN + 16 + number * ENTRY
            bar(page, x, top + height + LEGEND / 2 - 6, 12, 12, 6, facecolor=colour, edgecolor=colour)
            write(page, x + 20, top + height + LEGEND / 2, name, 11.5)

    return picture(WIDTH, top + height + LEGEND + MARGIN / 2, draw, form)
