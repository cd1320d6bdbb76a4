"""The operations of darts cells against formulas written out by hand, in float64."""

import itertools

import pytest
import torch
from torch import Tensor

from nascli.core.nn.build import build_network
from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.blocks import factorised_reduction
from nascli.graphs.builder import Builder
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Conv
from nascli.spaces.darts import Darts, operation

OPERATIONS = Darts.known_operations
CHANNELS = 6


def maps(side: int, channels: int = CHANNELS, width: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randn(3, channels, side, width or side, generator=generator, dtype=torch.float64)


def windows(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: int, fill: float) -> Tensor:
    """What each output pixel sees, [kernel pixels, B, C, H', W'], by indexing into a map with a wide enough border."""
    border = [dilation * (k // 2) for k in kernel]
    height, width = x.shape[2:]
    padded = x.new_full((*x.shape[:2], height + 2 * border[0], width + 2 * border[1]), fill)
    padded[:, :, border[0] : border[0] + height, border[1] : border[1] + width] = x
    seen = []
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        rows = range(i * dilation, i * dilation + height, stride[0])
        columns = range(j * dilation, j * dilation + width, stride[1])
        seen.append(padded[:, :, list(rows)][:, :, :, list(columns)])
    return torch.stack(seen)


def plain_conv(x: Tensor, weight: Tensor, stride: tuple[int, int] = (1, 1), dilation: int = 1) -> Tensor:
    """A convolution with all channels. weight: [out, in, k, l]."""
    kernel = (weight.shape[2], weight.shape[3])
    seen = windows(x, kernel, stride, dilation, fill=0.0)
    return torch.einsum("kbchw,ock->bohw", seen, weight.flatten(2))


def plain_depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int = 1) -> Tensor:
    """A convolution of each channel by itself. weight: [channels, 1, k, k]."""
    kernel = (weight.shape[2], weight.shape[3])
    seen = windows(x, kernel, (stride, stride), dilation, fill=0.0)
    return torch.einsum("kbchw,ck->bchw", seen, weight.flatten(1))


def plain_norm(x: Tensor) -> Tensor:
    """Batch norm as it starts: mean 0 and variance 1 over batch and pixels."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def graph_of(name: str, channels: int, stride: int, side: int = 8, *, searching: bool = False) -> Graph:
    """One operation, called "op", on the image."""
    build = Builder(channels, side)
    operation(build, "op", name, build.image, stride, searching=searching)
    return build.graph()


def network_of(name: str, stride: int) -> GraphNetwork:
    """The same with weights, in double precision."""
    return build_network(graph_of(name, CHANNELS, stride), seed=0).double()


def plain_half(network: GraphNetwork, name: str, x: Tensor, stride: int, dilation: int) -> Tensor:
    depthwise, pointwise = (network.get_parameter(f"{name}.{part}.weight") for part in ("depthwise", "pointwise"))
    spread = plain_depthwise(x.clamp(min=0), depthwise, stride, dilation)
    return plain_norm(plain_conv(spread, pointwise))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_stride_2_halves_every_map_rounding_up(name: str, side: int) -> None:
    x = maps(side, width=side + 1)
    assert network_of(name, 2)(x).shape == (3, CHANNELS, (side + 1) // 2, (side + 2) // 2)
    assert network_of(name, 1)(x).shape == (3, CHANNELS, side, side + 1)
    assert graph_of(name, CHANNELS, 2, side).shapes[graph_of(name, CHANNELS, 2).nodes[-1].name].side == (side + 1) // 2


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_separable_convolution(kernel: int, side: int, stride: int) -> None:
    network = network_of(f"sep_conv_{kernel}x{kernel}", stride)
    x = maps(side)
    first = plain_half(network, "op.first", x, stride, dilation=1)
    expected = plain_half(network, "op.second", first, stride=1, dilation=1)
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("kernel", [3, 5])
def test_dilated_convolution(kernel: int, side: int, stride: int) -> None:
    network = network_of(f"dil_conv_{kernel}x{kernel}", stride)
    x = maps(side)
    expected = plain_half(network, "op", x, stride, dilation=2)
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
def test_crossed_convolution(side: int, stride: int) -> None:
    network = network_of("conv_7x1_1x7", stride)
    weights = [network.get_parameter(f"op.crossed.{part}.weight") for part in ("row", "column")]
    assert weights[0].shape == (CHANNELS, CHANNELS, 1, 7)
    x = maps(side)
    row = plain_conv(x.clamp(min=0), weights[0], stride=(1, stride))
    expected = plain_norm(plain_conv(row, weights[1], stride=(stride, 1)))
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
def test_poolings_leave_the_border_out(side: int, stride: int) -> None:
    x = maps(side)
    seen = windows(x, (3, 3), (stride, stride), 1, fill=float("nan"))
    torch.testing.assert_close(network_of("avg_pool_3x3", stride)(x), seen.nanmean(dim=0))
    largest = seen.nan_to_num(nan=float("-inf")).amax(dim=0)
    torch.testing.assert_close(network_of("max_pool_3x3", stride)(x), largest)


@pytest.mark.parametrize("side", [8, 7, 1])
def test_factorized_reduction_sees_even_pixels_and_odd_ones(side: int) -> None:
    """On odd sides the last odd pixel would lie beyond the border: it is zero."""
    build = Builder(CHANNELS, side)
    factorised_reduction(build, "skip", build.rectified(build.image), 5)
    network = build_network(build.graph(), seed=0).double()
    even, shifted = (network.get_parameter(f"skip.{name}.weight")[:, :, 0, 0] for name in ("conv", "shifted_conv"))
    x = maps(side).clamp(min=0)
    odd = torch.zeros_like(x[:, :, ::2, ::2])
    there = x[:, :, 1::2, 1::2]
    odd[:, :, : there.shape[2], : there.shape[3]] = there
    even_part = torch.einsum("bchw,oc->bohw", x[:, :, ::2, ::2], even)
    odd_part = torch.einsum("bchw,oc->bohw", odd, shifted)
    assert (even_part.shape[1], odd_part.shape[1]) == (2, 3)
    expected = plain_norm(torch.cat((even_part, odd_part), dim=1))
    torch.testing.assert_close(network(maps(side)), expected, rtol=1e-10, atol=1e-10)


def test_a_factorised_reduction_to_one_channel_is_refused() -> None:
    build = Builder(4, 8)
    with pytest.raises(ValueError, match="1 is too few"):
        factorised_reduction(build, "skip", build.image, 1)


def test_skip_connect_of_stride_1_is_the_state_itself() -> None:
    build = Builder(CHANNELS, 4)
    assert operation(build, "op", "skip_connect", build.image, 1, searching=False) == build.image


C = 36
HAND_COUNTS = {
    ("max_pool_3x3", 2): 0,
    ("avg_pool_3x3", 1): 0,
    ("skip_connect", 1): 0,
    ("skip_connect", 2): C * C + 2 * C,
    ("sep_conv_3x3", 2): 2 * (9 * C + C * C + 2 * C),
    ("sep_conv_5x5", 1): 2 * (25 * C + C * C + 2 * C),
    ("sep_conv_7x7", 1): 2 * (49 * C + C * C + 2 * C),
    ("dil_conv_3x3", 1): 9 * C + C * C + 2 * C,
    ("dil_conv_5x5", 2): 25 * C + C * C + 2 * C,
    ("conv_7x1_1x7", 2): 2 * 7 * C * C + 2 * C,
}


@pytest.mark.parametrize(("name", "stride"), HAND_COUNTS)
def test_parameters_counted_by_hand(name: str, stride: int) -> None:
    assert graph_of(name, C, stride).parameters == HAND_COUNTS[name, stride]


@pytest.mark.parametrize("name", OPERATIONS)
def test_in_a_search_network_no_batch_norm_learns_and_one_follows_every_pooling(name: str) -> None:
    searching = build_network(graph_of(name, C, 2, searching=True), seed=0)
    assert not [each for each, _ in searching.named_parameters() if "norm" in each]
    norms = {"sep": 2, "dil": 1, "con": 1, "ski": 1}.get(name[:3], 0)
    assert searching.graph.parameters == graph_of(name, C, 2).parameters - norms * 2 * C
    pooled = name.endswith("pool_3x3")
    assert sum(isinstance(part, torch.nn.BatchNorm2d) for part in searching.modules()) == (1 if pooled else norms)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_writes_to_its_input(name: str, stride: int) -> None:
    """A cell hands one state, and one ReLU of it, to several operations."""
    x = maps(6)
    before = x.clone()
    network_of(name, stride)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("op", OPERATIONS)
def test_no_1x1_convolution_has_a_stride(op: str) -> None:
    """oneDNN's weight gradient of one writes beyond its memory where there are 2 to 6 input channels."""
    convolutions = [node.op for node in graph_of(op, 4, 2).nodes if isinstance(node.op, Conv)]
    assert all(conv.stride == 1 for conv in convolutions if conv.kernel == 1)
