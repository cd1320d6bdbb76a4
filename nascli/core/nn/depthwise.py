"""Depthwise convolution of channels-last maps, with a gradient that is fast on a CPU.

oneDNN, torch's CPU back end, has fast depthwise kernels for channels-last maps: every forward pass, and the weight
gradient of kernels 3 columns wide without dilation, however tall. All else falls back to code about ten times slower.
Here the same numbers come from the fast kernels alone:

- The gradient to the input, at stride 1, is the convolution of the gradient with the kernel turned by 180°: a forward
  pass.
- In channels-last layout [B, H, W, C], a map of width W seen as one of width W/s with s·C channels has columns s
  apart as neighbours, at no cost. So the columns -s, 0, s of any weight gradient are those of a kernel 3 columns wide
  on that view. Two views (s = dilation and s = 2·dilation) give all five columns of a 5x5 kernel.
- Dilated rows are every other row of a taller kernel. Zeros around the map make it as tall as that, and its width
  divisible.
- At stride 2 the even columns of the map meet the columns -2, 0, 2 of a 5x5 kernel, the odd ones the columns -1, 1. As
  two neighbours seen as one pixel with twice the channels, they are two convolutions 3 columns wide, of which the
  second needs two.
- A convolution with stride 2 and dilation 2 sees every other pixel only: it is one without either on these pixels.
- On a map smaller than the kernel the outer taps only ever see the padding: they are left out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nascli.core.nn.aten import channels_last, convolution_gradients, every
from nascli.core.nn.tracing import is_traced_by_jit

KERNELS = {1: (3, 5), 2: (5,)}
"""By stride, sides of the kernels whose gradients are computed here; the others' are torch's."""


def depthwise_conv(maps: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Depthwise k x k convolution, padded to keep the size at stride 1; k is odd.

    maps: [B, C, H, W], weight: [C, 1, k, k] -> [B, C, ceil(H / stride), ceil(W / stride)].
    """
    weight = _within_reach(weight, max(maps.shape[-2:]), dilation)
    if stride == 2 and dilation == 2:
        maps, stride, dilation = channels_last(every(maps, 2)), 1, 1
    autocast = torch.is_autocast_enabled(maps.device.type)  # casts convolutions, but neither products nor our functions
    if weight.shape[-1] == 1 and stride == 1 and not autocast:
        return maps * weight.flatten()[:, None, None]
    own = maps.device.type == "cpu" and not autocast and torch.is_grad_enabled() and not is_traced_by_jit()
    if weight.shape[-1] in KERNELS.get(stride, ()) and own:
        result: Tensor = _DepthwiseConv.apply(maps, weight, stride, dilation)
        return result
    return _convolve(maps, weight, stride, dilation)


def _within_reach(weight: Tensor, side: int, dilation: int) -> Tensor:
    """The inner part of a kernel whose taps can meet the map. [C, 1, k, k] -> [C, 1, k', k'], k' odd."""
    surplus = weight.shape[-1] // 2 - (side - 1) // dilation
    return weight[:, :, surplus:-surplus, surplus:-surplus].contiguous() if surplus > 0 else weight


class DepthwiseConv2d(nn.Conv2d):
    """`depthwise_conv` as a module. [B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)]."""

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return depthwise_conv(input, self.weight, self.stride[0], self.dilation[0])


