"""Inherited weights: the smaller network has the logits of the masked super-network, and can be trained."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Concat, MaxPool, Pick, Sum
from nascli.graphs.slim import Slim, slim
from nascli.graphs.tower import TOWER_FORMS, Tower
from nascli.registry import SUPERNETS
from tests.supernets.masks import kept_by, random_mask
from tests.supernets.networks import images, multiply_adds, network_of, small_graph

SIDES = {"resnet-mb": (16, 15, 9, 6), "enas": (16, 15, 9, 6)}
"""Images that the networks halve to even, odd and tiny maps; those with a stride of 32:"""
LARGE_SIDES = (64, 75, 33, 32)


def sides(name: str) -> tuple[int, ...]:
    return SIDES.get(name.removesuffix("-inflated"), LARGE_SIDES)


def row(mask: NDArray[np.bool_]) -> torch.Tensor:
    """A mask as the network takes it. [1, mask_size]"""
    return torch.from_numpy(mask[None].astype(np.float32))


def derived(supernet: GraphNetwork, mask: NDArray[np.bool_]) -> tuple[Slim, GraphNetwork]:
    """What is left, with the super-network's weights, in their precision and its mode."""
    left = slim(supernet.graph, kept_by(supernet.graph, mask))
    network = GraphNetwork(left.graph).to(next(supernet.parameters()).dtype).train(supernet.training)
    inherit(network, left, supernet, row(mask))
    return left, network


def difference(supernet: GraphNetwork, mask: NDArray[np.bool_], batch: torch.Tensor) -> float:
    """The largest one of any logit."""
    _, network = derived(supernet, mask)
    with torch.no_grad():
        return float((network(batch) - supernet(batch, masks=row(mask))).abs().max())


KINDS = sorted(SUPERNETS.keys() - {"resnet-mb-inflated", "enas-inflated"})
"""These two differ from others in their published width alone."""


@pytest.mark.parametrize("name", KINDS)
def test_masks_from_nothing_dropped_to_everything(name: str) -> None:
    """Eight, on four sizes of images, whole convolutions too. `benchmarks/slim_masks.py` takes a hundred."""
    for place, side in enumerate(sides(name)):
        graph = small_graph(name, side, width=6 if name.endswith("inflated") else 4)
        supernet, batch = network_of(graph).float(), images(graph, 2).float()
        with torch.no_grad():
            assert 0.05 < supernet(batch).std() < 20
        for number in range(place, 8, 4):
            mask = random_mask(graph, number, drop=number / 7, drop_whole=(0.0, 0.1, 0.4)[number % 3])
            assert difference(supernet, mask, batch) < 1e-4, (side, number)


@pytest.mark.parametrize("name", ["resnet-mb", "enas", "resnet50-inflated", "densenet121"])
def test_nothing_but_rounding_differs(name: str) -> None:
    """In double precision; whole convolutions and sources dropped, so that much is constant and padding shows."""
    graph = small_graph(name, sides(name)[1], depth=2 if name == "densenet121" else 1)
    supernet, batch = network_of(graph), images(graph, 2)
    for number in range(4):
        wholes = {"drop_whole": 0.2 + 0.2 * number} if number % 2 else {"drop_source": 0.2 + 0.2 * number}
        mask = random_mask(graph, number, drop=0.2, **wholes)
        assert difference(supernet, mask, batch) < 1e-9, number


@pytest.mark.parametrize("name", KINDS)
def test_nothing_dropped_are_the_same_logits_bit_for_bit(name: str) -> None:
    graph = small_graph(name, sides(name)[0])
    supernet, batch = network_of(graph).float(), images(graph, 2).float()
    _, network = derived(supernet, np.ones(graph.mask_size, np.bool_))
    with torch.no_grad():
        assert torch.equal(network(batch), supernet(batch))


@pytest.mark.parametrize("name", KINDS)
def test_sizes_are_those_of_the_network(name: str) -> None:
    graph = small_graph(name, sides(name)[1])
    left = slim(graph, kept_by(graph, random_mask(graph, 0, drop=0.3, drop_whole=0.3)))
    network = GraphNetwork(left.graph)
    assert left.graph.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert left.graph.multiply_adds == multiply_adds(network)


