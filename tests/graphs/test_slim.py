"""What is left of a super-network: exactly the channels that depend on the image and that the logits depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nascli.artifacts.genotypes import published
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    Crossed,
    DropPath,
    Linear,
    MaxPool,
    Norm,
    Relu,
    Select,
    Sum,
    Zeros,
)
from nascli.graphs.slim import Slim, slim
from nascli.registry import SUPERNETS
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from tests.supernets.masks import kept_by, random_mask
from tests.supernets.networks import images, network_of, small_graph


def all_but(graph: Graph, *dropped: str) -> dict[str, range]:
    """Everything kept, but for the named convolutions, which keep nothing."""
    return {name: range(0 if name in dropped else sum(conv.sources)) for name, conv in graph.masked.items()}


def cut(graph: Graph, *dropped: str) -> Slim:
    """A super-network without the inputs of some convolutions."""
    return slim(graph, all_but(graph, *dropped))


def linear(graph: Graph) -> Graph:
    """The same without ReLU and max pooling, where a channel that is read always shows."""
    nodes = []
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Relu):
            op = DropPath()  # does nothing without paths
        elif isinstance(op, MaxPool):
            op = AvgPool(op.kernel, op.stride, op.pad)
        nodes.append(node._replace(op=op))
    return Graph(tuple(nodes), graph.image_size)


@pytest.mark.parametrize("name", SUPERNETS)
def test_nothing_dropped_is_the_super_network(name: str) -> None:
    graph = small_graph(name)
    left = cut(graph)
    nodes = [
        node._replace(op=replace(node.op, sources=())) if isinstance(node.op, Conv) else node for node in graph.nodes
    ]
    assert list(left.graph.nodes) == nodes
    assert not left.constants
    assert not left.shifts
    assert (left.graph.parameters, left.graph.multiply_adds) == (graph.parameters, graph.multiply_adds)
    assert left.graph.tower == graph.tower


@pytest.mark.parametrize(
    ("name", "drop", "drop_whole"),
    [
        *[("resnet-mb", *drops) for drops in ((0.3, 0.0), (0.6, 0.2), (0.2, 0.5))],
        *[("enas", *drops) for drops in ((0.6, 0.2), (0.2, 0.5))],
        ("resnet50-inflated", 0.6, 0.2),
        *[("densenet121", *drops) for drops in ((0.3, 0.0), (0.2, 0.5))],
    ],
)
def test_channels_are_left_if_they_vary_with_the_image_and_the_logits_with_them(
    name: str, drop: float, drop_whole: float
) -> None:
    """By brute force: what two images give, and the gradient of the logits."""
    graph = small_graph(name, 33)
    mask = random_mask(graph, 3, drop=drop, drop_whole=drop_whole)
    left = slim(graph, kept_by(graph, mask))
    layers = [node.name for node in graph.nodes if isinstance(node.op, Conv | Norm)]
    network = network_of(linear(graph))
    values = network.values(
        images(graph, 2), [*layers, graph.nodes[-1].name], torch.from_numpy(mask[None].astype(np.float64))
    )
    weights = torch.linspace(1, 2, 5, dtype=torch.float64)
    gradients = torch.autograd.grad(
        (values[graph.nodes[-1].name] @ weights).sum(),
        [values[layer] for layer in layers],
        allow_unused=True,
        materialize_grads=True,
    )
    scale = max(gradient.abs().max() for gradient in gradients)
    for layer, gradient in zip(layers, gradients, strict=True):
        varies = (values[layer][0] - values[layer][1]).abs().amax((1, 2)) > 1e-9
        counts = gradient.abs().amax((0, 2, 3)) > 1e-9 * scale
        expected = tuple(torch.nonzero(varies & counts).flatten().tolist())
        assert left.outputs.get(layer, ()) == expected, layer
        assert (layer in left.graph.by_name) == bool(expected)


@pytest.mark.parametrize("name", SUPERNETS)
def test_no_layer_reads_a_dropped_channel(name: str) -> None:
    graph = small_graph(name, 45)
    kept = kept_by(graph, random_mask(graph, 5, drop=0.5, drop_whole=0.1))
    left = slim(graph, kept)
    for node in left.graph.nodes:
        if isinstance(node.op, Conv | Linear) and node.name in left.inputs:
            read = left.graph.shapes[node.inputs[0]].channels
            assert read == len(left.inputs[node.name])
            if node.name in kept:
                assert set(left.inputs[node.name]) | set(left.fixed.get(node.name, ())) == set(kept[node.name])


def test_a_block_without_branches_is_its_skip_and_a_bias() -> None:
    graph = small_graph("resnet-mb", depth=2)
    block = "stage1.block1"
    left = cut(graph, f"{block}.branch0.conv2", f"{block}.branch1.conv1")
    inside = [node for node in left.graph.nodes if node.name.startswith(block)]
    assert [type(node.op) for node in inside] == [Constant, Sum]
    assert inside[1].inputs == ("stage1.block0.sum", f"{block}.sum.bias")
    assert left.constants == {f"{block}.sum.bias": (f"{block}.branch0.norm2", f"{block}.branch1.norm2")}
    # One branch lost its second convolution, the other its first: its second one then reads constant maps, and what it
    # puts out differs at the border.
    assert inside[0].op == Constant(8, 16, 3)


def test_one_branch_lost_its_last_convolution() -> None:
    """The branch has one value everywhere, and its first convolution has no reader any more."""
    graph = small_graph("resnet-mb")
    left = cut(graph, "stage0.block0.branch0.conv2")
    assert not [node for node in left.graph.nodes if node.name.startswith("stage0.block0.branch0")]
    assert left.graph.by_name["stage0.block0.sum.bias"].op == Constant(4, 32, 1)


def test_a_dropped_kernel_leaves_the_convolution_that_reads_it() -> None:
    """Three kernels are left of four, and the batch norms, with nothing in the dropped one's place."""
    graph = small_graph("resnet50-inflated", width=8)
    block = "stage1.block0"
    left = cut(graph, f"{block}.conv2.kernel2")
    assert f"{block}.conv2.kernel2" not in left.graph.by_name
    shares = [graph.shapes[f"{block}.conv2.kernel{kernel}"].channels for kernel in range(4)]
    assert left.graph.shapes[f"{block}.norm2"].channels == sum(shares) - shares[2]
    assert left.inputs[f"{block}.conv3"] == (*range(8), *range(12, 16))
    assert left.shifts == {f"{block}.norm3": [(f"{block}.conv3", 0)]}
    assert left.fixed == {f"{block}.conv3": (8, 9, 10, 11)}
    assert not [node for node in left.graph.nodes if isinstance(node.op, Constant | Select)]


