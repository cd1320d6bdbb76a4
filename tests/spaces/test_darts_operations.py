"""The operations against formulas written out by hand, in float64."""

import itertools

import pytest
import torch
from torch import Tensor

from nascli.core.nn.operations import (
    OPERATIONS,
    DepthwisePointwise,
    FactorizedReduction,
    Rectified,
    ReluConvBn,
    build_operation,
)
from nascli.errors import UsageError
from nascli.registry import SPACES

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


def plain_half(half: DepthwisePointwise, x: Tensor, stride: int, dilation: int) -> Tensor:
    spread = plain_depthwise(x.clamp(min=0), half.depthwise.weight, stride, dilation)
    return plain_norm(plain_conv(spread, half.pointwise.weight))


def test_the_table_holds_exactly_the_operations_of_the_space() -> None:
    assert set(OPERATIONS) == set(SPACES["darts"].operations)


def test_an_unknown_operation_is_named_with_the_closest_one() -> None:
    with pytest.raises(UsageError, match=r"unknown operation 'sep_conv_9x9': did you mean 'sep_conv_"):
        build_operation("sep_conv_9x9", CHANNELS, 1)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_stride_2_halves_every_map_rounding_up(name: str, side: int) -> None:
    operation = build_operation(name, CHANNELS, stride=2).double()
    assert operation(maps(side, width=side + 1)).shape == (3, CHANNELS, (side + 1) // 2, (side + 2) // 2)
    operation = build_operation(name, CHANNELS, stride=1).double()
    assert operation(maps(side, width=side + 1)).shape == (3, CHANNELS, side, side + 1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_separable_convolution(kernel: int, side: int, stride: int) -> None:
    operation = build_operation(f"sep_conv_{kernel}x{kernel}", CHANNELS, stride).double()
    x = maps(side)
    expected = plain_half(operation.second, plain_half(operation.first, x, stride, dilation=1), stride=1, dilation=1)
    torch.testing.assert_close(operation(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("kernel", [3, 5])
def test_dilated_convolution(kernel: int, side: int, stride: int) -> None:
    operation = build_operation(f"dil_conv_{kernel}x{kernel}", CHANNELS, stride).double()
    x = maps(side)
    torch.testing.assert_close(operation(x), plain_half(operation, x, stride, dilation=2), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
def test_crossed_convolution(side: int, stride: int) -> None:
    operation = build_operation("conv_7x1_1x7", CHANNELS, stride).double()
    assert operation.row.weight.shape == (CHANNELS, CHANNELS, 1, 7)
    x = maps(side)
    row = plain_conv(x.clamp(min=0), operation.row.weight, stride=(1, stride))
    expected = plain_norm(plain_conv(row, operation.column.weight, stride=(stride, 1)))
    torch.testing.assert_close(operation(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
def test_poolings_leave_the_border_out(side: int, stride: int) -> None:
    x = maps(side)
    seen = windows(x, (3, 3), (stride, stride), 1, fill=float("nan"))
    average = build_operation("avg_pool_3x3", CHANNELS, stride)
    torch.testing.assert_close(average(x), seen.nanmean(dim=0))
    largest = build_operation("max_pool_3x3", CHANNELS, stride)
    torch.testing.assert_close(largest(x), seen.nan_to_num(nan=float("-inf")).amax(dim=0))


@pytest.mark.parametrize("side", [8, 7, 1])
def test_factorized_reduction_sees_even_pixels_and_odd_ones(side: int) -> None:
    """On odd sides the last odd pixel would lie beyond the border: it is zero."""
    reduction = FactorizedReduction(CHANNELS, 5).double()
    x = maps(side).clamp(min=0)
    odd = torch.zeros_like(x[:, :, ::2, ::2])
    there = x[:, :, 1::2, 1::2]
    odd[:, :, : there.shape[2], : there.shape[3]] = there
    even_part = torch.einsum("bchw,oc->bohw", x[:, :, ::2, ::2], reduction.conv.weight[:, :, 0, 0])
    odd_part = torch.einsum("bchw,oc->bohw", odd, reduction.shifted_conv.weight[:, :, 0, 0])
    assert (even_part.shape[1], odd_part.shape[1]) == (2, 3)
    expected = plain_norm(torch.cat((even_part, odd_part), dim=1))
    torch.testing.assert_close(reduction(maps(side)), expected, rtol=1e-10, atol=1e-10)


def test_a_factorized_reduction_to_one_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="1 is too few"):
        FactorizedReduction(4, 1)


@pytest.mark.parametrize("kernel", [1, 3])
def test_relu_conv_bn(kernel: int) -> None:
    operation = ReluConvBn(CHANNELS, 4, kernel).double()
    x = maps(5)
    expected = plain_norm(plain_conv(x.clamp(min=0), operation.conv.weight))
    torch.testing.assert_close(operation(x), expected, rtol=1e-10, atol=1e-10)


def test_skip_connect_of_stride_1_is_the_state_itself() -> None:
    x = maps(4)
    assert build_operation("skip_connect", CHANNELS, 1)(x) is x


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
    operation = build_operation(name, C, stride)
    assert sum(p.numel() for p in operation.parameters()) == HAND_COUNTS[name, stride]


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_affine_no_batch_norm_learns(name: str) -> None:
    parameters = dict(build_operation(name, C, stride=2, affine=False).named_parameters())
    assert not [each for each in parameters if "norm" in each]
    norms = {"sep": 2, "dil": 1, "con": 1, "ski": 1}.get(name[:3], 0)
    assert (
        sum(p.numel() for p in parameters.values())
        == sum(p.numel() for p in build_operation(name, C, stride=2).parameters()) - norms * 2 * C
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_writes_to_its_input(name: str, stride: int) -> None:
    """A cell hands one state, and one ReLU of it, to several operations."""
    operation = build_operation(name, CHANNELS, stride).double()
    x = maps(6)
    before = x.clone()
    operation(x)
    if isinstance(operation, Rectified):
        operation.after_relu(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("op", OPERATIONS)
def test_no_1x1_convolution_has_a_stride(op):
    """oneDNN's weight gradient of one writes beyond its memory where there are 2 to 6 input channels."""
    convolutions = [part for part in build_operation(op, 4, stride=2).modules() if isinstance(part, torch.nn.Conv2d)]
    assert all(part.stride == (1, 1) for part in convolutions if part.kernel_size == (1, 1))
