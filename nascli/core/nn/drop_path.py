"""Drop-path: whole paths of a cell are left out at random, per sample, and the others scaled up to make up for it.

Larsson et al., "FractalNet", ICLR 2017; as Zoph et al., CVPR 2018, use it in cells. Which paths are dropped is drawn
beforehand and handed to the network as an argument, so that a step is a function of its inputs: it can be repeated,
resumed and compiled.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nascli.core.nn.tracing import is_traced
from nascli.upload import upload


def draw_paths(
    path_count: int,
    batch: int,
    probability: float,
    generator: torch.Generator,
    device: torch.device | None = None,
    rows: slice = slice(None),
) -> Tensor:
    """Multipliers of the paths: 0 with `probability`, otherwise 1 / (1 - probability). -> [path_count, batch], float32.

    Their expectation is 1, so that nothing is rescaled when the network is evaluated. They are drawn by a generator
    on the CPU and moved to `device`, if there is one. rows: only those of these images of the batch.
    Raises ValueError unless 0 <= probability < 1.
    """
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"a path is dropped with a probability in [0, 1), not {probability}")
    draws = torch.rand(path_count, batch, generator=generator)[:, rows]
    multipliers = (draws >= probability).float() / (1.0 - probability)
    return multipliers if device is None else upload(multipliers, device)


def growing_probability(last: float, epoch: int, epochs: int) -> float:
    """The probability of dropping a path in an epoch, counted from 0: it grows linearly from 0 to `last`."""
    return last * epoch / max(1, epochs - 1)


def apply_path(y: Tensor, multipliers: Tensor) -> Tensor:
    """A path's output, each sample times its multiplier. [B, C, H, W], [B] -> [B, C, H, W] of the same precision."""
    return y * multipliers.to(y.dtype)[:, None, None, None]


def sum_of_paths(ends: Sequence[Tensor], multipliers: Tensor | None = None, dropped: Sequence[bool] = ()) -> Tensor:
    """The sum of maps, of which some are first multiplied, each sample by its own number.

    ends: [B, C, H, W] each. multipliers: [paths, B], a row for each of the ends that are `dropped`, in order; None:
    nothing is multiplied.

    All gradients of paths are one product. They are packed, whatever the layout of the sum's own gradient: where the
    sum is concatenated with others, that is a strided view, on which the backward passes of batch norm and pooling are
    slow (four times slower in channels-last on a CPU).
    """
    if len(ends) == 1 and multipliers is None:
        return ends[0]
    flags = tuple(dropped) if multipliers is not None else (False,) * len(ends)
    if is_traced():
        # It packs by itself, and would take the gradients of `_SumOfPaths` for zeros (torch 2.11).
        rows = iter(()) if multipliers is None else iter(multipliers)
        first, *others = (apply_path(end, next(rows)) if drop else end for end, drop in zip(ends, flags, strict=True))
        return sum(others, start=first)
    result: Tensor = _SumOfPaths.apply(multipliers, flags, *ends)
    return result


class _SumOfPaths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, multipliers: Tensor | None, dropped: tuple[bool, ...], *ends: Tensor) -> Tensor:
        if multipliers is not None:
            multipliers = multipliers.to(ends[0].dtype)[:, :, None, None, None]
        ctx.last = ends[0].ndim == 4 and ends[0].is_contiguous(memory_format=torch.channels_last)
        ctx.dropped = dropped
        ctx.save_for_backward(multipliers)
        kept = [end for end, drop in zip(ends, dropped, strict=True) if not drop]
        paths = [end for end, drop in zip(ends, dropped, strict=True) if drop]
        if len(kept) > 1:
            total = kept[0] + kept[1]
            for end in kept[2:]:
                total += end
        factors = iter(()) if multipliers is None else iter(multipliers)
        for number, (end, factor) in enumerate(zip(paths, factors, strict=True)):
            if number or len(kept) > 1:
                total.addcmul_(end, factor)
            else:
                total = torch.addcmul(kept[0], end, factor) if kept else end * factor
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (multipliers,) = ctx.saved_tensors
        last = ctx.last
        if last:
            gradient = gradient.permute(0, 2, 3, 1)  # so that what follows is packed in this order
        of_paths = iter(()) if multipliers is None else iter(gradient * multipliers)
        whole = gradient if all(ctx.dropped) else gradient.contiguous()
        parts = [next(of_paths) if drop else whole for drop in ctx.dropped]
        return None, None, *(part.permute(0, 3, 1, 2) if last else part for part in parts)