@pytest.mark.parametrize("name", SUPERNETS)
def test_of_nothing_the_constants_are_left(name: str) -> None:
    graph = small_graph(name)
    left = cut(graph, *graph.masked)
    assert not [node for node in left.graph.nodes if isinstance(node.op, Conv)]
    assert left.graph.multiply_adds == left.graph.shapes["pool"].channels * 5


def test_a_layer_that_reads_much_selects_once() -> None:
    """DenseNet's layers read up to 25 parts, each wanted by others too: they are joined, then one choice is made."""
    graph = small_graph("densenet121", depth=4)
    left = slim(graph, kept_by(graph, random_mask(graph, 7, drop=0.4)))
    selects = [node for node in left.graph.nodes if isinstance(node.op, Select)]
    # One per layer and transition, and one for the last batch norm.
    assert len(selects) <= 4 * 4 + 3 + 1


def test_a_padded_convolution_of_fixed_maps_adds_what_differs_at_the_border() -> None:
    """A 3x3 convolution reads two channels: one depends on the image, the other has a value of its own everywhere."""
    build = Builder(1, 6)
    moving = build.norm("moving.norm", build.conv("moving.conv", build.image, 1))
    still = build.norm("still.norm", build.conv("still.conv", build.image, 1))
    joined = build.add("joined", Concat(), moving, still)
    build.classify(build.norm("norm", build.conv("conv", joined, 3, 3)), 2)
    left = cut(build.graph(), "still.conv")
    assert left.inputs["conv"] == (0,)
    assert left.fixed == {"conv": (1,)}
    assert left.graph.by_name["conv.constant"].op == Constant(3, 6, 3)
    assert left.graph.by_name["norm"].inputs == ("conv.shifted",)
    assert not left.shifts


