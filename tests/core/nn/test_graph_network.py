"""The network of a graph: its shapes and sizes, what masks do, candidates in one pass, drop-path, the tower."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.computations import pick_pixels
from nascli.core.nn.graph_modules import ConstantMaps, SelectChannels, StridedPointwise
from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Constant, DropPath, Select, Sum
from nascli.registry import SUPERNETS
from tests.supernets.networks import images, multiply_adds, network_of, small_graph

NAMES = list({row.target: name for name, row in reversed(SUPERNETS.items())}.values())
"""One super-network of each kind: the inflated ones differ in their published width only."""


def _masks(graph: Graph, count: int, *, keep: float = 0.7, seed: int = 2) -> Tensor:
    """Hard masks. [count, mask_size]"""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, graph.mask_size, generator=generator) < keep).double()


@pytest.mark.parametrize(
    ("name", "image_size"),
    [
        (name, side)
        for name in NAMES
        for side in (8, 32, 45 if SUPERNETS[name].stride == 32 else 13)
        if side >= SUPERNETS[name].stride
    ],
)
def test_graph_and_network_agree(name: str, image_size: int) -> None:
    """On the shape of every node, on parameters and multiply-adds, and on names; on maps down to 2x2 or 1x1."""
    graph = small_graph(name, image_size)
    network = network_of(graph)
    values = network.values(images(graph, 2), [node.name for node in graph.nodes])
    for node, shape in graph.shapes.items():
        expected = (2, shape.channels, shape.side, shape.side) if shape.side else (2, shape.channels)
        assert values[node].shape == expected, node
    assert sum(parameter.numel() for parameter in network.parameters()) == graph.parameters
    assert multiply_adds(network) == graph.multiply_adds
    assert {tensor.rpartition(".")[0] for tensor in network.state_dict()} <= graph.by_name.keys()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_dropped_is_the_plain_network_bit_for_bit(name: str) -> None:
    graph = small_graph(name, max(SUPERNETS[name].stride, 16))
    network, batch = network_of(graph), images(graph)
    with torch.no_grad():
        plain = network(batch)
        assert 0.05 < plain.std() < 20
        assert torch.equal(network(batch, masks=torch.ones(1, graph.mask_size)), plain)


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_channel_is_a_slice_of_zero_weights(name: str) -> None:
    """Half of the groups dropped whole, and single channels of the others, against weights that are zero there."""
    graph = small_graph(name, max(SUPERNETS[name].stride, 16))
    network, batch = network_of(graph), images(graph)
    masks = _masks(graph, 1)
    for group in graph.groups[::2]:
        masks[:, group.start : group.start + group.size] = 0
    with torch.no_grad():
        masked, plain = network(batch, masks=masks), network(batch)
        for conv, entries in graph.mask_ranges.items():
            network.get_parameter(f"{conv}.weight").mul_(masks[0, entries.start : entries.stop, None, None])
        torch.testing.assert_close(network(batch), masked, rtol=0, atol=1e-10)
    assert not torch.allclose(masked, plain, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_a_mask_matters(name: str) -> None:
    """The gradient of the logits in each entry is there; maps are large enough for each kernel to see something."""
    graph = small_graph(name, 16 if SUPERNETS[name].stride < 16 else 64)
    network = network_of(graph)
    masks = torch.ones(1, graph.mask_size, dtype=torch.float64, requires_grad=True)
    logits = network(images(graph, 8), masks=masks)
    (gradient,) = torch.autograd.grad((logits * torch.randn_like(logits)).sum(), masks)
    silent = [group for group in graph.groups if (gradient[0, group.start : group.start + group.size] == 0).any()]
    assert not silent


@pytest.mark.parametrize("name", ["resnet-mb", "enas", "densenet121"])
def test_each_image_has_its_own_mask(name: str) -> None:
    graph = small_graph(name, max(SUPERNETS[name].stride, 16))
    network, batch, masks = network_of(graph), images(graph), _masks(graph, 3)
    with torch.no_grad():
        together = network(batch, masks=masks)
        alone = [network(image[None], masks=mask[None]) for image, mask in zip(batch, masks, strict=True)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-10)
        for_all = network(batch, masks=masks[:1])
        torch.testing.assert_close(network(batch, masks=masks[:1].expand(3, -1)), for_all, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["resnet-mb", "densenet121"])
def test_values_are_those_that_a_node_puts_out(name: str) -> None:
    """A batch norm's too, although the ReLU behind it may work in place; asking changes nothing."""
    graph = small_graph(name, max(SUPERNETS[name].stride, 16))
    network, batch = network_of(graph), images(graph)
    with torch.no_grad():
        values = network.values(batch, [node.name for node in graph.nodes])
        norms = [node.name for node in graph.nodes if node.name.rpartition(".")[2].startswith("norm")]
        assert all((values[norm] < 0).any() for norm in norms)
        assert torch.equal(values["classifier"], network(batch))


