"""A cell as a layered graph: what stands in which column, in an order with few crossings.

States stand in the even columns, by their depth, and the operations of a node in the odd column before it. A state
that is read further right than the next column gets a lane through every column in between: a place of its own in the
column's order, so that its wire never meets a box there. All readers of a state share its lanes. The order is found as
by Sugiyama (1981): barycentres, then swaps of neighbours, from several starts.
"""

import random
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nascli.visualize.cells.drawn_cell import DrawnCell

SWEEPS = 12


class Item(NamedTuple):
    """One place in a column.

    `state` is the state that stands here, that has its lane here, or that enters the output here; for an operation, the
    node that it feeds. `pick` counts the operations of a node and is 0 for other kinds.
    """

    kind: Literal["input", "node", "operation", "lane", "port"]
    layer: int
    state: int
    pick: int = 0


@dataclass(frozen=True)
class LayeredCell:
    """Columns from left to right, each from top to bottom, and the links between neighbouring columns."""

    layers: tuple[tuple[Item, ...], ...]
    links: tuple[tuple[Item, Item], ...]

    def crossings(self) -> int:
        """Pairs of links that cross."""
        return sum(_crossings(self.layers, self.links))

    def neighbours(self) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
        """For every item, the items linked to it from the column before, and from the column after."""
        before: dict[Item, list[Item]] = {item: [] for layer in self.layers for item in layer}
        after: dict[Item, list[Item]] = {item: [] for layer in self.layers for item in layer}
        for left, right in self.links:
            before[right].append(left)
            after[left].append(right)
        return before, after


def layered(cell: DrawnCell) -> LayeredCell:
    """The columns of a cell, each in the order of the states."""
    depth = cell.depths
    last = 2 * max(depth) + 1
    links: dict[tuple[Item, Item], None] = {}

    def place(state: int, layer: int) -> Item:
        if layer != 2 * depth[state]:
            return Item("lane", layer, state)
        return Item("input" if state < cell.inputs else "node", layer, state)

    def link(state: int, target: Item) -> None:
        for layer in range(2 * depth[state], target.layer - 1):
            links[place(state, layer), place(state, layer + 1)] = None
        links[place(state, target.layer - 1), target] = None

    items = {place(state, 2 * depth[state]) for state in range(len(depth))}
    for node, picks in cell.nodes.items():
        for number, pick in enumerate(picks):
            operation = Item("operation", 2 * depth[node] - 1, node, number)
            link(pick.input, operation)
            links[operation, place(node, 2 * depth[node])] = None
    for state in sorted(cell.concat):
        link(state, Item("port", last, state))
    items.update(item for pair in links for item in pair)
    layers = tuple(
        tuple(sorted((item for item in items if item.layer == layer), key=lambda item: (item.state, item.pick)))
        for layer in range(last + 1)
    )
    return LayeredCell(layers, tuple(links))


def orders(graph: LayeredCell, starts: int) -> Iterable[LayeredCell]:
    """`starts` orders of the columns, each a local optimum of the number of crossings; the inputs keep theirs."""
    generator = random.Random(0)
    for start in range(starts):
        layers = [list(layer) for layer in graph.layers]
        if start:
            for layer in layers[1:]:
                generator.shuffle(layer)
        yield _improve(graph, layers)


def _improve(graph: LayeredCell, layers: list[list[Item]]) -> LayeredCell:
    before, after = graph.neighbours()
    best, fewest = [list(layer) for layer in layers], sum(_crossings(layers, graph.links))
    for _ in range(SWEEPS):
        for number in range(1, len(layers)):
            _sort_by_barycentre(layers[number], layers[number - 1], before)
        for number in range(len(layers) - 2, 0, -1):
            _sort_by_barycentre(layers[number], layers[number + 1], after)
        for number in range(1, len(layers)):
            _swap_neighbours(layers, number, before, after)
        crossings = sum(_crossings(layers, graph.links))
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return LayeredCell(tuple(tuple(layer) for layer in best), graph.links)


def _sort_by_barycentre(layer: list[Item], fixed: Sequence[Item], linked: dict[Item, list[Item]]) -> None:
    rank = {item: place for place, item in enumerate(fixed)}
    own = {item: place for place, item in enumerate(layer)}

    def barycentre(item: Item) -> float:
        others = linked[item]
        return sum(rank[other] for other in others) / len(others) if others else own[item]

    layer.sort(key=barycentre)


def _swap_neighbours(
    layers: list[list[Item]], number: int, before: dict[Item, list[Item]], after: dict[Item, list[Item]]
) -> None:
    layer = layers[number]
    beside = layers[number - 1] + (layers[number + 1] if number + 1 < len(layers) else [])
    rank = {item: place for place, item in enumerate(beside)}

    def crossed(upper: Item, lower: Item) -> int:
        return sum(rank[a] > rank[b] for linked in (before, after) for a in linked[upper] for b in linked[lower])

    for _ in range(len(layer)):
        swapped = False
        for place in range(len(layer) - 1):
            upper, lower = layer[place : place + 2]
            if crossed(lower, upper) < crossed(upper, lower):
                layer[place : place + 2] = lower, upper
                swapped = True
        if not swapped:
            return


def _crossings(layers: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]) -> list[int]:
    """The number of crossing pairs in the gap after each column: inversions of the links' ends."""
    rank = {item: place for layer in layers for place, item in enumerate(layer)}
    ends: list[list[tuple[int, int]]] = [[] for _ in layers]
    for left, right in links:
        ends[left.layer].append((rank[left], rank[right]))
    counts = []
    for gap in ends:
        seen: list[int] = []
        count = 0
        for _, right_rank in sorted(gap):
            count += len(seen) - bisect_right(seen, right_rank)
            insort(seen, right_rank)
        counts.append(count)
    return counts
