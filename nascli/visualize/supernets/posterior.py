"""A posterior as a picture: every probability p in the order of layers, and how much its candidates keep."""

from collections.abc import Mapping
from math import log

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.visualize.cells.page import Lead
from nascli.visualize.chart import add_axes
from nascli.visualize.panel import HEADING, MARGIN, draw_panel
from nascli.visualize.supernets.dots import draw_dots
from nascli.visualize.supernets.kept import of_posterior
from nascli.visualize.supernets.supernet import draw_supernet, kind_colours

CHART_HEIGHT = 190.0
INSETS = (72.0, 24.0, 24.0, 34.0)  # left, right, above, below
TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1 - 1e-6)
LEAST_RANGE = (0.1, 0.9)


def draw_posterior(posterior: PosteriorDistribution, form: str, title: str | None) -> bytes:
    """A dot for p of every group of channels in the network's order, and the expected kept shares. svg, png or pdf."""
    kept = of_posterior(posterior)
    left, right, above, below = INSETS
    height = HEADING + above + CHART_HEIGHT + below
    colours = kind_colours(kept)

    def draw(figure: Figure, axes: Axes, y: float) -> None:
        draw_panel(axes, y, height, "p of dropping a channel", "one for each convolution and source")
        width = axes.get_xlim()[1] - 2 * MARGIN - left - right
        _draw_dots(add_axes(figure, MARGIN + left, y + HEADING + above, width, CHART_HEIGHT), posterior, colours)

    return draw_supernet(kept, form, title, Lead(height + MARGIN / 2, draw))


def _draw_dots(axes: Axes, posterior: PosteriorDistribution, colours: Mapping[str, str]) -> None:
    """p on the scale of its logit, which is what is learnt."""
    logits = [float(posterior.logits[group.conv][group.source]) for group in posterior.graph.groups]
    draw_dots(axes, posterior.graph, logits, colours, "p")
    low, high = min(logits), max(logits)
    low, high = min(low, _logit(LEAST_RANGE[0])), max(high, _logit(LEAST_RANGE[1]))
    margin = 0.06 * (high - low)
    axes.set(ylim=(low - margin, high + margin))
    shown = [tick for tick in TICKS if low - margin <= _logit(tick) <= high + margin]
    wide = high - low > 2 * _logit(0.999)
    shown = [tick for tick in shown if not wide or tick not in {0.3, 0.7}]
    axes.set_yticks([_logit(tick) for tick in shown], [_probability(tick) for tick in shown])


def _logit(probability: float) -> float:
    return log(probability / (1 - probability))


def _probability(value: float) -> str:
    """A probability, short and exact; near 1 as a difference from 1.

    >>> _probability(0.3), _probability(1e-5), _probability(1 - 1e-6)
    ('0.3', '1e-5', '1-1e-6')
    """
    if 0.001 <= value <= 0.999:
        return f"{value:g}"
    if value < 0.001:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"1-{1 - value:.0e}".replace("e-0", "e-")