def _convolve(maps: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(maps, weight, None, stride, padding, dilation, groups=weight.shape[0])


def depthwise(maps: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """`depthwise_conv` without autograd."""
    if stride == 2 and dilation == 2:
        return _convolve(channels_last(every(maps, 2)), weight, 1, 1)
    return _convolve(maps, weight, stride, dilation)


def depthwise_gradients(
    gradient: Tensor, maps: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1, *, wanted: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The gradients of `depthwise`, to the maps, and to the weight if that is wanted."""
    if stride == 2 and dilation == 2:
        seen = channels_last(every(maps, 2))
        d_seen, d_weight = depthwise_gradients(gradient, seen, weight, wanted=wanted)
        d_maps = torch.zeros_like(maps)
        d_maps[:, :, ::2, ::2].copy_(d_seen)
        return d_maps, d_weight
    fast = maps.device.type == "cpu" and maps.dtype in (torch.float32, torch.float64)
    if not fast or weight.shape[-1] not in KERNELS.get(stride, ()):
        return convolution_gradients(gradient, maps, weight, stride, dilation, groups=len(weight), wanted=wanted)
    gradient, maps = channels_last(gradient), channels_last(maps)
    if stride == 1:
        d_maps = _convolve(gradient, weight.flip(2, 3), 1, dilation)
        return d_maps, _weight_gradient(gradient, maps, weight, dilation) if wanted else None
    d_maps = _gradients(gradient, maps, weight, (2, 2), to_maps=True)
    return d_maps, _strided_weight_gradient(gradient, maps) if wanted else None


class _DepthwiseConv(torch.autograd.Function):
    """Depthwise convolution, not dilated at stride 2."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return _convolve(maps, weight, stride, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        maps, weight = ctx.saved_tensors
        gradient = channels_last(gradient)
        d_maps = d_weight = None
        if ctx.needs_input_grad[0] and ctx.stride == 1:
            d_maps = _convolve(gradient, weight.flip(2, 3), 1, ctx.dilation)
        elif ctx.needs_input_grad[0]:
            d_maps = _gradients(gradient, maps, weight, (2, 2), to_maps=True)
        if ctx.needs_input_grad[1] and ctx.stride == 1:
            d_weight = _weight_gradient(gradient, channels_last(maps), weight, ctx.dilation)
        elif ctx.needs_input_grad[1]:
            d_weight = _strided_weight_gradient(gradient, channels_last(maps))
        return d_maps, d_weight, None, None


def _strided_weight_gradient(gradient: Tensor, maps: Tensor) -> Tensor:
    """That of a 5x5 kernel at stride 2."""
    maps = _fold_columns(_pad(maps, 0, 2), 2)
    weight = maps.new_empty(maps.shape[1], 1, 5, 3)
    even, odd = _gradients(torch.cat((gradient, gradient), dim=1), maps, weight, (2, 1)).chunk(2)
    return torch.stack((even[..., 0], odd[..., 0], even[..., 1], odd[..., 1], even[..., 2]), dim=3)


def _weight_gradient(gradient: Tensor, maps: Tensor, weight: Tensor, dilation: int) -> Tensor:
    kernel = weight.shape[-1]
    if (kernel, dilation) == (3, 1):
        return _gradients(gradient, maps, weight)
    gradient, maps = (_pad(x, dilation * (kernel - 1) + 1, dilation * (kernel // 2)) for x in (gradient, maps))
    inner = _three_columns(gradient, maps, kernel, dilation, dilation)
    if kernel == 3:
        return inner
    outer = _three_columns(gradient, maps, kernel, dilation, 2 * dilation)
    return torch.cat((outer[..., :1], inner, outer[..., 2:]), dim=3)


def _pad(maps: Tensor, height: int, width: int) -> Tensor:
    """Zeros below and to the right, to `height` rows at least and to a multiple of `width` columns."""
    below, right = max(0, height - maps.shape[2]), -maps.shape[3] % width
    return channels_last(F.pad(maps, (0, right, 0, below))) if below or right else maps


def _three_columns(gradient: Tensor, maps: Tensor, kernel: int, spacing: int, shift: int) -> Tensor:
    """The weight gradient's columns at -shift, 0 and shift pixels, its rows `spacing` pixels apart: [C, 1, k, 3]."""
    tall = spacing * (kernel - 1) + 1
    gradient, maps = _fold_columns(gradient, shift), _fold_columns(maps, shift)
    weight = maps.new_empty(maps.shape[1], 1, tall, 3)
    columns: Tensor = _gradients(gradient, maps, weight).unflatten(0, (shift, -1))
    return columns.sum(dim=0)[:, :, ::spacing]


def _fold_columns(maps: Tensor, shift: int) -> Tensor:
    """[B, C, H, W] -> [B, shift·C, H, W/shift]: columns `shift` apart become neighbours. A view."""
    batch, channels, height, width = maps.shape
    return maps.permute(0, 2, 3, 1).view(batch, height, width // shift, shift * channels).permute(0, 3, 1, 2)


def _gradients(
    gradient: Tensor, maps: Tensor, weight: Tensor, stride: tuple[int, int] = (1, 1), *, to_maps: bool = False
) -> Tensor:
    """torch's own gradient to the weight, or to the maps, of a padded convolution without dilation."""
    padding = [weight.shape[2] // 2, weight.shape[3] // 2]
    d_maps, d_weight, _ = torch.ops.aten.convolution_backward(
        gradient,
        maps,
        weight,
        None,
        stride,
        padding,
        [1, 1],
        False,
        [0, 0],
        maps.shape[1],
        (to_maps, not to_maps, False),
    )
    result: Tensor = d_maps if to_maps else d_weight
    return result
