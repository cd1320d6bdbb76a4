"""A cell of a search network: every operation on every edge, weighted.

Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020, Eq. 1 and 2.
With all channels (K = 1) and edge weights of 1 it is the cell of Liu et al., ICLR 2019, Eq. 2.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nascli.core.nn.aten import EPS, BatchNorms, on_cpu
from nascli.core.nn.mixed_channels import Channels, DrawnChannels, FirstChannels
from nascli.core.nn.mixed_kernels import KernelGradients, Kernels
from nascli.core.nn.mixed_layout import SIDE, CellLayout, CellSize
from nascli.core.nn.mixed_pass import CellPass
from nascli.core.nn.mixed_source import Mixture, Shared
from nascli.core.nn.mixed_sum import Apart, Whole
from nascli.core.nn.named_parts import NamedParts

MOMENTUM = 0.1
"""Weight of a batch in the running statistics, as in torch's batch norm."""

MOST_DENSE, MOST_DENSE_ON_CPU = 16, 4
"""The most mixed channels for which a depthwise and a pointwise kernel are one dense kernel: fewer operators, and more
arithmetic. On a CPU, a cell with 16 takes 1.33 times as long with dense kernels as without, one with 8 as long or 1.2
times, and one with 4 takes 0.85 of the time."""


MOST_APART = 8
"""The most mixed channels for which a CPU adds up operations in products: a cell with 4 takes 0.88 of the time that it
takes without, one with 8 takes 0.96, one with 16 1.03."""


