"""Graphs that share nodes, taken one after the other, so that what neighbours have in common is computed once.

A node has the same value in two graphs if its name, its operation and the values of its inputs are the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from nascli.graphs.graph import Graph, Node, Step

LOOKED_AT = 64
"""How many of the graphs that are left are looked at for a turn, so that the time does not grow with their square."""

_Values = Mapping[str, int]
"""The number of each node's value, by the node's name. Equal values have equal numbers."""


@dataclass(frozen=True)
class Turn:
    """One graph's turn.

    position: its place among the turns, from 0. place: the graph's among those given. steps: the nodes that this turn
    computes. keep: the nodes whose values a later turn reads; those of earlier turns that are not among them are spent.
    ends: the last turn, by its position, that has the same value of a node without a break; for all nodes of this one.
    """

    position: int
    place: int
    graph: Graph
    steps: Sequence[Step]
    keep: frozenset[str]
    ends: Mapping[str, int]


def turns(graphs: Sequence[Graph], wanted: Sequence[tuple[str, ...]]) -> list[Turn]:
    """The turns of the graphs, of which the values of these nodes are wanted.

    Nothing but values of the present graph is ever kept, so that a turn needs little more memory than its graph alone.
    The order is a chain of nearest neighbours, by the number of values that they have in common. It depends on the
    graphs alone. The images, which are the first node of every graph, count as computed.
    """
    numbers: dict[tuple[Node, tuple[int, ...]], int] = {}
    values = [_values(graph, names, numbers) for graph, names in zip(graphs, wanted, strict=True)]
    order = _chain([set(mine.values()) for mine in values])
    result: list[Turn] = []
    keep: frozenset[str] = frozenset()
    ends: Mapping[str, int] = {}
    following: _Values = {}
    for position in reversed(range(len(order))):
        place = order[position]
        graph, mine = graphs[place], values[place]
        before: _Values = values[order[position - 1]] if position else {}
        ends = {name: ends[name] if following.get(name) == value else position for name, value in mine.items()}
        known = {name for name, value in mine.items() if before.get(name) == value}
        read = {name for node in graph.nodes if node.name in mine and node.name not in known for name in node.inputs}
        given = frozenset(known & {*read, *wanted[place], *keep})
        steps = graph.steps(wanted[place], tuple(name for name in mine if name in given))
        result.append(Turn(position, place, graph, steps, keep, ends))
        keep, following = given, mine
    return result[::-1]


def _values(graph: Graph, wanted: tuple[str, ...], numbers: dict[tuple[Node, tuple[int, ...]], int]) -> _Values:
    values: dict[str, int] = {}
    for node in (graph.nodes[0], *(step.node for step in graph.steps(wanted))):
        key = node, tuple(values[name] for name in node.inputs)
        values[node.name] = numbers.setdefault(key, len(numbers))
    return values


def _chain(values: Sequence[set[int]]) -> list[int]:
    """The places of sets in an order in which neighbours have much in common. The first stays where it is."""
    counts = Counter(chain.from_iterable(values))
    bits = {value: 1 << bit for bit, value in enumerate(value for value, count in counts.items() if count > 1)}
    flags = [sum(bits[value] for value in mine if value in bits) for mine in values]  # Python's integers intersect fast
    order, left = [0], list(range(1, len(values)))
    while left:
        last = flags[order[-1]]
        nearest = max(left[:LOOKED_AT], key=lambda place: (flags[place] & last).bit_count())
        left.remove(nearest)
        order.append(nearest)
    return order
