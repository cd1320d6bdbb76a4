"""Builds a graph, one node at a time."""

from functools import lru_cache

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import (
    Concat,
    Constant,
    Conv,
    Draw,
    GlobalPool,
    Image,
    Linear,
    Norm,
    Op,
    Pick,
    Relu,
    Select,
)
from nascli.graphs.tower import Tower

# A search builds thousands of children out of few different operations.
_conv, _norm, _RELU = lru_cache(Conv), lru_cache(Norm), Relu()


class Builder:
    """Its methods add nodes and return the name of the last, for later nodes to read."""

    def __init__(self, image_channels: int, image_size: int) -> None:
        self._image_size = image_size
        self._nodes: dict[str, Node] = {}
        self._channels: dict[str, int] = {}
        self.image = self.add("image", Image(image_channels))

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Any node. Raises ValueError for a name that is taken."""
        if name in self._nodes:
            raise ValueError(f"two nodes have the name {name}")
        self._nodes[name] = Node(name, op, inputs)
        self._channels[name] = self._output_channels(op, inputs)
        return name

    def _output_channels(self, op: Op, inputs: tuple[str, ...]) -> int:
        """The channels that a node puts out. Shapes are checked once, when the graph is complete."""
        match op:
            case Conv(out=out) | Linear(out=out):
                return out
            case Image(channels=channels) | Constant(channels=channels) | Draw(channels=channels):
                return channels
            case Concat():
                return sum(self._channels[name] for name in inputs)
            case Select(channels=chosen):
                return len(chosen)
            case _:
                return self._channels[inputs[0]]

    def op(self, node: str) -> Op:
        """What a node does."""
        return self._nodes[node].op

    def channels(self, node: str) -> int:
        """The channels that a node puts out."""
        return self._channels[node]

    def sources(self, node: str) -> tuple[int, ...]:
        """The channels that a node puts out, by the nodes that they were concatenated from."""
        _, op, inputs = self._nodes[node]
        if isinstance(op, Relu | Pick):
            return self.sources(inputs[0])
        return tuple(self._channels[name] for name in inputs if isinstance(op, Concat)) or (self._channels[node],)

    def conv(
        self,
        name: str,
        x: str,
        out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        sources: tuple[int, ...] = (),
    ) -> str:
        """A convolution with a mask. Its input comes from one source unless `sources` are given."""
        sources = sources or (self._channels[x],)
        return self.add(name, _conv(out, kernel, stride, dilation, padding, sources=sources), x)

    def unmasked_conv(self, name: str, x: str, out: int, kernel: int, *, stride: int = 1) -> str:
        """A convolution that always reads all of its input, such as one on the image."""
        return self.add(name, Conv(out, kernel, stride), x)

    def depthwise(self, name: str, x: str, kernel: int, *, stride: int = 1, dilation: int = 1) -> str:
        """A depthwise convolution."""
        return self.add(name, _conv(self._channels[x], kernel, stride, dilation, depthwise=True), x)

    def norm(self, name: str, x: str, *, affine: bool = True) -> str:
        """A batch norm."""
        return self.add(name, _norm(affine), x)

    def relu(self, name: str, x: str) -> str:
        """A ReLU."""
        return self.add(name, _RELU, x)

    def rectified(self, x: str) -> str:
        """The ReLU of a node, shared by all that read it: "cells.0.relu" for "cells.0.concat"."""
        name = f"{x.rpartition('.')[0] or x}.relu"
        if name in self._nodes:
            assert self._nodes[name].inputs == (x,)
            return name
        return self.relu(name, x)

    def classify(self, x: str, classes: int) -> str:
        """Global average pooling ("pool") and a linear layer ("classifier")."""
        return self.add("classifier", Linear(classes), self.add("pool", GlobalPool(), x))

    def graph(self, tower: Tower | None = None, *, check: bool = True) -> Graph:
        """The graph. With `check`, raises ValueError if it is unsound or the images are too small for it."""
        graph = Graph(tuple(self._nodes.values()), self._image_size, tower)
        if check:
            assert graph.shapes
        return graph
