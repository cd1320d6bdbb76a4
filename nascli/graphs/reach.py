"""Which channels of a super-network still matter when some inputs of its convolutions are dropped.

A channel varies if it depends on the image; others have a fixed value. It is needed if it varies and the logits depend
on it through channels that vary: those are the ones that a smaller network computes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import compress, count
from typing import TypeAlias

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import AvgPool, Concat, Conv, Crossed, GlobalPool, Image, Linear, MaxPool, Pick, Zeros

Flags: TypeAlias = int
"""A set of channels: bit k says whether channel k is in it. Every candidate needs thousands of unions and comparisons,
and nothing does them as fast as Python's integers."""

_AS_BOOLEANS = bytes.maketrans(b"01", b"\0\1")


def all_of(channels: int) -> Flags:
    """The set of all channels of a node that has this many."""
    return (1 << channels) - 1


def members(flags: Flags) -> tuple[int, ...]:
    """The channels of a set, rising.

    >>> members(0b1101)
    (0, 2, 3)
    """
    return tuple(compress(count(), _booleans(flags)))


def places(flags: Flags, among: Flags) -> tuple[int, ...]:
    """Where the channels of a set are among those of a larger one, counted from 0.

    >>> places(0b1001, 0b1011)
    (0, 2)
    """
    return tuple(compress(count(), compress(_booleans(flags), _booleans(among))))


def _booleans(flags: Flags) -> bytes:
    return f"{flags:b}".encode()[::-1].translate(_AS_BOOLEANS)


def _flags(channels: Collection[int], size: int) -> Flags:
    digits, one = bytearray(b"0") * size, ord("1")
    for channel in channels:
        digits[-1 - channel] = one
    return int(digits, 2)


@dataclass(frozen=True)
class Reach:
    """What is known about every node, by name.

    reads: for convolutions (except depthwise ones) and linear layers, the channels that they read of their input.
    varying, needed: as above. Global pooling and the layers after it count as varying and are needed, so that a network
        remains even if everything is dropped.
    borders: for nodes with channels of fixed value, up to how many pixels from the border their maps may differ from
        the middle: a padded convolution of a constant map is not constant near the border.
    """

    reads: Mapping[str, Flags]
    varying: Mapping[str, Flags]
    needed: Mapping[str, Flags]
    borders: Mapping[str, int]


def reach(graph: Graph, kept: Mapping[str, Collection[int]]) -> Reach:
    """Follow the image forwards and the logits backwards, with only the `kept` inputs of masked convolutions."""
    reads = _reads(graph, kept)
    varying = _varying(graph, reads)
    return Reach(reads, varying, _needed(graph, reads, varying), _borders(graph, reads, varying))


def _reads(graph: Graph, kept: Mapping[str, Collection[int]]) -> dict[str, Flags]:
    reads = {}
    for node in graph.nodes:
        if isinstance(node.op, Linear | Crossed) or (isinstance(node.op, Conv) and not node.op.depthwise):
            size = graph.shapes[node.inputs[0]].channels
            reads[node.name] = _flags(kept[node.name], size) if node.name in graph.masked else all_of(size)
    return reads


def _varying(graph: Graph, reads: Mapping[str, Flags]) -> dict[str, Flags]:
    varying: dict[str, Flags] = {}
    for node in graph.nodes:
        match node.op:
            case Image() | GlobalPool() | Linear():
                flags = all_of(graph.shapes[node.name].channels)
            case Conv(depthwise=False, out=out):
                flags = all_of(out) if varying[node.inputs[0]] & reads[node.name] else 0
            case Crossed():
                flags = all_of(graph.shapes[node.name].channels) if varying[node.inputs[0]] else 0
            case Zeros():
                flags = 0
            case Concat():
                flags = joined(graph, node, varying)
            case _:
                flags = 0
                for name in node.inputs:
                    flags |= varying[name]
        varying[node.name] = flags
    return varying


def joined(graph: Graph, node: Node, flags: Mapping[str, Flags]) -> Flags:
    """The sets of a concatenation's inputs as one set of its own channels."""
    together = first = 0
    for name in node.inputs:
        together |= flags[name] << first
        first += graph.shapes[name].channels
    return together


def _needed(graph: Graph, reads: Mapping[str, Flags], varying: Mapping[str, Flags]) -> dict[str, Flags]:
    needed = dict.fromkeys(varying, 0)
    needed[graph.nodes[-1].name] = varying[graph.nodes[-1].name]
    for node in reversed(graph.nodes):
        mine = needed[node.name]
        if not mine:
            continue
        passed = reads.get(node.name, mine)
        for name in node.inputs:
            # Bits beyond this input's channels belong to the next input of a concatenation.
            needed[name] |= passed & varying[name]
            if isinstance(node.op, Concat):
                passed >>= graph.shapes[name].channels
    return needed


def _borders(graph: Graph, reads: Mapping[str, Flags], varying: Mapping[str, Flags]) -> dict[str, int]:
    borders: dict[str, int] = {}
    for node in graph.nodes:
        if varying[node.name] == all_of(graph.shapes[node.name].channels):
            continue
        if isinstance(node.op, Zeros) or (node.name in reads and not reads[node.name]):
            borders[node.name] = 0
        else:
            border = max(borders[name] for name in node.inputs if name in borders)
            borders[node.name] = min(border_after(node, border, graph), graph.shapes[node.name].side)
    return borders


def border_after(node: Node, border: int, graph: Graph) -> int:
    """How far from the border an operation's maps may differ from their middle, if its input's do up to `border`."""
    match node.op:
        case Conv(stride=stride, pad=pad):
            return -(-(border + pad) // stride)
        case MaxPool(kernel, stride, pad) | AvgPool(kernel, stride, pad):
            side, count = graph.shapes[node.inputs[0]].side, graph.shapes[node.name].side
            beyond = max(pad, (count - 1) * stride + kernel - pad - side)  # the last window's reach behind the map
            return -(-(border + beyond) // stride) if border else 0
        case Crossed(kernel=kernel, stride=stride):
            return -(-(border + kernel // 2) // stride)
        case Pick(stride=stride, shift=shift):
            # A shifted image may end beyond the border, where zeros come in.
            return -(-(border + shift) // stride)
        case _:
            return border
