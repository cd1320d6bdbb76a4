"""Graphs as data: sizes by hand, and graphs that hang together badly."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.auxiliary import AuxiliaryTower
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph, Node, Shape
from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    Crossed,
    GlobalPool,
    Image,
    Linear,
    MaxPool,
    Norm,
    Pick,
    Relu,
    Select,
    Sum,
    Zeros,
)
from nascli.graphs.tower import TOWER_FORMS, Tower

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


@pytest.mark.parametrize(("stride", "width", "height"), [(1, 9, 9), (2, 5, 5)])
def test_a_crossed_convolution_by_hand(stride: int, width: int, height: int) -> None:
    """3 channels, 9x9 pixels. The row-wise half narrows the maps, and the column-wise one reads those."""
    graph = _graph(Node("node", Crossed(7, stride), ("image",)), image_size=9)
    taps = 3 * 3 * 7
    assert graph.shapes["node"] == Shape(3, height)
    assert graph.parameters == 2 * taps
    assert graph.multiply_adds == taps * 9 * width + taps * height * width
    assert not graph.masked


def test_zeros_have_the_shape_of_what_they_read_and_cost_nothing() -> None:
    graph = _graph(Node("conv", Conv(4, 3, 2), ("image",)), Node("nothing", Zeros(), ("conv",)))
    assert graph.shapes["nothing"] == Shape(4, 4)
    assert (graph.parameters, graph.multiply_adds) == (4 * 3 * 9, 4 * 3 * 9 * 16)


@pytest.mark.parametrize("pool", [MaxPool, AvgPool])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 3, 0), (3, 2, 1), (3, 1, 1), (2, 3, 1), (3, 4, 0)])
@pytest.mark.parametrize("side", range(3, 12))
def test_a_pooling_that_rounds_up_has_torchs_sides(
    pool: type[MaxPool | AvgPool], window: tuple[int, int, int], side: int
) -> None:
    """The last window may be cut off, unless it would begin beyond the map."""
    graph = _graph(Node("node", pool(*window, ceil=True), ("image",)), image_size=side)
    found = F.max_pool2d(torch.zeros(1, 1, side, side), *window, ceil_mode=True)
    assert graph.shapes["node"].side == found.shape[-1]


def _with_an_end() -> Graph:
    """A stem that three nodes read: a chain to the classifier, and an end that nothing reads."""
    return _graph(
        Node("stem", Conv(4, 3), ("image",)),
        Node("dead", Conv(5, 3), ("stem",)),
        Node("deader", Norm(), ("dead",)),
        Node("left", Relu(), ("stem",)),
        Node("right", Norm(), ("stem",)),
        Node("sum", Sum(), ("left", "right", "left")),
        Node("pool", GlobalPool(), ("sum",)),
        Node("classifier", Linear(2), ("pool",)),
    )


def test_what_nothing_reads_is_not_computed_and_its_parameters_count() -> None:
    graph = _with_an_end()
    steps = [step.node.name for step in graph.steps(("classifier",))]
    assert steps == ["stem", "left", "right", "sum", "pool", "classifier"]
    dead = 5 * 4 * 9 + 2 * 5
    assert graph.parameters == 4 * 3 * 9 + dead + 2 * 4 + (2 * 4 + 2)
    assert [step.node.name for step in graph.steps(("deader",))] == ["stem", "dead", "deader"]


def test_steps_free_a_value_after_its_last_reader() -> None:
    spent = {step.node.name: step.spent for step in _with_an_end().steps(("classifier",))}
    assert spent == {
        "stem": ("image",),
        "left": (),
        "right": ("stem",),
        "sum": ("left", "right"),
        "pool": ("sum",),
        "classifier": ("pool",),
    }


def test_steps_keep_what_is_wanted_and_start_from_what_is_given() -> None:
    graph = _with_an_end()
    kept = {name for step in graph.steps(("classifier", "stem", "sum")) for name in step.spent}
    assert kept == {"image", "left", "right", "pool"}
    steps = graph.steps(("sum",), given=("stem",))
    assert [(step.node.name, step.spent) for step in steps] == [
        ("left", ()),
        ("right", ("stem",)),
        ("sum", ("left", "right")),
    ]
    assert graph.steps(("stem",), given=("stem",)) == []


@pytest.mark.parametrize("form", TOWER_FORMS)
def test_a_towers_parameters_are_those_of_its_module(form: str) -> None:
    build = Builder(3, 8)
    stem = build.unmasked_conv("stem", build.image, 24, 3)
    build.classify(stem, 5)
    graph = build.graph(Tower(stem, TOWER_FORMS[form], 1))
    module = AuxiliaryTower(24, 5, TOWER_FORMS[form])
    assert graph.tower_parameters == sum(parameter.numel() for parameter in module.parameters())
    # Those of the network itself are without the tower's.
    assert graph.parameters == 24 * 3 * 9 + (24 * 5 + 5)
    assert build.graph().tower_parameters == 0


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
        (Crossed(7, 1), 9),
        (Crossed(7, 2), 5),
        (MaxPool(2, 2, 0), 4),
        (MaxPool(2, 2, 0, ceil=True), 5),
        (AvgPool(2, 2, 0, ceil=True), 5),
    ],
)
def test_sides_on_an_odd_map(op: Conv | MaxPool | AvgPool | Pick | Crossed, side: int) -> None:
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
    graph = Graph((Node("relu", Relu(), ()),), 8)
    with pytest.raises(ValueError, match="the first node is the image"):
        _ = graph.shapes


def test_a_builder_refuses_images_that_leave_no_map() -> None:
    build = Builder(3, 4)
    build.classify(build.add("pool0", AvgPool(5, 5, 0), build.image), 10)
    with pytest.raises(ValueError, match="pool0: nothing is left of its maps"):
        build.graph()


def test_a_builder_refuses_a_name_twice() -> None:
    build = Builder(3, 4)
    build.conv("conv", build.image, 4)
    with pytest.raises(ValueError, match="two nodes have the name conv"):
        build.norm("conv", "conv")
    with pytest.raises(ValueError, match="two nodes have the name image"):
        build.relu("image", build.image)
    assert [node.op for node in build.graph().nodes] == [Image(3), Conv(4, sources=(3,))]


def test_sources_are_the_parts_of_a_concatenation_behind_what_leaves_channels_alone() -> None:
    build = Builder(3, 8)
    wide, narrow = build.conv("wide", build.image, 5), build.conv("narrow", build.image, 2)
    joined = build.add("joined", Concat(), wide, narrow, wide)
    rectified = build.relu("relu", joined)
    assert build.sources(wide) == (5,)
    assert build.sources(joined) == (5, 2, 5)
    assert build.sources(rectified) == (5, 2, 5)
    assert build.sources(build.add("pick", Pick(2, 1), rectified)) == (5, 2, 5)
    # Behind a batch norm they are one source, and a convolution mixes them.
    assert build.sources(build.norm("norm", joined)) == (12,)
    assert build.sources(build.conv("mixed", joined, 7, sources=build.sources(joined))) == (7,)
    # A concatenation of concatenations has two sources, not six.
    assert build.sources(build.add("twice", Concat(), joined, joined)) == (12, 12)
    assert build.graph().masked["mixed"].sources == (5, 2, 5)
