"""A pass through a mixed cell: its sources in their order, and their gradients in the opposite one."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nascli.core.nn import aten
from nascli.core.nn.aten import maps_like, rows
from nascli.core.nn.mixed_kernels import KernelGradients
from nascli.core.nn.mixed_source import Gradients, Mixture, Saved, Shared, source_backward, source_forward

if TYPE_CHECKING:
    from nascli.core.nn.mixed_cell import MixedCell


class CellPass(torch.autograd.Function):
    """The output of a cell, or its ReLU, and its statistics."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: "MixedCell",
        drawn: Tensor | None,
        last: bool,
        weight: Tensor,
        mixture: Tensor,
        first: Tensor,
        second: Tensor,
    ) -> tuple[Tensor, Tensor]:
        statistics = cell.statistics(mixture)
        shared = cell.shared(weight, mixture, drawn, statistics)
        nodes, mapped, saved = _forward(cell, weight, shared, (first, second))
        ctx.cell, ctx.last, ctx.shared = cell, last, shared
        kept = [fields.tensors() for fields in saved]
        ctx.kept = [len(tensors) for tensors in kept]
        ctx.save_for_backward(
            weight, mixture, first, second, nodes, *mapped, *(tensor for tensors in kept for tensor in tensors)
        )
        ctx.mark_non_differentiable(statistics)
        ctx.set_materialize_grads(False)  # no zeros for the statistics
        return (nodes if last else torch.relu(nodes)), statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        cell: MixedCell = ctx.cell
        shared: Shared = ctx.shared
        weight, mixture, first, second, nodes, *kept = ctx.saved_tensors
        needs_weight, needs_mixture = ctx.needs_input_grad[3:5]
        mapped, fields = kept[:2], iter(kept[2:])
        saved = [Saved.of(*islice(fields, count)) for count in ctx.kept]
        with torch.autocast(first.device.type, enabled=False):
            d_nodes = rows(gradient)
            d_nodes = d_nodes.clone() if ctx.last else torch.ops.aten.threshold_backward(d_nodes, rows(nodes), 0)
            found = Gradients(KernelGradients(needs_weight), needs_mixture)
            d_inputs = _backward(cell, weight, shared, (first, second), mapped, saved, d_nodes, found)
            d_weight = cell.weight_gradient(shared.kernels, found.kernels) if needs_weight else None
            d_mixture = _mixture_gradient(mixture, shared.mixture, found) if needs_mixture else None
        return None, None, None, d_weight, d_mixture, *d_inputs


def _forward(
    cell: "MixedCell", weight: Tensor, shared: Shared, inputs: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor], list[Saved]]:
    """The nodes [B, nodes·C, H/s, W/s]; and for the gradient the mapped inputs, and what each source needs."""
    channels, layout = cell.size.channels, cell.layout
    states: list[Tensor] = []
    mapped: list[Tensor] = []
    for maps, (kernel, stride), norm in zip(inputs, cell.inputs(weight, shared.kernels), layout.mapped, strict=True):
        mapped.append(aten.convolution(aten.padded_to_even(maps) if stride == 2 else maps, kernel, stride))
        states.append(shared.norms(mapped[-1], None, norm))
    batch, _, height, width = states[0].shape
    if cell.size.reduction:
        height, width = (height + 1) // 2, (width + 1) // 2
    total = states[0].new_empty(batch * height * width, cell.size.space.nodes * channels)
    nodes = total.view(batch, height, width, -1).permute(0, 3, 1, 2)
    states += nodes.split(channels, dim=1)
    saved = [
        source_forward(source, states[source.index], total[:, source.first_column * channels :], shared)
        for source in layout.sources
    ]
    return nodes, mapped, saved


def _backward(
    cell: "MixedCell",
    weight: Tensor,
    shared: Shared,
    inputs: Sequence[Tensor],
    mapped: Sequence[Tensor],
    saved: Sequence[Saved],
    d_nodes: Tensor,
    found: Gradients,
) -> list[Tensor]:
    """The gradients of the two inputs, from that of the nodes as rows, which is overwritten; the others in `found`."""
    channels, layout = cell.size.channels, cell.layout
    d_states: list[Tensor | None] = [None, None, *d_nodes.split(channels, dim=1)]
    for source in reversed(layout.sources):
        d_total, d_state = d_nodes[:, source.first_column * channels :], d_states[source.index]
        d_states[source.index] = source_backward(source, saved[source.index], d_total, d_state, shared, found)
    d_inputs: list[Tensor] = []
    for number in (1, 0):
        maps, (kernel, stride), d_state = inputs[number], cell.inputs(weight, shared.kernels)[number], d_states[number]
        assert d_state is not None
        d_normed = maps_like(d_state, mapped[number])
        d_mapped, _ = shared.norms.gradients(d_normed, mapped[number], None, layout.mapped[number])
        even = aten.padded_to_even(maps) if stride == 2 else maps
        d_even, d_kernel = aten.convolution_gradients(d_mapped, even, kernel, stride, wanted=found.kernels.wanted)
        d_inputs.append(d_even[:, :, : maps.shape[2], : maps.shape[3]])
        if d_kernel is not None:
            (found.kernels.reduction if stride == 2 else found.kernels.plain).append(d_kernel)
    return d_inputs[::-1]


def _mixture_gradient(like: Tensor, mixture: Mixture, found: Gradients) -> Tensor:
    """Of the weights of the mixture, from those of the slots' scales and of the matrices."""
    entries = torch.cat([part.flatten() for part in (*found.scales[::-1], *found.past[::-1])])
    values = entries.index_select(0, mixture.entries).to(like.dtype)
    return torch.zeros_like(like).index_add_(0, mixture.weights, values)
