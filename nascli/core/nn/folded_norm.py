"""Batch norm of channels-last maps whose channels are no whole number of vectors, fast on a CPU.

torch walks over such maps pixel by pixel, a row of channels at a time. Where a row ends with a part of a vector, this
costs many times the arithmetic: 36 channels, those of the published networks on CIFAR-10, take five times as long as
32 or 40 (torch 2.11, AVX-512 and AVX2). So the map is seen as one of fewer pixels with as many times the channels, a
view. Its moments are those of parts of the pixels (`moments`), and the sums that the backward pass needs are sums over
the parts. Other maps of many pixels have torch's own passes, by moments that are exact.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nascli.core.nn.aten import channels_last, rows
from nascli.core.nn.moments import is_foldable, is_long, moments, own_moments, parts_for
from nascli.core.nn.synced import SyncedNorm, present_sync

VECTOR = 8
"""Numbers in a vector of torch's loops over a row, float32."""

LEAST_PIXELS = 2048
"""In maps of fewer pixels, all images together, less is gained than the sums over parts cost."""


class BatchNorm2d(nn.BatchNorm2d):
    """torch's, faster where maps have few channels; but it does not count the batches that it has seen.

    Whoever runs it in training adds 1 to `num_batches_tracked` beforehand: for all of a network at once, that is one
    operator instead of hundreds.
    """

    def forward(self, input: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        on_batch = self.training or mean is None
        if self.training and (sync := present_sync()) is not None:
            result, of_batch, spread = SyncedNorm.apply(input, self.weight, self.bias, sync, self.eps)
            self._keep(of_batch, spread, sync.pixels(input))
            synced: Tensor = result
            return synced
        parts = parts_of(input) if on_batch else 1
        if parts > 1:
            result, of_batch, spread = _FoldedNorm.apply(input, self.weight, self.bias, parts, self.eps)
        elif on_batch and is_long(input):
            result, of_batch, spread = _MeasuredNorm.apply(input, self.weight, self.bias, self.eps)
        else:
            return F.batch_norm(input, mean, variance, self.weight, self.bias, on_batch, self._rate(), self.eps)
        self._keep(of_batch, spread, input.numel() // input.shape[1])
        normalised: Tensor = result
        return normalised

    def _keep(self, of_batch: Tensor, spread: Tensor, pixels: int) -> None:
        """Let a batch's means and variances enter the running ones, if there are any."""
        mean, variance = self.running_mean, self.running_var
        if mean is not None and variance is not None:
            with torch.no_grad():
                mean.lerp_(of_batch, self._rate())
                variance.lerp_(spread * (pixels / (pixels - 1)), self._rate())

    def _rate(self) -> float:
        """The weight of a batch's statistics in the running ones."""
        if self.momentum is not None:
            return self.momentum
        # No momentum: the running statistics are the means over all batches.
        return 1 / float(self.num_batches_tracked) if self.training and self.num_batches_tracked is not None else 0.0


class CountingBatchNorm2d(BatchNorm2d):
    """The same, which counts its batches itself: for a norm that runs outside a network's own count."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return super().forward(input)


def parts_of(maps: Tensor) -> int:
    """Into how many parts the pixels of the maps are best folded; 1: not at all."""
    pixels, parts = maps[:, 0].numel(), VECTOR // math.gcd(maps.shape[1], VECTOR)
    slow = parts > 1 and pixels >= LEAST_PIXELS and pixels % parts == 0
    return parts_for(maps, parts) if slow and is_foldable(maps) else 1


def _folded(maps: Tensor, parts: int) -> Tensor:
    """[B, C, H, W], channels-last -> [1, parts · C, B · H · W / parts, 1], channels-last. A view."""
    return rows(maps).view(1, -1, 1, parts * maps.shape[1]).permute(0, 3, 1, 2)


def _spread(vector: Tensor, parts: int) -> Tensor:
    """[C] -> [parts · C, 1, 1]"""
    return vector.repeat(parts)[:, None, None]


class _FoldedNorm(torch.autograd.Function):
    """(maps, weight and bias [C] or None) -> the normalised maps; their means and variances before that, [C] each."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, parts: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = _folded(maps, parts)
        mean, variance = moments(maps, parts)
        inverse = (variance + eps).rsqrt_()
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)
        result = torch.empty_like(maps)
        torch.addcmul(_spread(shift, parts), wide, _spread(scale, parts), out=_folded(result, parts))
        ctx.save_for_backward(maps, mean, inverse, scale)
        ctx.parts, ctx.affine = parts, (weight is not None, bias is not None)
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """With x' = (x - mean) / deviation, the gradient G and sums over the n pixels of a channel:

        dweight = sum G x',    dbias = sum G,    dx = scale · (G - dbias / n - x' · dweight / n).
        """
        maps, mean, inverse, scale = ctx.saved_tensors
        parts, n = ctx.parts, maps.numel() // maps.shape[1]
        wide, gradient = _folded(maps, parts), _folded(channels_last(gradient), parts)
        _, by_part, sums = torch.ops.aten.native_batch_norm_backward(
            gradient, wide, None, None, None, mean.repeat(parts), inverse.repeat(parts), True, 0.0, [False, True, True]
        )
        d_weight, d_bias = by_part.view(parts, -1).sum(0), sums.view(parts, -1).sum(0)
        per_pixel = scale * d_weight * inverse / -n
        constant = torch.addcmul(scale * d_bias / -n, per_pixel, mean, value=-1)
        d_maps = torch.empty_like(maps)
        result = _folded(d_maps, parts)
        torch.addcmul(_spread(constant, parts), wide, _spread(per_pixel, parts), out=result)
        result.addcmul_(gradient, _spread(scale, parts))
        has_weight, has_bias = ctx.affine
        return d_maps, d_weight if has_weight else None, d_bias if has_bias else None, None, None


class _MeasuredNorm(torch.autograd.Function):
    """The same of any maps: by moments that are exact, torch's own passes."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = own_moments(maps)
        result = torch.ops.aten.native_batch_norm(maps, weight, bias, mean, variance, False, 0.0, eps)[0]
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt_())
        ctx.eps, ctx.wanted = eps, [True, weight is not None, bias is not None]
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, *statistics = ctx.saved_tensors
        d_maps, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            channels_last(gradient), maps, weight, None, None, *statistics, True, ctx.eps, ctx.wanted
        )
        return d_maps, d_weight if ctx.wanted[1] else None, d_bias if ctx.wanted[2] else None, None
