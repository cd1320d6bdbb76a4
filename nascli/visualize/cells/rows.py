"""Heights: the y of every item of a layered cell, so that wires run level and nothing touches.

Minimises the weighted sum of squared steps of all links, with the order and distances of each column as constraints.
No constraint spans two columns. So solving one column after the other, each exactly by isotonic regression (pool
adjacent violators), converges to the optimum.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import inf

from nascli.visualize.cells.layers import Item, LayeredCell

MOST_VISITS = 60_000  # to items; bounds the time that a huge cell takes
STILL = 0.05  # pixels
NOTICEABLE = 3.0  # pixels; a smaller step looks like a mistake
STRAIGHT = frozenset({"lane", "port"})
LINK_WEIGHTS = (1.0, 6.0, 40.0)
"""By how many ends of a link are in a lane: links between boxes may slant, but a lane should not bend."""


def assign_rows(graph: LayeredCell, distance: Callable[[Item, Item], float]) -> dict[Item, float]:
    """The y of every item's centre. `distance(upper, lower)` is the least distance between neighbours."""
    before, after = graph.neighbours()
    offsets = [_offsets(layer, distance) for layer in graph.layers]
    rows = {
        item: offset - column[-1] / 2
        for layer, column in zip(graph.layers, offsets, strict=True)
        for item, offset in zip(layer, column, strict=True)
    }
    numbers = range(len(graph.layers))
    for _ in range(min(300, MOST_VISITS // len(rows) + 1)):
        moved = 0.0
        for number in (*numbers, *reversed(numbers)):
            layer = graph.layers[number]
            wishes = [_wish(item, (*before[item], *after[item]), rows) for item in layer]
            for item, row in zip(layer, _spread(wishes, offsets[number]), strict=True):
                moved = max(moved, abs(rows[item] - row))
                rows[item] = row
        if moved < STILL:
            break
    _straighten(graph, rows, distance)
    return rows


def _straighten(graph: LayeredCell, rows: dict[Item, float], distance: Callable[[Item, Item], float]) -> None:
    """Make every lane level that has the room; least squares leaves small steps in it."""
    lanes: dict[int, list[Item]] = {}
    beside: dict[Item, tuple[Item | None, Item | None]] = {}
    for layer in graph.layers:
        for place, item in enumerate(layer):
            if item.kind in STRAIGHT:
                lanes.setdefault(item.state, []).append(item)
                beside[item] = (layer[place - 1] if place else None, layer[place + 1] if layer[place + 1 :] else None)
    sources, _ = graph.neighbours()
    for lane in lanes.values():
        lowest = max((rows[up] + distance(up, item) for item in lane if (up := beside[item][0])), default=-inf)
        highest = min((rows[down] - distance(item, down) for item in lane if (down := beside[item][1])), default=inf)
        if lowest <= highest:
            level = sum(rows[item] for item in lane) / len(lane)
            (source,) = sources[lane[0]]
            if abs(rows[source] - level) < NOTICEABLE:
                level = rows[source]
            rows.update(dict.fromkeys(lane, min(max(level, lowest), highest)))


def travel(graph: LayeredCell, rows: Mapping[Item, float]) -> float:
    """The sum of the vertical steps of all links, in pixels: the less, the calmer the drawing."""
    return sum(abs(rows[left] - rows[right]) for left, right in graph.links)


def _offsets(layer: Sequence[Item], distance: Callable[[Item, Item], float]) -> list[float]:
    offsets = [0.0] if layer else []
    for upper, lower in pairwise(layer):
        offsets.append(offsets[-1] + distance(upper, lower))
    return offsets


def _wish(item: Item, linked: Sequence[Item], rows: Mapping[Item, float]) -> tuple[float, float]:
    """The (y, weight) that the links of an item ask for; an item without links asks to stay, with little weight."""
    if not linked:
        return rows[item], 0.01
    weights = [LINK_WEIGHTS[(item.kind in STRAIGHT) + (other.kind in STRAIGHT)] for other in linked]
    total = sum(weights)
    return sum(weight * rows[other] for weight, other in zip(weights, linked, strict=True)) / total, total


def _spread(wishes: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """The positions nearest to the wishes by weighted least squares, at least as far apart as the `offsets`."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, items
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        mean, size = wish - offset, 1
        while pools and pools[-1][0] > mean:
            other_mean, other_weight, other_size = pools.pop()
            mean = (mean * weight + other_mean * other_weight) / (weight + other_weight)
            weight, size = weight + other_weight, size + other_size
        pools.append((mean, weight, size))
    means = [mean for mean, _, size in pools for _ in range(size)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
