"""A cell of a search network: every operation on every edge, weighted.

Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020, Eq. 1 and 2. With all
channels (K = 1) and edge weights of 1 it is the cell of Liu et al., ICLR 2019, Eq. 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.batch_norm import RunningMoments, Term, normalised_sum
from nascli.core.nn.mixed_edges import MixedEdges
from nascli.core.nn.mixed_operations import (
    Observations,
    channels_last,
    factorized_weight,
    maps_like,
    rows,
    subsampled_pair,
)
from nascli.core.nn.per_edge import EdgeTable


def cell_edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """(input state, node state) of each edge in the order of alpha's rows: node 2 first, its inputs ascending."""
    return tuple((source, node) for node in range(2, nodes + 2) for source in range(node))


class InputMap(nn.Module):
    """An input state mapped to C channels: ReLU, 1x1 convolution (or a factorised reduction), batch norm."""

    def __init__(self, cin: int, channels: int, reduction: bool) -> None:
        super().__init__()
        self.reduction = reduction
        self.conv = nn.Conv2d(cin, channels // 2 if reduction else channels, 1, bias=False)
        if reduction:
            self.shifted_conv = nn.Conv2d(cin, channels - channels // 2, 1, bias=False)
        self.norm = RunningMoments(channels)

    def forward(self, maps: Tensor) -> tuple[Tensor, Observations]:
        features = channels_last(F.relu(maps))
        weight = self.conv.weight[None]
        if self.reduction:
            features = subsampled_pair(features)
            weight = factorized_weight(weight, self.shifted_conv.weight[None])
        mapped, seen = normalised_sum([Term(rows(features), weight.flatten(2), None, self.norm)], self.training)
        return maps_like(mapped, features), seen


class MixedCell(nn.Module):
    """First [B, c_prev_prev, H', W'] and second [B, c_prev, H, W] -> [B, nodes·C, H/s, W/s], s = 2 in a reduction cell.

    The edges from one state are computed together (`MixedEdges`); in the state dict each has a name of its own, such as
    `edges.0-2.sep_conv_3x3.first.depthwise.weight`.
    """

    def __init__(
        self,
        operations: tuple[str, ...],
        nodes: int,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        partial_channels: int,
        reduction: bool,
        reduction_prev: bool,
    ) -> None:
        super().__init__()
        self.nodes, self.channels, self.reduction = nodes, channels, reduction
        self.partial_channels = partial_channels
        self.mixed_channels = channels // partial_channels
        self.out_channels = nodes * channels
        self.inputs = nn.ModuleList(
            (InputMap(c_prev_prev, channels, reduction_prev), InputMap(c_prev, channels, reduction=False))
        )
        edges = cell_edges(nodes)
        targets = {i: tuple(node for source, node in edges if source == i) for i in range(nodes + 1)}
        self.edges = EdgeTable(
            {
                i: MixedEdges(operations, len(targets[i]), self.mixed_channels, 2 if reduction and i < 2 else 1)
                for i in targets
            },
            targets,
        )
        self._row = {edge: row for row, edge in enumerate(edges)}

    def forward(
        self, first: Tensor, second: Tensor, operation_weights: Tensor, edge_weights: Tensor, channels: Tensor | None
    ) -> tuple[Tensor, Observations]:
        """The cell's output, and the moments of the batch that its running statistics have yet to see.

        operation_weights: [edges, operations]; edge_weights: [edges]; channels: [edges, C/K] or None for the first C/K.
        """
        states: list[Tensor] = []
        observations: Observations = []
        for module, maps in zip(self.inputs, (first, second), strict=True):
            state, seen = module(maps)
            states.append(state)
            observations += seen
        weights = operation_weights * edge_weights[:, None]

        mixed: dict[tuple[int, int], Tensor] = {}
        bypass: list[Tensor] = []
        for node in range(2, self.nodes + 3):
            source = len(bypass)
            while source < len(states) and source <= self.nodes:
                targets = self.edges.targets[source]
                at = [self._row[source, target] for target in targets]
                state = states[source]
                if channels is None:
                    maps = state[:, : self.mixed_channels]
                else:
                    maps = state[:, channels[at].flatten()]
                out, seen = self.edges[str(source)](maps, channels is None, weights[at])
                observations += seen
                mixed |= dict(zip(((source, t) for t in targets), out.split(self.mixed_channels, dim=1), strict=True))
                shrink = self.reduction and source < 2
                bypass.append(F.max_pool2d(state, 2, 2, ceil_mode=True) if shrink else state)
                source += 1
            if node == self.nodes + 2:
                break
            total = None
            for source in range(node):
                row = self._row[source, node]
                if channels is None:
                    y = torch.cat(
                        (mixed[source, node], bypass[source][:, self.mixed_channels :] * edge_weights[row]), dim=1
                    )
                else:
                    drawn = channels[row]
                    y = (bypass[source] * edge_weights[row]).index_copy(1, drawn, mixed[source, node])
                total = y if total is None else total + y
            if channels is None and self.partial_channels > 1:
                total = F.channel_shuffle(total, self.partial_channels)
            states.append(channels_last(total))
        return torch.cat(states[2:], dim=1), observations