def test_gradients_reach_every_weight_of_a_masked_network_in_training() -> None:
    graph = small_graph("enas", 16)
    network = network_of(graph).train()
    F.cross_entropy(network(images(graph, 8), masks=_masks(graph, 8, keep=0.9)), torch.arange(8) % 5).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_drop_path_leaves_out_the_path_of_its_row() -> None:
    build = Builder(2, 4)
    paths = [build.add(f"drop{number}", DropPath(), build.conv(f"conv{number}", build.image, 2)) for number in (0, 1)]
    build.classify(build.add("sum", Sum(), *paths), 3)
    graph = build.graph()
    network, batch = network_of(graph), images(graph, 2)
    assert network.path_count == 2
    with torch.no_grad():
        maps = network.values(batch, ["conv0", "conv1"])
        multipliers = torch.tensor([[1.5, 0.0], [0.0, 2.0]])
        kept = torch.stack((1.5 * maps["conv0"][0], 2.0 * maps["conv1"][1]))
        expected = network.get_submodule("classifier")(kept.mean(dim=(2, 3)))
        torch.testing.assert_close(network(batch, multipliers), expected)
    with pytest.raises(ValueError, match=r"paths must be \[2, 2\], not \[2, 3\]"):
        network(batch, torch.ones(2, 3))


def test_drop_path_reaches_what_else_than_one_sum_reads_a_path() -> None:
    build = Builder(2, 4)
    path = build.add("drop", DropPath(), build.conv("conv", build.image, 2))
    twice = build.add("sum", Sum(), path, build.relu("relu", path))
    build.classify(build.add("chosen", Select((1,)), twice), 3)
    graph = build.graph()
    network, batch = network_of(graph), images(graph, 2)
    with torch.no_grad():
        maps = network.values(batch, ["conv"])["conv"]
        kept = torch.stack((1.5 * maps[0], 0.0 * maps[1]))
        expected = network.get_submodule("classifier")((kept + kept.relu())[:, 1:].mean(dim=(2, 3)))
        torch.testing.assert_close(network(batch, torch.tensor([[1.5, 0.0]])), expected)


def test_every_pass_in_training_counts_in_the_batch_norms_that_it_runs() -> None:
    build = Builder(2, 4)
    norms = [build.norm(f"norm{number}", build.conv(f"conv{number}", build.image, 2)) for number in (0, 1)]
    build.classify(norms[1], 3)
    network = GraphNetwork(build.graph()).double()
    for training in (True, False, True):
        network.train(training)(images(network.graph, 2))
    counts = {name: int(tensor) for name, tensor in network.named_buffers() if name.endswith("num_batches_tracked")}
    assert counts == {"norm0.num_batches_tracked": 0, "norm1.num_batches_tracked": 2}


def test_only_a_network_with_a_tower_gives_its_logits() -> None:
    graph = small_graph("enas", 32)
    batch = images(graph)
    network = network_of(graph, with_tower=True)
    logits, auxiliary = network(batch, with_auxiliary=True)
    assert auxiliary.shape == logits.shape
    torch.testing.assert_close(network(batch), logits)
    maps = network.values(batch, [graph.tower.node])[graph.tower.node]
    torch.testing.assert_close(network.auxiliary(maps), auxiliary)
    with pytest.raises(ValueError, match="built without an auxiliary tower"):
        GraphNetwork(graph)(batch.float(), with_auxiliary=True)


@pytest.mark.parametrize("side", [1, 2, 5, 6])
@pytest.mark.parametrize(("stride", "shift"), [(1, 1), (2, 0), (2, 1)])
def test_pick_is_a_strided_convolution_with_one_tap(side: int, stride: int, shift: int) -> None:
    """The kernel [1], after the image moved by `shift` pixels with zeros behind."""
    x = torch.randn(2, 3, side, side)
    moved = F.pad(x, (0, shift, 0, shift))[:, :, shift:, shift:]
    expected = F.conv2d(moved, torch.ones(3, 1, 1, 1), stride=stride, groups=3)
    assert torch.equal(pick_pixels(x, stride, shift), expected)


def test_select_takes_channels() -> None:
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(SelectChannels((0, 2, 3))(x), torch.stack((x[:, 0], x[:, 2], x[:, 3]), dim=1))


@pytest.mark.parametrize(("side", "rows"), [(1, 1), (5, 1), (5, 3), (6, 5), (4, 4), (2, 2)])
def test_constant_maps_repeat_the_middle(side: int, rows: int) -> None:
    """Borders of (rows - 1) / 2 pixels keep values of their own; with a row of values for each they all do."""
    maps = ConstantMaps(Constant(2, side, rows))
    nn.init.normal_(maps.value)
    found = maps(torch.zeros(3, 1, 9, 9))
    border = rows // 2
    assert found.shape == (3, 2, side, side)
    for row in range(side):
        for column in range(side):
            place = [
                position if position < border else max(position - side + rows, border) for position in (row, column)
            ]
            assert torch.equal(found[0, :, row, column], maps.value[:, place[0], place[1]])


@pytest.mark.parametrize("side", [16, 15])
def test_a_strided_1x1_convolution_and_its_gradients_are_torchs(side: int) -> None:
    """On maps of few channels in channels-last, where torch's own overwrites memory: against contiguous ones."""
    own = StridedPointwise(5, 24, 1, 2, bias=False).to(memory_format=torch.channels_last)
    maps = torch.randn(4, 5, side, side, generator=torch.Generator().manual_seed(side)).requires_grad_()
    expected = F.conv2d(maps, own.weight.detach().contiguous(), stride=2)
    output = own(maps.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(
        torch.autograd.grad(output.square().sum(), maps), torch.autograd.grad(expected.square().sum(), maps)
    )
    weight = own.weight.detach().clone().double().contiguous().requires_grad_()
    F.conv2d(maps.detach().double(), weight, stride=2).square().sum().backward()
    own(maps.detach().contiguous(memory_format=torch.channels_last)).square().sum().backward()
    torch.testing.assert_close(own.weight.grad.double(), weight.grad, rtol=1e-4, atol=1e-3)
