"""One state of a mixed cell: all operations on all edges that leave it, and their gradient by hand.

Whatever the edges have in common is computed once: one convolution, one batch norm and one pooling serve all targets.
The weights of the mixture are those of the slots' batch norm, whose gradient then gives theirs.

Maps are [B, channels, H, W] in channels-last layout, in which rows, [B·H·W, channels], are a view of them. The order of
the channels that leave a state is told in `mixed_layout`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nascli.core.nn import aten
from nascli.core.nn.aten import BatchNorms, maps_like, rows
from nascli.core.nn.mixed_channels import Channels
from nascli.core.nn.mixed_kernels import (
    KernelGradients,
    Kernels,
    first_convolutions,
    first_gradients,
    second_gradients,
    second_halves,
    strided_skip_gradients,
    strided_skips,
)
from nascli.core.nn.mixed_layout import AVERAGE_POOLING, MAX_POOLING, NOWHERE, Source
from nascli.core.nn.mixed_sum import MixedSum


class Mixture(NamedTuple):
    """The weights of a cell's slots, and the matrices for what goes past the operations, one after the other.

    entries: the places of those of them, in this order, that are weights of the mixture; weights: which these are.
    """

    scales: Tensor
    past: Tensor
    entries: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Shared:
    """What the sources of a cell share in one pass. channels: of each source."""

    channels: Sequence[Channels]
    kernels: Kernels
    mixture: Mixture
    norms: BatchNorms
    mixed_sum: MixedSum


@dataclass
class Gradients:
    """Of `Kernels`, and of `Mixture`, if it is wanted, part by part, from the last source to the first."""

    kernels: KernelGradients
    wanted: bool
    scales: list[Tensor] = field(default_factory=list)
    past: list[Tensor] = field(default_factory=list)


class Saved(NamedTuple):
    """What the gradient needs of a source; None where there is no such operation.

    active: the ReLU of the mixed channels. hidden: first halves of separable convolutions, before their batch norm.
    places: of the maxima. passed, passed_places: the state that goes past the operations, pooled in a reduction. slots:
    what `MixedSum` keeps.
    """

    active: Tensor
    hidden: Tensor | None
    places: Tensor | None
    passed: Tensor | None
    passed_places: Tensor | None
    slots: tuple[Tensor | None, ...]

    @classmethod
    def of(cls, *tensors: Tensor) -> Self:
        """From what `tensors` gave."""
        active, hidden, places, passed, passed_places, *slots = tensors
        return cls(active, hidden, places, passed, passed_places, tuple(slots))

    def tensors(self) -> tuple[Tensor | None, ...]:
        """All that is saved, in one row."""
        return *self[:5], *self.slots


def source_forward(source: Source, state: Tensor, total: Tensor, shared: Shared) -> Saved:
    """Add what leaves a state [B, C, H, W] to its targets, the rows `total` [n, T·C]; the first source sets them."""
    channels, kernels, norms = shared.channels[source.index], shared.kernels, shared.norms
    taken = channels.take(state)
    active = torch.relu(taken)
    hidden, dilated = first_convolutions(active, source, kernels)
    separable = skipped = maxima = places = means = None
    if hidden is not None:
        separable = second_halves(norms(hidden, None, source.hidden).relu_(), source, kernels)
    if source.skip != NOWHERE:
        skipped = strided_skips(active, source, kernels, channels.copies)
    if MAX_POOLING in source.operations:
        maxima, places = aten.max_pool(taken, 3, source.stride)
    if AVERAGE_POOLING in source.operations:
        means = aten.average_pool(taken, source.stride)
    passed = passed_places = None
    if source.past != NOWHERE:
        passed = state
        if source.stride == 2:
            passed, passed_places = aten.max_pool(state, 2, 2)
        matrix = shared.mixture.past[source.past].view(state.shape[1], -1)
        if source.index == 0:
            torch.mm(rows(passed), matrix, out=total)
        else:
            total.addmm_(rows(passed), matrix)
    elif source.index == 0:
        total.zero_()
    slots: tuple[Tensor | None, ...] = ()
    if source.operations:
        parts = separable, dilated, skipped, maxima, means
        slots, mixed = shared.mixed_sum.forward(parts, shared.mixture.scales[source.scales], source)
        channels.put(total, mixed)
    return Saved(active, hidden, places, passed, passed_places, slots)


def source_backward(
    source: Source, saved: Saved, d_total: Tensor, d_state: Tensor | None, shared: Shared, found: Gradients
) -> Tensor:
    """The gradient of the state as rows [n', C], from that of the rows of its targets [n, T·C].

    It is added to `d_state`, if that is given. The gradients of kernels and of the mixture go to `found`.
    """
    channels, kernels, norms, active = shared.channels[source.index], shared.kernels, shared.norms, saved.active
    d_state = _past_gradient(source, saved, d_total, d_state, shared, found)
    if not source.operations:
        return d_state
    scales = shared.mixture.scales[source.scales]
    (d_second, d_dilated, d_skip, d_maxima, d_means), d_scales = shared.mixed_sum.backward(
        d_total, channels, saved.slots, scales, source, wanted=found.wanted
    )
    if d_scales is not None:
        found.scales.append(d_scales)
    d_hidden = None
    if saved.hidden is not None and d_second is not None:
        between = norms.again(saved.hidden, source.hidden).relu_()
        d_between = second_gradients(d_second, between, source, kernels, found.kernels)
        d_between = torch.ops.aten.threshold_backward(d_between, between, 0)
        d_hidden, _ = norms.gradients(d_between, saved.hidden, None, source.hidden)
    d_active = first_gradients((d_hidden, d_dilated), active, source, kernels, found.kernels)
    if d_skip is not None:
        d_skipped = strided_skip_gradients(d_skip, active, source, kernels, channels.copies, found.kernels)
        d_active = d_skipped if d_active is None else d_active.add_(d_skipped)
    if d_active is not None:
        channels.add_taken(d_state, rows(torch.ops.aten.threshold_backward(d_active, active, 0)))
    if d_maxima is not None and saved.places is not None:
        d_taken = aten.max_pool_gradient(d_maxima, active, saved.places, 3, source.stride)
        channels.add_taken(d_state, rows(d_taken))
    if d_means is not None:
        channels.add_taken(d_state, rows(aten.average_pool_gradient(d_means, active, source.stride)))
    return d_state


def _past_gradient(
    source: Source, saved: Saved, d_total: Tensor, d_state: Tensor | None, shared: Shared, found: Gradients
) -> Tensor:
    """The part of `source_backward` for what goes past the operations, or zeros."""
    active = saved.active
    if saved.passed is None:
        return rows(torch.zeros_like(active))  # K = 1: all channels go through the operations
    if found.wanted:
        found.past.append(torch.mm(rows(saved.passed).t(), d_total))
    matrix = shared.mixture.past[source.past].view(saved.passed.shape[1], -1).t()
    if d_state is not None:
        return d_state.addmm_(d_total, matrix)
    d_passed = torch.mm(d_total, matrix)
    if saved.passed_places is None:
        return d_passed
    size = (len(active), d_passed.shape[1], *active.shape[2:])
    like = torch.empty(size, dtype=active.dtype, device=active.device, memory_format=torch.channels_last)
    return rows(aten.max_pool_gradient(maps_like(d_passed, saved.passed), like, saved.passed_places, 2, 2))
