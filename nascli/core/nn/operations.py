"""What an edge of a cell may compute: the operations of the `darts` space and of the published cells related to it.

Every operation maps [batch, channels, height, width] to [batch, channels, ceil(height / stride), ceil(width / stride)],
so that the paths into a node always agree, on maps of odd size too. No convolution has a bias: a batch norm follows.

Most start with a ReLU of their input. Those are `Rectified`, so that a cell can compute the ReLU of a state once for
all operations that read it.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019, Section 3.1.1 and the cells that it compares with.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.depthwise import DepthwiseConv2d
from nascli.errors import UsageError, unknown


class Rectified(nn.Module, ABC):
    """An operation that starts with a ReLU: `forward(x)` is `after_relu(relu(x))`, of the same shapes."""

    def forward(self, x: Tensor) -> Tensor:
        return self.after_relu(F.relu(x))

    @abstractmethod
    def after_relu(self, x: Tensor) -> Tensor:
        """The rest of the operation, on an input that went through a ReLU already. Leaves `x` as it is."""


class ReluConvBn(Rectified):
    """ReLU, a convolution that keeps the size of the map, batch norm. [B, cin, H, W] -> [B, cout, H, W]."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, affine: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(cout, affine=affine)

    def after_relu(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class FactorizedReduction(Rectified):
    """Halves the map without losing every other pixel. [B, cin, H, W] -> [B, cout, ceil(H/2), ceil(W/2)].

    ReLU, two 1x1 convolutions of stride 2 that share the outputs, the second on the image shifted by one pixel,
    concatenated, batch norm. On a side of odd length the shifted image lacks its last pixel; a zero stands there, as it
    does beyond the border for the other operations of stride 2. An odd `cout` gives the second convolution one more.

    The pixels are picked first, and the convolutions have no stride: the same numbers. oneDNN's weight gradient of a
    strided 1x1 convolution writes beyond its memory for 2 to 6 channels-last input channels (torch 2.11, x86).
    """

    def __init__(self, cin: int, cout: int, affine: bool = True) -> None:
        super().__init__()
        if cout < 2:
            raise ValueError(f"a factorised reduction splits its outputs in two; {cout} is too few")
        self.conv = nn.Conv2d(cin, cout // 2, 1, bias=False)
        self.shifted_conv = nn.Conv2d(cin, cout - cout // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout, affine=affine)

    def after_relu(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        picked, shifted = x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]
        if height % 2 or width % 2:
            shifted = F.pad(shifted, (0, width % 2, 0, height % 2))
        return self.norm(torch.cat((self.conv(picked), self.shifted_conv(shifted)), dim=1))


class DepthwisePointwise(Rectified):
    """ReLU, depthwise k x k, pointwise 1x1, batch norm. [B, C, H, W] -> [B, C, ceil(H/stride), ceil(W/stride)]."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int = 1, affine: bool = True) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv2d(channels, kernel, stride, dilation)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def after_relu(self, x: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(x)))


class SeparableConv(Rectified):
    """`DepthwisePointwise` twice; the stride sits in the first. `sep_conv_kxk`."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool = True) -> None:
        super().__init__()
        self.first = DepthwisePointwise(channels, kernel, stride, affine=affine)
        self.second = DepthwisePointwise(channels, kernel, stride=1, affine=affine)

    def after_relu(self, x: Tensor) -> Tensor:
        # In place: nobody else reads the first half's output, and a batch norm's gradient doesn't need it.
        return self.second.after_relu(F.relu(self.first.after_relu(x), inplace=True))


class DilatedConv(DepthwisePointwise):
    """`DepthwisePointwise` once, with every other pixel of a window twice as wide. `dil_conv_kxk`."""

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool = True) -> None:
        super().__init__(channels, kernel, stride, dilation=2, affine=affine)


class CrossedConv(Rectified):
    """ReLU, a row-wise 1 x k and a column-wise k x 1 convolution, batch norm. `conv_kx1_1xk` (AmoebaNet-A).

    The row-wise one has stride (1, s), the other (s, 1). [B, C, H, W] -> [B, C, ceil(H/s), ceil(W/s)].
    """

    def __init__(self, channels: int, kernel: int, stride: int, affine: bool = True) -> None:
        super().__init__()
        half = kernel // 2
        self.row = nn.Conv2d(channels, channels, (1, kernel), stride=(1, stride), padding=(0, half), bias=False)
        self.column = nn.Conv2d(channels, channels, (kernel, 1), stride=(stride, 1), padding=(half, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def after_relu(self, x: Tensor) -> Tensor:
        return self.norm(self.column(self.row(x)))


def _skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, affine)


Builder = Callable[[int, int, bool], nn.Module]
"""(channels, stride, affine) -> the operation."""

OPERATIONS: Mapping[str, Builder] = {
    "max_pool_3x3": lambda channels, stride, affine: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride, affine: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
    "skip_connect": _skip_connect,
    "sep_conv_3x3": lambda channels, stride, affine: SeparableConv(channels, 3, stride, affine),
    "sep_conv_5x5": lambda channels, stride, affine: SeparableConv(channels, 5, stride, affine),
    "sep_conv_7x7": lambda channels, stride, affine: SeparableConv(channels, 7, stride, affine),
    "dil_conv_3x3": lambda channels, stride, affine: DilatedConv(channels, 3, stride, affine),
    "dil_conv_5x5": lambda channels, stride, affine: DilatedConv(channels, 5, stride, affine),
    "conv_7x1_1x7": lambda channels, stride, affine: CrossedConv(channels, 7, stride, affine),
}
"""Every operation that a genotype may name. `none` is not among them: a path that is nothing is not in the network."""


def build_operation(name: str, channels: int, stride: int, affine: bool = True) -> nn.Module:
    """The operation called `name` on `channels` channels, with stride 1 or 2.

    `affine` gives its batch norms a learnt scale and shift: yes in a derived network, no in a search network. Poolings
    have no batch norm of their own. Raises UsageError for an unknown name.
    """
    if name not in OPERATIONS:
        raise UsageError(unknown("operation", name, OPERATIONS))
    return OPERATIONS[name](channels, stride, affine)