@pytest.mark.parametrize("name", ["resnet-mb", "enas", "resnet50-inflated", "densenet121"])
def test_all_of_it_learns(name: str) -> None:
    """Every output of every layer gets a gradient in training mode: none is dead weight."""
    graph = small_graph(name, sides(name)[0])
    mask = random_mask(graph, 2, drop=0.3, drop_whole=0.15)
    _, network = derived(network_of(graph).float(), mask)
    network.train()
    F.cross_entropy(network(images(graph, 8).float()), torch.arange(8) % 5).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().max() > 1e-7, parameter_name


@pytest.mark.parametrize("name", ["resnet-mb", "enas", "densenet121"])
def test_gradients_do_not_depend_on_the_memory_format(name: str) -> None:
    graph = small_graph(name, sides(name)[1])
    _, network = derived(network_of(graph), random_mask(graph, 2, drop=0.4, drop_whole=0.1))
    batch = images(graph, 2)
    network.train()
    gradients = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        loss = network(batch.contiguous(memory_format=memory_format)).square().sum()
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_the_super_network_stays_as_it_was() -> None:
    graph = small_graph("enas", 8)
    supernet = network_of(graph).train()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    derived(supernet, random_mask(graph, 1, drop=0.3, drop_whole=0.3))
    assert supernet.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


@pytest.mark.parametrize("with_tower", [True, False])
def test_the_tower_reads_what_is_left_of_its_maps(with_tower: bool) -> None:
    """It has the logits of the super-network's tower when that gets zeros for the other channels."""
    graph = small_graph("enas", width=4)
    supernet = network_of(graph, with_tower=with_tower)
    mask = random_mask(graph, 1, drop=0.6)
    left = slim(graph, kept_by(graph, mask))
    assert len(left.auxiliary) < graph.shapes[graph.tower.node].channels
    network = GraphNetwork(left.graph, with_tower=True).double().eval()
    fresh = network.get_parameter("auxiliary.reduce.weight").clone()
    inherit(network, left, supernet, row(mask))
    batch = images(graph)
    if not with_tower:
        assert torch.equal(network.get_parameter("auxiliary.reduce.weight"), fresh)
        return
    others = [channel for channel in range(graph.shapes[graph.tower.node].channels) if channel not in left.auxiliary]
    with torch.no_grad():
        supernet.get_parameter("auxiliary.reduce.weight")[:, others] = 0
        expected = supernet(batch, masks=row(mask).double(), with_auxiliary=True)
        for given, wanted in zip(network(batch, with_auxiliary=True), expected, strict=True):
            torch.testing.assert_close(given, wanted, rtol=0, atol=1e-10)


def _patchwork(side: int, stride: int, dilation: int, kernel: int) -> Graph:
    """Maps of one value go through everything that has a border, join ones that depend on the image, and are read."""
    build = Builder(2, side)
    moving = build.norm("moving.norm", build.conv("moving.conv", build.image, 2, 3, stride=stride))
    still = build.norm("still.norm", build.conv("still.conv", build.image, 2))
    x = build.depthwise("still.depthwise", still, kernel, stride=stride, dilation=dilation)
    pooled = build.add("still.pool", MaxPool(3, stride, 1), still)
    picked = build.add("still.pick", Pick(stride, stride - 1), still)
    x = build.add("still.sum", Sum(), x, pooled, picked)
    x = build.norm("still.norm2", build.conv("still.conv2", x, 2, kernel, dilation=dilation))
    joined = build.add("joined", Concat(), moving, x)
    y = build.norm("norm", build.conv("conv", joined, 3, 3, stride=stride, sources=(2, 2)))
    y = build.add("again", Sum(), y, build.add("pick", Pick(stride, stride - 1), build.conv("narrow", joined, 3)))
    build.classify(build.add("both", Concat(), y, y), 2)
    return build.graph()


class Joined:
    """Maps that depend on the image beside maps of one value, concatenated; what reads them is up to each test.

    Everything is kept but the inputs of "still.conv", and of whatever else is named.
    """

    def __init__(self, side: int) -> None:
        self.build = Builder(2, side)
        self.moving = self.build.norm("moving.norm", self.build.conv("moving.conv", self.build.image, 2))
        self.still = self.build.norm("still.norm", self.build.conv("still.conv", self.build.image, 2))
        self.maps = self.build.add("joined", Concat(), self.moving, self.still)

    def difference(self, last: str, *dropped: str) -> float:
        self.build.classify(last, 2)
        graph = self.build.graph()
        mask = np.ones(graph.mask_size, np.bool_)
        for name in ("still.conv", *dropped):
            mask[list(graph.mask_ranges[name])] = False
        return difference(network_of(graph), mask, images(graph))


