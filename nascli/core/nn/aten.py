"""torch's convolutions, poolings and batch norm with their gradients as functions, for gradients written by hand."""

from typing import Any

import torch
from torch import Tensor

from nascli.core.nn.moments import is_long, own_moments
from nascli.core.nn.synced import present_sync, synced_gradients

EPS = 1e-5
"""Added to variances, as in torch's batch norm."""

_aten: Any = torch.ops.aten


def on_cpu(tensor: Tensor) -> bool:
    """Whether what is fast on a CPU is to be done: in full precision there, and as long as nothing is traced."""
    full = tensor.dtype in (torch.float32, torch.float64)
    return tensor.device.type == "cpu" and full and not torch.compiler.is_compiling()


def channels_last(maps: Tensor) -> Tensor:
    """The maps in channels-last layout; the same tensor if they are in it already."""
    return maps.contiguous(memory_format=torch.channels_last)


def every(maps: Tensor, stride: int | tuple[int, int], shift: int = 0) -> Tensor:
    """Every `stride`-th row and column, from `shift` on. [B, C, H, W] -> [B, C, H', W'], a view.

    Its gradient is in channels-last layout, as the maps should be: torch makes that of a slice in the order of the
    dimensions, and what meets it on its way back is slow, ten times where layouts differ.
    """
    down, right = (stride, stride) if isinstance(stride, int) else stride
    return maps.permute(0, 2, 3, 1)[:, shift::down, shift::right].permute(0, 3, 1, 2)


def rows(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B·H·W, C]: a view of maps in channels-last layout."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def maps_like(matrix: Tensor, maps: Tensor) -> Tensor:
    """[B·H·W, C] -> [B, C, H, W] in channels-last layout, with the size of other maps. A view."""
    batch, _, height, width = maps.shape
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def convolution(maps: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1, groups: int = 1) -> Tensor:
    """Without bias; odd kernels are padded to keep the size at stride 1, even ones not at all."""
    result: Tensor = _aten.convolution(maps, weight, None, *_geometry(weight, stride, dilation, groups))
    return result


