"""A number of every group of channels, as a dot, in the order of the network."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.axes import Axes

from nascli.graphs.graph import Graph
from nascli.visualize.canvas import points
from nascli.visualize.chart import dress
from nascli.visualize.style import MUTED
from nascli.visualize.supernets.kept import kind, readable, stage_of

SHADE = "#e9eef5"
MANY = 150  # dots: more are drawn smaller


def draw_dots(axes: Axes, graph: Graph, values: Sequence[float], colours: Mapping[str, str], name: str) -> None:
    """A dot per group in the colour of its kind of convolution; every other stage is shaded. `name`: the y axis."""
    groups = graph.groups
    kinds = [kind(graph, group.conv) for group in groups]
    size = points(4 if len(groups) > MANY else 7)
    for of_dots, colour in colours.items():
        chosen = [number for number, of_group in enumerate(kinds) if of_group == of_dots]
        axes.plot(
            chosen,
            [values[number] for number in chosen],
            "o",
            color=colour,
            markersize=size,
            markeredgewidth=0,
            alpha=0.8,
        )
    dress(axes, "", name, 1.0)
    axes.set(xlim=(-0.5 - 0.005 * len(groups), len(groups) * 1.005 - 0.5))
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
