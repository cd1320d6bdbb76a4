"""A posterior as a picture: every probability p in the order of layers, and how much its candidates keep."""

from collections.abc import Mapping
from itertools import groupby
from math import log

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.visualize.canvas import points
from nascli.visualize.cells.page import Lead
from nascli.visualize.chart import add_axes, dress
from nascli.visualize.panel import HEADING, MARGIN, draw_panel
from nascli.visualize.style import MUTED
from nascli.visualize.supernets.kept import kind, of_posterior, readable, stage_of
from nascli.visualize.supernets.supernet import draw_supernet, kind_colours

CHART_HEIGHT = 190.0
INSETS = (72.0, 24.0, 24.0, 34.0)  # left, right, above, below
TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1 - 1e-6)
LEAST_RANGE = (0.1, 0.9)
SHADE = "#e9eef5"
MANY = 150  # dots: more are drawn smaller


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
    """p on the scale of its logit, which is what is learnt; every other stage is shaded."""
    groups = posterior.graph.groups
    logits = [float(posterior.logits[group.conv][group.source]) for group in groups]
    kinds = [kind(posterior.graph, group.conv) for group in groups]
    size = points(4 if len(groups) > MANY else 7)
    for name, colour in colours.items():
        chosen = [number for number, of_group in enumerate(kinds) if of_group == name]
        axes.plot(
            chosen,
            [logits[number] for number in chosen],
            "o",
            color=colour,
            markersize=size,
            markeredgewidth=0,
            alpha=0.8,
        )
    dress(axes, "", "p", 1.0)
    low, high = min(logits), max(logits)
    low, high = min(low, _logit(LEAST_RANGE[0])), max(high, _logit(LEAST_RANGE[1]))
    margin = 0.06 * (high - low)
    axes.set(xlim=(-0.5 - 0.005 * len(groups), len(groups) * 1.005 - 0.5), ylim=(low - margin, high + margin))
    shown = [tick for tick in TICKS if low - margin <= _logit(tick) <= high + margin]
    wide = high - low > 2 * _logit(0.999)
    shown = [tick for tick in shown if not wide or tick not in {0.3, 0.7}]
    axes.set_yticks([_logit(tick) for tick in shown], [_probability(tick) for tick in shown])
    axes.set_xticks([])
    start = 0
    for number, (stage, members) in enumerate(groupby(groups, key=lambda group: stage_of(group.conv))):
        count = len(list(members))
        if number % 2 == 0:
            axes.axvspan(start - 0.5, start + count - 0.5, facecolor=SHADE, edgecolor="none", zorder=0)
        axes.annotate(
            readable(stage),
            (start + count / 2 - 0.5, 1.0),
            (0, points(10)),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="center_baseline",
            fontsize=points(10.5),
            color=MUTED,
        )
        start += count
    axes.set_xlabel("groups of channels, in the order of the network", fontsize=points(11), labelpad=points(6))


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