class MixedCell(NamedParts):
    """First [B, c_prev_prev, H', W'] and second [B, c_prev, H, W] -> [B, nodes·C, H/s, W/s], s = 2 in a reduction cell.

    Its weights are one vector, and so are its running means and variances; `CellLayout` says what is where. As the
    momentum is fixed, no count of batches is kept.
    """

    running_mean: Tensor
    running_var: Tensor
    gather: Tensor
    ungather: Tensor
    whole_index: Tensor
    entry_index: Tensor
    shuffled: Tensor
    unmoved: Tensor
    past_edges: Tensor
    edge_index: Tensor
    skip_index: Tensor

    def __init__(self, size: CellSize) -> None:
        super().__init__()
        self.size, self.layout = size, CellLayout(size)
        self.weight = nn.Parameter(torch.empty(self.layout.weight_count).uniform_(-1, 1))
        with torch.no_grad():
            self.weight.mul_(torch.from_numpy(self.layout.bounds()).to(self.weight.device))
        self.register_buffer("running_mean", torch.zeros(self.layout.statistics_count))
        self.register_buffer("running_var", torch.ones(self.layout.statistics_count))
        for name, table in self.layout.tables().items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        for name, (place, shape) in self.layout.weights.items():
            yield name, self.weight[place].view(shape)
        for name, place in self.layout.statistics.items():
            yield f"{name}.running_mean", self.running_mean[place]
            yield f"{name}.running_var", self.running_var[place]

    def forward(
        self, first: Tensor, second: Tensor, mixture: Tensor, drawn: Tensor | None, last: bool
    ) -> tuple[Tensor, Tensor]:
        """The ReLU of the cell's output (of the `last` cell, the output itself), and its statistics for `update`.

        first, second: the ReLU of the two previous cells' outputs. mixture: [0, weights of all operations of all edges,
        weights of all edges]. drawn: [edges, C/K] to mix these channels, or None for the first C/K and a shuffle.
        """
        device = first.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else first.dtype
        with torch.autocast(device, enabled=False):
            inputs = (self.weight.to(kind), mixture, first.to(kind), second.to(kind))
            found: tuple[Tensor, Tensor] = CellPass.apply(self, drawn, last, *inputs)
        return found

    def statistics(self, like: Tensor) -> Tensor:
        """Room for the batch's statistics, or the running ones: [2, channels]."""
        if self.training:
            return like.new_empty(2, self.layout.statistics_count)
        return torch.stack((self.running_mean, self.running_var))

    def shared(self, weight: Tensor, mixture: Tensor, drawn: Tensor | None, statistics: Tensor) -> Shared:
        """What the sources share."""
        layout, size, mixed = self.layout, self.size, self.size.mixed_channels
        channels: Sequence[Channels] = [FirstChannels(mixed, size.partial_channels)] * len(layout.sources)
        whole, entries, index = self.whole_index, self.shuffled, self.entry_index
        if drawn is not None and size.partial_channels > 1:
            drawn = drawn.index_select(0, self.past_edges)
            counts = [len(source.targets) for source in layout.sources]
            channels = [DrawnChannels(part, size.channels) for part in drawn.split(counts)]
            past = self.edge_index[:, None].repeat(1, size.channels)
            past = past.scatter_(1, drawn, self.skip_index[:, None].expand_as(drawn))
            entries, index = self.unmoved, torch.cat((index[: layout.scale_count], past.flatten()))
            whole = torch.zeros_like(whole).index_copy_(0, entries, index)
        scales, matrices = mixture.index_select(0, whole).tensor_split([layout.scale_count])
        gathered = torch.cat((weight.new_zeros(1), weight)).index_select(0, self.gather)
        first, second = (weight[part].view(-1, mixed, mixed) for part in (layout.first, layout.second))
        first_depthwise, second_depthwise = (
            gathered[part].view(-1, mixed, SIDE, SIDE) for part in (layout.first_depthwise, layout.second_depthwise)
        )
        dense = None
        if channels[0].copies == 1 and mixed <= (MOST_DENSE_ON_CPU if on_cpu(weight) else MOST_DENSE):
            dense = first[..., None, None] * first_depthwise[:, None]
        kernels = Kernels(first, first_depthwise, dense, second, second_depthwise, gathered)
        norms = BatchNorms(statistics, training=self.training)
        mixed_sum = Apart(norms) if mixed <= MOST_APART and on_cpu(weight) else Whole(norms)
        return Shared(channels, kernels, Mixture(scales, matrices.to(weight.dtype), entries, index), norms, mixed_sum)

    def inputs(self, weight: Tensor, kernels: Kernels) -> list[tuple[Tensor, int]]:
        """The convolution of each input state, and its stride."""
        plain = [(weight[part].view(self.size.channels, -1, 1, 1), 1) for part in self.layout.plain]
        if not self.size.reduced:
            return plain
        kernel = kernels.gathered[self.layout.reduction].view(self.size.channels, -1, 2, 2)
        return [(kernel, 2), *plain]

    def weight_gradient(self, kernels: Kernels, found: KernelGradients) -> Tensor:
        """Of the weights, from those of the kernels."""
        first, first_depthwise = found.first, found.first_depthwise
        if kernels.dense is not None and found.dense:
            dense = torch.cat(found.dense[::-1])
            first = [(dense * kernels.first_depthwise[:, None]).sum(dim=(3, 4))]
            first_depthwise = [(dense * kernels.first[..., None, None]).sum(dim=1)]
        parts = [*found.plain[::-1], *first[::-1], *found.second[::-1]]
        gathered = [*first_depthwise[::-1], *found.second_depthwise[::-1], *found.skips[::-1], *found.reduction]
        if gathered:
            parts.append(torch.cat([part.flatten() for part in gathered]).index_select(0, self.ungather))
        return torch.cat([part.flatten() for part in parts])


@torch.no_grad()
def update(seen: Sequence[tuple["MixedCell", Tensor, int, int]]) -> None:
    """Move the running statistics of cells towards those of a batch, with unbiased variances.

    seen: the cells with their statistics, over how many values each mean of a mapped input is taken, and each other.
    """
    means, deviations = ([statistics[row] for _, statistics, _, _ in seen] for row in (0, 1))
    variances = torch._foreach_pow(deviations, -2.0)
    torch._foreach_sub_(variances, EPS)
    counts = [count for _, _, *counts in seen for count in counts]
    parts = [
        part
        for (cell, *_), each in zip(seen, variances, strict=True)
        for part in each.tensor_split([2 * cell.size.channels])
    ]
    torch._foreach_mul_(parts, [count / max(1, count - 1) for count in counts])
    torch._foreach_lerp_([cell.running_mean for cell, *_ in seen], means, MOMENTUM)
    torch._foreach_lerp_([cell.running_var for cell, *_ in seen], variances, MOMENTUM)
