"""Names, shapes and types of a graph's state: weights and running statistics. Needs no torch."""

from collections.abc import Iterator
from typing import NamedTuple

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import Constant, Conv, Crossed, Linear, Norm


class Tensor(NamedTuple):
    """A tensor's shape, and its type by numpy's name."""

    shape: tuple[int, ...]
    dtype: str = "float32"


def state_of(graph: Graph) -> dict[str, Tensor]:
    """The entries of `GraphNetwork(graph).state_dict()`, by name, without the weights of an auxiliary tower."""
    return {f"{node.name}.{name}": tensor for node in graph.nodes for name, tensor in _tensors(graph, node)}


def _tensors(graph: Graph, node: Node) -> Iterator[tuple[str, Tensor]]:
    channels = graph.shapes[node.name].channels
    match node.op:
        case Conv(kernel=kernel, depthwise=depthwise):
            read = 1 if depthwise else graph.shapes[node.inputs[0]].channels
            yield "weight", Tensor((channels, read, kernel, kernel))
        case Crossed(kernel=kernel):
            yield "row.weight", Tensor((channels, channels, 1, kernel))
            yield "column.weight", Tensor((channels, channels, kernel, 1))
        case Norm(affine=affine):
            learnt = ("weight", "bias") if affine else ()
            yield from ((name, Tensor((channels,))) for name in (*learnt, "running_mean", "running_var"))
            yield "num_batches_tracked", Tensor((), "int64")
        case Linear():
            yield "weight", Tensor((channels, graph.shapes[node.inputs[0]].channels))
            yield "bias", Tensor((channels,))
        case Constant(rows=rows):
            yield "value", Tensor((channels, rows, rows))