def settings(layers: int, image_size: int) -> NetworkSettings:
    return NetworkSettings(layers=layers, channels=4, stem="cifar", classes=5, image_channels=2, image_size=image_size)


def check_logits(graph: Graph, mask: np.ndarray) -> Slim:
    """The network that is left says what the whole one says under its mask. Returns what is left."""
    whole, batch = network_of(graph), images(graph)
    row = torch.from_numpy(mask[None].astype(np.float64))
    left = slim(graph, kept_by(graph, mask))
    network = GraphNetwork(left.graph).double().eval()
    inherit(network, left, whole, row)
    with torch.no_grad():
        expected = whole(batch, masks=row)
        assert not torch.allclose(expected, whole(batch), atol=1e-3)
        torch.testing.assert_close(network(batch), expected, rtol=0, atol=1e-12)
    return left


def of_kind(graph: Graph, kind: type) -> list[str]:
    return [node.name for node in graph.nodes if isinstance(node.op, kind)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("image_size", [8, 13])
def test_crossed_convolutions_read_all_channels_also_those_of_fixed_value(image_size: int, seed: int) -> None:
    """AmoebaNet-A's reduction cells cross the cell before them, here of channels dropped one by one and whole."""
    graph = published.load("amoebanet-a").genotype.graph(settings(3, image_size))
    assert len(of_kind(graph, Crossed)) == 2
    left = check_logits(graph, random_mask(graph, seed, drop=0.3, drop_whole=0.1 * seed))
    for name in of_kind(left.graph, Crossed):
        assert left.graph.shapes[name] == graph.shapes[name]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("image_size", [5, 8, 9, 20])
def test_what_a_crossed_convolution_makes_of_fixed_maps(image_size: int, stride: int) -> None:
    """Seven taps of zeros at the border reach three pixels into the maps; half of one's input has a fixed value."""
    build = Builder(2, image_size)
    moving = build.norm("moving.norm", build.conv("moving.conv", build.image, 3))
    still = build.norm("still.norm", build.conv("still.conv", build.image, 3))
    alone = build.add("alone", Crossed(7, stride), still)
    mixed = build.add("mixed", Crossed(7, stride), build.add("joined", Concat(), moving, still))
    both = build.add("both", Concat(), mixed, alone)
    build.classify(build.norm("norm", build.conv("conv", both, 3, 3)), 5)
    graph = build.graph()
    mask = np.ones(graph.mask_size, np.bool_)
    mask[list(graph.mask_ranges["still.conv"])] = False
    left = check_logits(graph, mask)
    assert of_kind(left.graph, Crossed) == ["mixed"]
    # Three pixels of the border, or two at stride 2, and one more behind the 3x3 convolution.
    border = {1: 4, 2: 3}[stride]
    side = -(-image_size // stride)
    assert left.graph.by_name["conv.constant"].op == Constant(3, side, min(side, 2 * border + 1))


CELLS = (
    "|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|skip_connect~1|nor_conv_1x1~2|",
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("image_size", [8, 17])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_of_nas_bench_201_with_edges_that_are_nothing(cell: str, image_size: int, seed: int) -> None:
    """A state that nothing leads to adds nothing; 17 pixels are halved to 9 and 5."""
    graph = cell_space("nas-bench-201").parse(cell, "the test").graph(settings(6, image_size))
    left = check_logits(graph, random_mask(graph, seed, drop=0.2, drop_whole=0.1 * seed))
    assert not of_kind(left.graph, Zeros)


def test_a_cell_of_which_no_path_comes_through_leaves_constants() -> None:
    """The second stage's maps are those of its residual block; a cell without a path makes the network a constant."""
    cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
    graph = cell_space("nas-bench-201").parse(cell, "the test").graph(settings(3, 8))
    left = slim(graph, all_but(graph))
    assert not of_kind(left.graph, Conv)
    network = network_of(graph)
    small = GraphNetwork(left.graph).double().eval()
    inherit(small, left, network, torch.ones(1, graph.mask_size, dtype=torch.float64))
    with torch.no_grad():
        logits = small(images(graph))
        torch.testing.assert_close(logits, network(images(graph)), rtol=0, atol=1e-12)
        assert torch.equal(logits[0], logits[1])
