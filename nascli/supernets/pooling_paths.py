"""Pooling paths: a 1x1 convolution after a pooling stands in for it, so that the posterior decides whether it stays.

PGNAS names this as future work (Section 4): a 1x1 convolution as a surrogate after each pooling operation, to decide
whether the network needs the pooling's branch.

In ENAS's cells, a branch is what a node adds to its sum. Two nodes may add the same pooled state, and each branch then
has a stand-in of its own. In DenseNet no branch pools: the poolings of the stem and of the transitions are on the only
path from the image. What they have is readers, since each of them is a source in the concatenations of its stage. One
stand-in after each pooling drops channels for all of these readers at once; without any channel, nothing would be left.
"""

from collections.abc import Iterator

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import AvgPool, Conv, DropPath, MaxPool


def with_stand_ins(graph: Graph) -> Graph:
    """The graph with a masked 1x1 convolution, at first the identity, between each pooling and what reads it.

    Branches that drop-path may leave out have one each; all other readers of a pooling share one. No batch norm
    follows, so that the network's function is at first that of the graph without stand-ins. The pooling over whole maps
    before the classifier has none.
    """
    return Graph(tuple(_nodes(graph)), graph.image_size, graph.tower)


def _nodes(graph: Graph) -> Iterator[Node]:
    shared: dict[str, str] = {}
    for node in graph.nodes:
        inputs = list(node.inputs)
        for place, read in enumerate(inputs):
            if not isinstance(graph.by_name[read].op, MaxPool | AvgPool):
                continue
            if isinstance(node.op, DropPath):
                stand_in = _stand_in(graph, read, node.name)
                yield stand_in
                inputs[place] = stand_in.name
                continue
            if read not in shared:
                stand_in = _stand_in(graph, read, read)
                yield stand_in
                shared[read] = stand_in.name
            inputs[place] = shared[read]
        yield node._replace(inputs=tuple(inputs))


def _stand_in(graph: Graph, pooling: str, beside: str) -> Node:
    """The stand-in that reads a pooling, with a name like that of the node `beside` it."""
    channels = graph.shapes[pooling].channels
    conv = Conv(channels, sources=(channels,), passes=tuple(range(channels)))
    return Node(f"{beside.rpartition('.')[0]}.stand_in", conv, (pooling,))
