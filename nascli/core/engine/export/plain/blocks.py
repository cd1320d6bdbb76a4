"""The building blocks of exported networks. The source of those that a network has becomes part of its `model.py`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(
    channels: int, out: int, kernel: int = 1, stride: int = 1, dilation: int = 1, padding: int | None = None
) -> nn.Conv2d:
    """A convolution without bias, padded so that it keeps the size at stride 1 unless told otherwise."""
    padding = dilation * (kernel // 2) if padding is None else padding
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, bias=False)


def depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A depthwise convolution."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


def average_pool(kernel: int, stride: int, padding: int, ceil: bool = False) -> nn.AvgPool2d:
    """The mean of those pixels of a window that are on the map."""
    return nn.AvgPool2d(kernel, stride, padding, ceil, count_include_pad=False)


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, batch norm."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(nn.ReLU(), conv(channels, out, kernel, stride), nn.BatchNorm2d(out))


class DepthwiseSeparable(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.ReLU(), depthwise(channels, kernel, stride, dilation), conv(channels, out), nn.BatchNorm2d(out)
        )


class SeparableConv(nn.Sequential):
    """Two depthwise separable convolutions, of which the first may have a stride."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            DepthwiseSeparable(channels, channels, kernel, stride), DepthwiseSeparable(channels, channels, kernel)
        )


class CrossedConv(nn.Module):
    """A row-wise 1 x k convolution, then a column-wise k x 1 one."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        half = kernel // 2
        self.row = nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, half), bias=False)
        self.column = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (half, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.column(self.row(x))
        return result


class Pick(nn.Module):
    """Every `stride`-th pixel from pixel (shift, shift) on; zero beyond the border."""

    def __init__(self, stride: int, shift: int) -> None:
        super().__init__()
        self.stride, self.shift = stride, shift

    def forward(self, x: Tensor) -> Tensor:
        picked = x[:, :, self.shift :: self.stride, self.shift :: self.stride]
        below = -(-x.shape[2] // self.stride) - picked.shape[2]
        right = -(-x.shape[3] // self.stride) - picked.shape[3]
        return F.pad(picked, (0, right, 0, below)) if below or right else picked


class FactorisedReduction(nn.Module):
    """ReLU; two 1x1 convolutions with half the outputs each, the second on the map shifted by a pixel; batch norm."""

    def __init__(self, channels: int, out: int, stride: int = 2) -> None:
        super().__init__()
        self.pick, self.shift = Pick(stride, 0), Pick(stride, 1)
        self.conv, self.shifted_conv = conv(channels, out // 2), conv(channels, out - out // 2)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        result: Tensor = self.norm(torch.cat((self.conv(self.pick(x)), self.shifted_conv(self.shift(x))), dim=1))
        return result


class Select(nn.Module):
    """Some of the channels; which ones is in the file of weights."""

    channels: Tensor

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.register_buffer("channels", torch.zeros(kept, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.channels)


def mapped(channels: int, out: int, *, halve: bool) -> nn.Module:
    """The first layers on an input of a cell, which halve it where its maps are twice as large as the cell's."""
    return FactorisedReduction(channels, out) if halve else ReluConvNorm(channels, out)


def select(channels: int, kept: int) -> nn.Module:
    """`kept` of the channels, or all of them as they are."""
    return nn.Identity() if kept == channels else Select(kept)


class Constant(nn.Module):
    """Maps that are the same for every image: what is left of a branch that lost all of its inputs.

    They have one value, except near the border, where padded convolutions change it. The input gives the batch size.
    """

    row: Tensor

    def __init__(self, channels: int, rows: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.value = nn.Parameter(torch.zeros(channels, rows, rows))
        place = torch.arange(side)
        row = torch.minimum(place, (place - side + rows).clamp(min=rows // 2))
        self.register_buffer("row", row, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.value[:, self.row][:, :, self.row]
        return maps.expand(x.shape[0], -1, -1, -1)


class GlobalPool(nn.Module):
    """The mean of each map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))