def test_zeros_beyond_a_shifted_map_are_a_border() -> None:
    joined = Joined(5)
    picked = joined.build.add("pick", Pick(2, 1), joined.maps)
    assert joined.difference(joined.build.norm("norm", joined.build.conv("conv", picked, 3))) < 1e-12


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pool", [MaxPool, AvgPool])
def test_a_pooling_spreads_the_border(pool: type[MaxPool | AvgPool], stride: int) -> None:
    joined = Joined(9)
    build = joined.build
    bordered = build.add("still.pool", pool(3, stride, 1), build.conv("still.padded", joined.still, 2, 3))
    both = build.add("both", Concat(), build.add("moving.pool", pool(3, stride, 1), joined.moving), bordered)
    assert joined.difference(build.norm("norm", build.conv("conv", both, 3, 3))) < 1e-12


@pytest.mark.parametrize("side", [8, 9, 13])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (3, 3, 1)])
@pytest.mark.parametrize("pool", [MaxPool, AvgPool])
def test_the_last_window_of_a_pooling_that_rounds_up_reaches_into_the_border(
    pool: type[MaxPool | AvgPool], window: tuple[int, int, int], side: int
) -> None:
    joined = Joined(side)
    build, op = joined.build, pool(*window, ceil=True)
    # Two convolutions whose zeros at the border show on two pixels.
    bordered = build.conv("still.padded2", build.conv("still.padded", joined.still, 2, 3), 2, 3)
    both = build.add(
        "both", Concat(), build.add("moving.pool", op, joined.moving), build.add("still.pool", op, bordered)
    )
    assert joined.difference(build.norm("norm", build.conv("conv", both, 3, 3))) < 1e-12


def test_a_norm_takes_the_shift_of_each_of_its_convolutions() -> None:
    joined = Joined(5)
    convs = [joined.build.conv(f"conv{out}", joined.maps, out) for out in (2, 3)]
    assert joined.difference(joined.build.norm("norm", joined.build.add("both", Concat(), *convs))) < 1e-12


def test_a_norm_that_nobody_needs_takes_no_shift() -> None:
    joined = Joined(5)
    build = joined.build
    conv = build.conv("conv", joined.maps, 3)
    gone = build.norm("gone.norm", build.conv("gone.conv", build.norm("gone.first", conv), 3))
    assert joined.difference(build.add("sum", Sum(), build.norm("norm", conv), gone), "gone.conv") < 1e-12


def test_a_tower_on_a_convolution_reads_its_maps_with_the_shift() -> None:
    joined = Joined(5)
    conv = joined.build.conv("conv", joined.maps, 3)
    joined.build.classify(joined.build.norm("norm", conv), 2)
    graph = joined.build.graph(Tower(conv, TOWER_FORMS["cifar"], 1))
    supernet, batch = network_of(graph), images(graph)
    mask = np.ones(graph.mask_size, np.bool_)
    mask[list(graph.mask_ranges["still.conv"])] = False
    left, network = derived(supernet, mask)
    assert left.graph.tower is not None
    place = left.graph.tower.node
    with torch.no_grad():
        theirs = supernet.values(batch, (conv,), row(mask))[conv][:, list(left.auxiliary)]
        torch.testing.assert_close(network.values(batch, (place,))[place], theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("stride", "dilation", "kernel"), [(1, 1, 3), (2, 1, 3), (2, 1, 5), (1, 2, 3), (2, 2, 5)])
@pytest.mark.parametrize("side", range(2, 11))
def test_borders(side: int, stride: int, dilation: int, kernel: int) -> None:
    graph = _patchwork(side, stride, dilation, kernel)
    supernet = network_of(graph)
    mask = np.ones(graph.mask_size, np.bool_)
    mask[list(graph.mask_ranges["still.conv"])] = False
    assert difference(supernet, mask, images(graph)) < 1e-12
