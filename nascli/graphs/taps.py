"""The maps of a classifier that a detector reads, and the part of the network that computes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log2

from nascli.graphs.graph import Graph
from nascli.graphs.operations import Constant, GlobalPool

WANTED = (16, 32)
"""The strides of the maps that SSDLite reads (Sandler et al., CVPR 2018, Section 6.2)."""


@dataclass(frozen=True)
class Backbone:
    """The part of a network that computes the maps `taps`, of these strides relative to the image, finest first."""

    graph: Graph
    taps: tuple[str, ...]
    strides: tuple[int, ...]

    @property
    def notice(self) -> str:
        """What to say where the strides are not those of SSDLite; empty where they are."""
        if self.strides == WANTED:
            return ""
        found, wanted = (" and ".join(map(str, strides)) for strides in (self.strides, WANTED))
        return (
            f"this network has no maps of strides {wanted} for images of {self.graph.image_size} pixels: boxes are "
            f"found on its last two resolutions, strides {found}"
        )


def backbone(graph: Graph) -> Backbone:
    """The backbone in a classifier's network.

    At each resolution the tap is the widest of the maps from which the next resolution, or the class, is computed; of
    several as wide the last. The taps are those of strides 16 and 32 or, where one of these is missing, of the last two
    resolutions. Raises ValueError for a network that has one resolution only, or in which no map is larger than a
    pixel.
    """
    exits = {stride: _widest(graph, names) for stride, names in _exits(graph).items()}
    strides = WANTED if all(stride in exits for stride in WANTED) else tuple(sorted(exits)[-2:])
    if len(strides) < 2:
        raise ValueError("all of its maps are of one resolution, and a detector needs two")
    taps = tuple(exits[stride] for stride in strides)
    if graph.shapes[taps[0]].side < 2:
        raise ValueError(f"nothing is left of images of {graph.image_size} pixels but maps of one pixel")
    nodes = (graph.nodes[0], *(step.node for step in graph.steps(taps)))
    return Backbone(Graph(nodes, graph.image_size), taps, strides)


def _exits(graph: Graph) -> Mapping[int, list[str]]:
    """By stride, the maps that are read by something of fewer pixels."""
    found: dict[int, list[str]] = {}
    for name, side in _read_smaller(graph):
        found.setdefault(2 ** round(log2(graph.image_size / side)), []).append(name)
    return found


def _read_smaller(graph: Graph) -> Iterator[tuple[str, int]]:
    for node in graph.nodes[1:]:
        shape = graph.shapes[node.name]
        if shape.side == 0 or isinstance(node.op, Constant):
            continue
        readers = (graph.by_name[name] for name in graph.readers[node.name])
        if any(isinstance(one.op, GlobalPool) or graph.shapes[one.name].side < shape.side for one in readers):
            yield node.name, shape.side


def _widest(graph: Graph, names: list[str]) -> str:
    return max(reversed(names), key=lambda name: graph.shapes[name].channels)
