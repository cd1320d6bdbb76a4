"""Means and variances of batches, up to the rounding of their type.

On a CPU torch adds up the pixels of channels-last maps one after another, in the maps' own type. Over a batch of small
images a variance is wrong by 1e-5 to 1e-4 of itself and gradients by as much or more (`benchmarks/precision.py`, torch
2.11). So a map is seen as one of fewer pixels with as many times the channels, a view. Mean and variance of such a wide
channel are those of a part of the pixels; those of the whole are

    mean = mean of the parts' means,    variance = mean of the parts' variances + variance of the parts' means.
"""

import math

import torch
from torch import Tensor

from nascli.core.nn.tracing import is_traced

WIDE = 1024
"""Rows of so many numbers are summed as fast as any."""

LONG = 4096
"""From so many pixels on, all images together, the exact moments cost little beside a batch norm."""


def own_moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, in single precision for maps in half of it. [C] each"""
    if is_long(maps):
        return moments(maps, parts_for(maps))
    running = None
    if maps.dtype not in (torch.float32, torch.float64):  # torch gives moments in the type of running ones
        running = maps.new_zeros(maps.shape[1], dtype=torch.float32)
    found: tuple[Tensor, Tensor] = torch.ops.aten.batch_norm_update_stats(
        maps, running, None if running is None else running.clone(), 0.0
    )
    return found


def is_long(maps: Tensor) -> bool:
    """Whether torch would add up so many pixels one after another that its moments are wrong."""
    return maps[:, 0].numel() >= LONG and is_foldable(maps)


def is_foldable(maps: Tensor) -> bool:
    """Whether the maps are channels-last ones of a CPU, and of a type that torch adds up as it is."""
    fitting = maps.device.type == "cpu" and maps.dtype in (torch.float32, torch.float64)
    return fitting and maps.is_contiguous(memory_format=torch.channels_last) and not is_traced()


def parts_for(maps: Tensor, multiple: int = 1) -> int:
    """Into how many parts the pixels are divided, so that rows are wide enough; a multiple of that number."""
    pixels, fewest = maps[:, 0].numel(), math.ceil(WIDE / maps.shape[1])
    fitting = (parts for parts in range(fewest, 4 * fewest) if parts % multiple == 0 and pixels % parts == 0)
    return next(fitting, multiple)


def moments(maps: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """Mean and variance [C] of channels-last maps whose pixels are folded into so many parts."""
    # Maps of one image may be laid out otherwise, which their strides don't always tell: then they are copied.
    pixels = maps.permute(0, 2, 3, 1)
    wide = pixels.reshape(1, -1, 1, parts * maps.shape[1]).permute(0, 3, 1, 2) if parts > 1 else maps
    means, variances = torch.ops.aten.batch_norm_update_stats(wide, None, None, 0.0)
    if parts == 1:
        return means, variances
    variance, mean = torch.var_mean(means.view(parts, -1), 0, correction=0)
    variance += variances.view(parts, -1).mean(0)
    return mean, variance
