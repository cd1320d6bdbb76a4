"""The operations on all edges that leave one state, each computed for all of these edges at once.

A batch norm ends every operation but the identity, and what precedes it is linear, so an operation here stops at the
last features before its pointwise convolution and hands them to `normalised_sum` as a `Term`: that does the pointwise
convolution, the batch norm and the weighted sum over the operations in one. Operations, strides and paddings are
those of `operations`, without affine parameters in their batch norms (Liu et al., ICLR 2019, Section 3.1.1; a batch
norm follows every pooling, too).

Feature maps are [B, channels, H, W] in channels-last layout, in which a row per pixel, [B·H·W, channels], is a view of
them. Channels of several edges lie edge after edge: channel r·P + p is channel p of the r-th edge.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nascli.core.nn.batch_norm import Moments, RunningMoments, Term, centred, normalised_sum
from nascli.core.nn.depthwise import channels_last, depthwise_conv
from nascli.core.nn.per_edge import EdgeRunningMoments, PerEdge

Observations = list[tuple[RunningMoments, Moments]]
"""Moments of a batch, for the running statistics that they belong to."""


class EdgeInputs(NamedTuple):
    """What the edges leaving a state see of it.

    maps: [B, P, H, W] where all edges see the same channels, or [B, edges·P, H, W] where each has its own.
    activated: the ReLU of what each edge sees, [B, edges·P, H, W]. shared: whether `maps` are those of all edges.
    """

    maps: Tensor
    activated: Tensor
    shared: bool


def rows(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B·H·W, C], a view where the maps are channels-last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def maps_like(pixels: Tensor, maps: Tensor, stride: int = 1) -> Tensor:
    """[B·H·W, C] -> [B, C, H, W] in channels-last layout; H and W are those of `maps` divided by `stride`, rounded
    up.
    """
    batch, _, height, width = maps.shape
    return pixels.view(batch, -(-height // stride), -(-width // stride), -1).permute(0, 3, 1, 2)


def normed(maps: Tensor, weight: Tensor, norm: RunningMoments, training: bool) -> Term:
    """A batch norm of `weight` times the maps."""
    features, centre = centred(rows(maps)) if training else (rows(maps), None)
    return Term(features, weight, norm, centre=centre)


def subsampled_pair(activated: Tensor, groups: int = 1) -> Tensor:
    """Every other pixel of the map, and of the map shifted by one pixel: what a factorised reduction convolves.

    [B, groups·C, H, W] -> [B, groups·2C, ceil(H/2), ceil(W/2)]; zeros stand beyond an odd border.
    """
    pair: Tensor = _SubsampledPair.apply(activated, groups)
    return pair


class _SubsampledPair(torch.autograd.Function):
    """`subsampled_pair`; its gradient is written in one go."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, groups: int) -> Tensor:
        batch, channels, height, width = maps.shape
        result = channels_last(maps.new_zeros(batch, 2 * channels, (height + 1) // 2, (width + 1) // 2))
        pair = result.unflatten(1, (groups, 2, -1))
        pair[:, :, 0] = maps[:, :, ::2, ::2].unflatten(1, (groups, -1))
        pair[:, :, 1, :, : height // 2, : width // 2] = maps[:, :, 1::2, 1::2].unflatten(1, (groups, -1))
        ctx.shape, ctx.groups = maps.shape, groups
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        height, width = ctx.shape[2:]
        pair = gradient.unflatten(1, (ctx.groups, 2, -1))
        d_maps = channels_last(gradient.new_zeros(ctx.shape))
        d_maps[:, :, ::2, ::2] = pair[:, :, 0].flatten(1, 2)
        d_maps[:, :, 1::2, 1::2] = pair[:, :, 1, :, : height // 2, : width // 2].flatten(1, 2)
        return d_maps, None


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """A convolution's weight for every edge, initialised as torch does."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class EdgeWeight(PerEdge):
    """The weight of a bias-free convolution, one per edge: [edges, out, in, k, k]."""

    def __init__(self, edges: int, out_channels: int, in_channels: int, kernel: int = 1) -> None:
        super().__init__()
        self.weight = _uniform(edges, out_channels, in_channels, kernel, kernel, fan_in=in_channels * kernel**2)


class Pooling(PerEdge, ABC):
    """3x3 pooling and batch norm; computed once where all edges see the same channels."""

    def __init__(self, edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm = EdgeRunningMoments(edges, channels)

    @abstractmethod
    def pool(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)], without the batch norm."""

    def forward(self, inputs: EdgeInputs, training: bool) -> tuple[Term, Observations]:
        edges, channels = self.norm.running_mean.shape
        weight = torch.eye(channels, dtype=self.norm.running_mean.dtype, device=inputs.maps.device)
        return normed(self.pool(inputs.maps), weight.expand(edges, -1, -1), self.norm, training), []


class MaxPooling(Pooling):
    """`max_pool_3x3`."""

    def pool(self, maps: Tensor) -> Tensor:
        return F.max_pool2d(maps, 3, self.stride, 1)


class AveragePooling(Pooling):
    """`avg_pool_3x3`; the padding is left out of the mean. The sum over a window is a convolution with ones."""

    def pool(self, maps: Tensor) -> Tensor:
        ones = maps.new_ones(1, 1, 3, 3)
        pixels = F.conv2d(torch.ones_like(maps[:1, :1]), ones, None, self.stride, padding=1)
        return depthwise_conv(maps, ones.expand(maps.shape[1], -1, -1, -1), self.stride) / pixels


class Identity(PerEdge):
    """`skip_connect` with stride 1: the input as it is, without a batch norm."""

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__()
        self.edges, self.channels = edges, channels

    def forward(self, inputs: EdgeInputs, training: bool) -> tuple[Term, Observations]:
        weight = torch.eye(self.channels, dtype=inputs.maps.dtype, device=inputs.maps.device)
        return Term(rows(inputs.maps), weight.expand(self.edges, -1, -1), norm=None), []


class FactorizedSkip(PerEdge):
    """`skip_connect` with stride 2: a factorised reduction per edge."""

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__()
        self.conv = EdgeWeight(edges, channels // 2, channels)
        self.shifted_conv = EdgeWeight(edges, channels - channels // 2, channels)
        self.norm = EdgeRunningMoments(edges, channels)

    def forward(self, inputs: EdgeInputs, training: bool) -> tuple[Term, Observations]:
        edges, channels = self.norm.running_mean.shape
        weight = factorized_weight(self.conv.weight, self.shifted_conv.weight)
        if inputs.shared:
            features = subsampled_pair(inputs.activated[:, :channels])
        else:
            features = subsampled_pair(inputs.activated, groups=edges)
        return normed(features, weight, self.norm, training), []


def factorized_weight(conv: Tensor, shifted_conv: Tensor) -> Tensor:
    """Both 1x1 convolutions of factorised reductions as one on `subsampled_pair`: [J, C', C, 1, 1] -> [J, C, 2C]."""
    zeros = conv.new_zeros(())
    first = torch.cat((conv.flatten(2), zeros.expand_as(conv).flatten(2)), dim=2)
    second = torch.cat((zeros.expand_as(shifted_conv).flatten(2), shifted_conv.flatten(2)), dim=2)
    return torch.cat((first, second), dim=1)


class DilatedConv(PerEdge):
    """`dil_conv_kxk`, or half of a separable convolution: depthwise, pointwise, batch norm on a rectified input."""

    def __init__(self, edges: int, channels: int, kernel: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.stride, self.dilation = stride, dilation
        self.depthwise = EdgeWeight(edges, channels, 1, kernel)
        self.pointwise = EdgeWeight(edges, channels, channels)
        self.norm = EdgeRunningMoments(edges, channels)

    def term(self, activated: Tensor, training: bool) -> Term:
        features = depthwise_conv(activated, self.depthwise.weight.flatten(0, 1), self.stride, self.dilation)
        return normed(features, self.pointwise.weight.flatten(2), self.norm, training)

    def forward(self, inputs: EdgeInputs, training: bool) -> tuple[Term, Observations]:
        return self.term(inputs.activated, training), []


class SeparableConv(PerEdge):
    """`sep_conv_kxk`: (depthwise, pointwise, batch norm) twice with a ReLU between; the stride sits in the first."""

    def __init__(self, edges: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = DilatedConv(edges, channels, kernel, stride, dilation=1)
        self.second = DilatedConv(edges, channels, kernel, stride=1, dilation=1)

    def forward(self, inputs: EdgeInputs, training: bool) -> tuple[Term, Observations]:
        between, observations = normalised_sum([self.first.term(inputs.activated, training)], training)
        activated = maps_like(F.relu(between, inplace=True), inputs.activated, self.first.stride)
        return self.second.term(activated, training), observations


Builder = Callable[[int, int, int], PerEdge]
"""(edges, channels, stride) -> the operation on these edges."""

MIXED_OPERATIONS: Mapping[str, Builder] = {
    "max_pool_3x3": MaxPooling,
    "avg_pool_3x3": AveragePooling,
    "skip_connect": lambda edges, channels, stride: (
        Identity(edges, channels) if stride == 1 else FactorizedSkip(edges, channels)
    ),
    "sep_conv_3x3": lambda edges, channels, stride: SeparableConv(edges, channels, 3, stride),
    "sep_conv_5x5": lambda edges, channels, stride: SeparableConv(edges, channels, 5, stride),
    "dil_conv_3x3": lambda edges, channels, stride: DilatedConv(edges, channels, 3, stride, dilation=2),
    "dil_conv_5x5": lambda edges, channels, stride: DilatedConv(edges, channels, 5, stride, dilation=2),
}
"""What can be mixed, besides `none`, which is never computed."""
