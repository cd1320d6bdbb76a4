"""Graphs as data: sizes by hand, and graphs that hang together badly."""

import pytest

from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph, Node, Shape
from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    GlobalPool,
    Image,
    Linear,
    MaxPool,
    Norm,
    Pick,
    Relu,
    Select,
    Sum,
)

IMAGE = Node("image", Image(3), ())


def _graph(*nodes: Node, image_size: int = 8) -> Graph:
    return Graph((IMAGE, *nodes), image_size)


def test_sizes_by_hand() -> None:
    """What `parameters` and `multiply_adds` count, on one node of each kind that costs anything."""
    graph = _graph(
        Node("stem", Conv(4, 3), ("image",)),
        Node("norm", Norm(), ("stem",)),
        Node("relu", Relu(), ("norm",)),
        Node("depthwise", Conv(4, 5, 2, depthwise=True), ("relu",)),
        Node("conv", Conv(6, 1, sources=(3, 1)), ("depthwise",)),
        Node("bias", Constant(6, 4, 3), ("image",)),
        Node("sum", Sum(), ("conv", "bias")),
        Node("pool", GlobalPool(), ("sum",)),
        Node("classifier", Linear(10), ("pool",)),
    )
    convs = {"stem": 4 * 3 * 9, "depthwise": 4 * 25, "conv": 6 * 4}
    assert graph.parameters == sum(convs.values()) + 2 * 4 + 6 * 9 + (6 * 10 + 10)
    assert graph.multiply_adds == convs["stem"] * 64 + (convs["depthwise"] + convs["conv"]) * 16 + 60
    assert graph.shapes["conv"] == Shape(6, 4)
    assert [(group.conv, group.source, group.first, group.start, group.size) for group in graph.groups] == [
        ("conv", 0, 0, 0, 3),
        ("conv", 1, 3, 3, 1),
    ]
    assert graph.readers["image"] == ("stem", "bias")


@pytest.mark.parametrize(("image_size", "taps"), [(2, 9), (3, 25), (9, 25)])
def test_a_depthwise_kernel_larger_than_its_map_computes_what_can_meet_it(image_size: int, taps: int) -> None:
    """On 2x2 pixels the outer taps of a 5x5 only see padding; they are weights all the same."""
    graph = _graph(Node("node", Conv(3, 5, depthwise=True), ("image",)), image_size=image_size)
    assert graph.parameters == 3 * 25
    assert graph.multiply_adds == 3 * taps * image_size**2


@pytest.mark.parametrize(
    ("op", "side"),
    [
        (Conv(4, 3), 9),
        (Conv(4, 3, 2), 5),
        (Conv(4, 3, padding=0), 7),
        (Conv(4, 3, dilation=2), 9),
        (Conv(4, 5, 2, dilation=2), 5),
        (MaxPool(3, 2, 1), 5),
        (AvgPool(2, 2, 0), 4),
        (Pick(2, 0), 5),
        (Pick(2, 1), 5),
    ],
)
def test_sides_on_an_odd_map(op: Conv | MaxPool | AvgPool | Pick, side: int) -> None:
    assert _graph(Node("node", op, ("image",)), image_size=9).shapes["node"].side == side


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("conv", Conv(4, sources=(2, 2)), ("image",))], "conv: the sources have 4 channels, its input 3"),
        ([Node("conv", Conv(4, depthwise=True), ("image",))], "conv: a depthwise convolution has as many outputs"),
        ([Node("conv", Conv(3, depthwise=True, sources=(3,)), ("image",))], "conv: a depthwise convolution has"),
        ([Node("a", Pick(2, 0), ("image",)), Node("sum", Sum(), ("a", "image"))], "sum: the summands have different"),
        ([Node("a", Pick(2, 0), ("image",)), Node("both", Concat(), ("a", "image"))], "both: maps of different sides"),
        ([Node("select", Select((0, 3)), ("image",))], "select: selects channels that are not there"),
        ([Node("pool", MaxPool(9, 1, 0), ("image",))], "pool: nothing is left of its maps"),
        ([Node("relu", Relu(), ("image",)), Node("relu", Relu(), ("relu",))], "two nodes have one name"),
    ],
)
def test_graphs_that_hang_together_badly(nodes: list[Node], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _checked(*nodes)


def _checked(*nodes: Node) -> None:
    graph = _graph(*nodes)
    assert graph.by_name
    assert graph.shapes


def test_the_first_node_is_the_image() -> None:
    with pytest.raises(ValueError, match="the first node is the image"):
        Graph((Node("relu", Relu(), ()),), 8)


def test_a_builder_refuses_images_that_leave_no_map() -> None:
    build = Builder(3, 4)
    build.classify(build.add("pool0", AvgPool(5, 5, 0), build.image), 10)
    with pytest.raises(ValueError, match="pool0: nothing is left of its maps"):
        build.graph()
