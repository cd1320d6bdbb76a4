"""Average pooling that leaves the padding out of the mean, with a fast form for channels-last maps on a CPU.

There torch pools pixel by pixel. The sums over windows are a depthwise convolution with ones, for which oneDNN has
fast code; that takes a quarter of the time, and so does its gradient, which is another one (one thread, AVX-512 and
AVX2).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nascli.core.nn.aten import channels_last
from nascli.core.nn.tracing import is_traced


def average_pool(maps: Tensor, kernel: int, stride: int, pad: int, *, ceil: bool = False) -> Tensor:
    """The mean of those pixels of each window that are on the map. [B, C, H, W] -> [B, C, H', W']."""
    same_size = stride == 1 and kernel == 2 * pad + 1
    on_cpu = maps.device.type == "cpu" and maps.dtype in (torch.float32, torch.float64)
    packed = maps.is_contiguous(memory_format=torch.channels_last)
    if same_size and on_cpu and packed and not is_traced():
        result: Tensor = _MeanOfWindows.apply(maps, kernel)
        return result
    return F.avg_pool2d(maps, kernel, stride, pad, ceil, count_include_pad=False)


class _MeanOfWindows(torch.autograd.Function):
    """Windows of `kernel` pixels a side around every pixel."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: int) -> Tensor:
        ctx.share = _shares(maps, kernel)
        ctx.kernel = kernel
        return _sums(maps, kernel).mul_(ctx.share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sums(channels_last(gradient * ctx.share), ctx.kernel), None


def _sums(maps: Tensor, kernel: int) -> Tensor:
    channels = maps.shape[1]
    return F.conv2d(maps, maps.new_ones(channels, 1, kernel, kernel), None, 1, kernel // 2, groups=channels)


def _shares(maps: Tensor, kernel: int) -> Tensor:
    """1 / the number of pixels of each window that are on the map. [1, 1, H, W]"""
    return _sums(maps.new_ones(1, 1, *maps.shape[-2:]), kernel).reciprocal_()