def convolution_gradients(
    gradient: Tensor,
    maps: Tensor,
    weight: Tensor,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    *,
    wanted: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Of `convolution`, to the maps, and to the weight if that is wanted."""
    d_maps, d_weight, _ = _aten.convolution_backward(
        gradient, maps, weight, None, *_geometry(weight, stride, dilation, groups), (True, wanted, False)
    )
    return d_maps, d_weight


def _geometry(weight: Tensor, stride: int, dilation: int, groups: int) -> tuple[Any, ...]:
    side = weight.shape[-1]
    padding = dilation * (side // 2) if side % 2 else 0
    return [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups


def max_pool(maps: Tensor, side: int, stride: int) -> tuple[Tensor, Tensor]:
    """The maxima and their places. Windows of 3 have padding; those of 2 reach beyond the edge of odd sides."""
    pooled, places = _aten.max_pool2d_with_indices(maps, *_window(side, stride), [1, 1], side == 2)
    return pooled, places


def max_pool_gradient(gradient: Tensor, like: Tensor, places: Tensor, side: int, stride: int) -> Tensor:
    """Of `max_pool`, for maps of the size of `like`."""
    result: Tensor = _aten.max_pool2d_with_indices_backward(
        gradient, like, *_window(side, stride), [1, 1], side == 2, places
    )
    return result


def average_pool(maps: Tensor, stride: int) -> Tensor:
    """3x3; the padding is left out of the mean."""
    result: Tensor = _aten.avg_pool2d(maps, *_window(3, stride), False, False)
    return result


def average_pool_gradient(gradient: Tensor, like: Tensor, stride: int) -> Tensor:
    """Of `average_pool`, for maps of the size of `like`."""
    result: Tensor = _aten.avg_pool2d_backward(gradient, like, *_window(3, stride), False, False, None)
    return result


def _window(side: int, stride: int) -> tuple[list[int], list[int], list[int]]:
    return [side] * 2, [stride] * 2, [side // 2 if side % 2 else 0] * 2


class BatchNorms:
    """The batch norms of a cell in one pass, without bias; each has a range of the statistics.

    In training the statistics, [2, all channels], are written: means and 1 / sqrt(variance + EPS) of the batch.
    Otherwise they are read: running means and variances.
    """

    def __init__(self, statistics: Tensor, *, training: bool) -> None:
        self.statistics, self.training = statistics, training
        self.sync = present_sync() if training else None

    def __call__(self, maps: Tensor, scale: Tensor | None, place: slice) -> Tensor:
        """The normalised maps, times the scale [C] of each channel."""
        mean, other = self.statistics[:, place].unbind()
        if not self.training:
            result: Tensor = _aten.native_batch_norm(maps, scale, None, mean, other, False, 0.0, EPS)[0]
            return result
        scale = self._scale(maps, scale)
        if self._measures(maps):
            found = own_moments(maps)
            if self.sync is not None:
                found = self.sync.moments(*found)
            mean.copy_(found[0])
            other.copy_((found[1] + EPS).rsqrt_())
            return self._by_statistics(maps, scale, mean, other)
        if torch.compiler.is_compiling():  # which cannot write to a part of a tensor that is given
            out, *found = _aten.native_batch_norm(maps, scale, None, None, None, True, 0.0, EPS)
            mean.copy_(found[0])
            other.copy_(found[1])
            normed: Tensor = out
            return normed
        normed = torch.empty_like(maps)
        _aten.native_batch_norm.out(
            maps, scale, None, None, None, True, 0.0, EPS, out=normed, save_mean=mean, save_invstd=other
        )
        return normed

    def again(self, maps: Tensor, place: slice) -> Tensor:
        """The normalised maps a second time, to the last bit; the statistics are left alone."""
        if not self.training:
            return self(maps, None, place)
        scale = self._scale(maps, None)
        if self._measures(maps):
            return self._by_statistics(maps, scale, *self.statistics[:, place].unbind())
        result: Tensor = _aten.native_batch_norm(maps, scale, None, None, None, True, 0.0, EPS)[0]
        return result

    def gradients(
        self, gradient: Tensor, maps: Tensor, scale: Tensor | None, place: slice, *, wanted: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """To the maps, and to the scale if that is wanted."""
        mean, other = self.statistics[:, place].unbind()
        running, batch = ((None, None), (mean, other)) if self.training else ((mean, other), (None, None))
        if self.sync is not None:
            scale = self._scale(maps, scale)
            d_maps, d_scale, _ = synced_gradients(self.sync, gradient, maps, scale, mean, other, EPS)
            return d_maps, d_scale if wanted else None
        scale = self._scale(maps, scale)
        d_maps, d_scale, _ = _aten.native_batch_norm_backward(
            gradient, maps, scale, *running, *batch, self.training, EPS, [True, wanted, False]
        )
        return d_maps, d_scale

    def _measures(self, maps: Tensor) -> bool:
        """Whether the statistics come first, for torch's own norm would not find the right ones."""
        return self.sync is not None or is_long(maps)

    def _by_statistics(self, maps: Tensor, scale: Tensor | None, mean: Tensor, inverse: Tensor) -> Tensor:
        """The normalised maps, by means and 1 / deviations."""
        variance = inverse.reciprocal().square_().sub_(EPS)
        result: Tensor = _aten.native_batch_norm(maps, scale, None, mean, variance, False, 0.0, EPS)[0]
        return result

    def _scale(self, maps: Tensor, scale: Tensor | None) -> Tensor | None:
        """Ones where there is no scale in half precision: from its type torch takes that of the statistics."""
        if scale is None and maps.dtype != self.statistics.dtype:
            return self.statistics.new_ones(maps.shape[1])
        return scale


def padded_to_even(maps: Tensor) -> Tensor:
    """With a row and a column of zeros below and to the right where a side is odd."""
    height, width = maps.shape[2:]
    if height % 2 == width % 2 == 0:
        return maps
    return channels_last(torch.nn.functional.pad(maps, (0, width % 2, 0, height % 2)))
