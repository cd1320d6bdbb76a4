"""Batch norm over the batches of several processes, as if one process saw the whole batch.

The statistics of a batch are sums over its images, and so are the two numbers per channel that its gradient needs. Each
process adds up its own part, in float64, and the sums are exchanged: once forward and once backward.
torch's own layer does the same, on GPUs alone (torch.nn.SyncBatchNorm, torch 2.11).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nascli.core.nn.moments import own_moments
from nascli.distributed.ranks import Ranks

PURPOSE = "batch norms"


@dataclass(frozen=True)
class Sync:
    """A batch of so many images, of which this process has `own` and `ranks` have all."""

    ranks: Ranks
    images: int
    own: int

    def pixels(self, maps: Tensor) -> int:
        """Of a channel, in the maps of the whole batch."""
        return maps.numel() // maps.shape[1] // self.own * self.images

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance over the whole batch, from those of this process's part. Of any shape."""
        weight = self.own / self.images
        first = mean.double()
        both = weight * torch.stack((first, variance.double() + first.square()))
        mean_of_all, squares = self.ranks.summed(both, PURPOSE)
        return mean_of_all.to(mean.dtype), (squares - mean_of_all.square()).clamp_(min=0).to(variance.dtype)

    def sums(self, *parts: Tensor) -> list[Tensor]:
        """Sums over the whole batch, from those over this process's part."""
        total = self.ranks.summed(torch.cat([part.double().flatten() for part in parts]), PURPOSE)
        split = total.split([part.numel() for part in parts])
        return [one.view(part.shape).to(part.dtype) for one, part in zip(split, parts, strict=True)]


_stack: list[Sync | None] = [None]


@contextmanager
def synchronised(ranks: Ranks, *, images: int, own: int) -> Iterator[None]:
    """Within the block, batch norms in training take their statistics from the batch of all ranks."""
    _stack.append(Sync(ranks, images, own) if ranks.count > 1 else None)
    try:
        yield
    finally:
        _stack.pop()


def again_synchronised() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts for a pass, which changes nothing, and for its repetition during the backward pass (`checkpoint`)."""
    return nullcontext(), _restored(present_sync())


@contextmanager
def _restored(sync: Sync | None) -> Iterator[None]:
    _stack.append(sync)
    try:
        yield
    finally:
        _stack.pop()


def values_of_channel(maps: Tensor) -> int:
    """Over how many values a batch norm's mean is taken: those of a channel in the whole batch."""
    sync = present_sync()
    return maps[:, 0].numel() if sync is None else sync.pixels(maps)


def present_sync() -> Sync | None:
    """With whom batch norms are synchronised now; None: with nobody."""
    return _stack[-1]


class SyncedNorm(torch.autograd.Function):
    """(maps, weight and bias [C] or None) -> the normalised maps; means and variances of the whole batch, [C] each."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, sync: Sync, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = sync.moments(*own_moments(maps))
        result = torch.ops.aten.native_batch_norm(maps, weight, bias, mean, variance, False, 0.0, eps)[0]
        inverse = (variance + eps).rsqrt_()
        ctx.save_for_backward(maps, weight, mean, inverse)
        ctx.sync, ctx.has_bias, ctx.eps = sync, bias is not None, eps
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse = ctx.saved_tensors
        d_maps, d_weight, d_bias = synced_gradients(ctx.sync, gradient, maps, weight, mean, inverse, ctx.eps)
        return d_maps, None if weight is None else d_weight, d_bias if ctx.has_bias else None, None, None


def synced_gradients(
    sync: Sync, gradient: Tensor, maps: Tensor, weight: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of the maps, of the weight and of the bias; the last two are this process's part of the whole.

    With x' = (x - mean) / deviation, the gradient G and sums over the n pixels of a channel in the whole batch:

        dweight = sum G x',    dbias = sum G,    dx = weight / deviation · (G - dbias / n - x' · dweight / n).
    """
    # Both sums are the same for any weight. Without one, a GPU leaves them out.
    ones = torch.ones_like(inverse)
    own = torch.ops.aten.native_batch_norm_backward(
        gradient, maps, ones, None, None, mean, inverse, True, eps, [False, True, True]
    )
    n = sync.pixels(maps)
    d_weight, d_bias = (part / n for part in sync.sums(own[1], own[2]))
    scale = inverse if weight is None else inverse * weight
    slope = -scale * d_weight * inverse
    constant = -scale * d_bias - slope * mean
    rows = [part[:, None, None] for part in (scale, slope, constant)]  # in their own type: half precision is for maps
    d_maps = torch.addcmul(rows[2], maps, rows[1]).addcmul_(gradient, rows[0]).to(maps.dtype)
    return d_maps, own[1], own[2]
