"""A cell of a search network: every operation on every edge, weighted.

Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search", ICLR 2020, Eq. 1 and 2.
With all channels (K = 1) and edge weights of 1 it is the cell of Liu et al., ICLR 2019, Eq. 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.batch_norm import RunningMoments, Term, normalised_sum
from nascli.core.nn.depthwise import channels_last
from nascli.core.nn.mixed_edges import MixedEdges
from nascli.core.nn.mixed_operations import (
    Observations,
    factorized_weight,
    maps_like,
    rows,
    subsampled_pair,
)
from nascli.core.nn.partial_channels import drawn_channels, first_channels, node_sum
from nascli.core.nn.per_edge import EdgeTable
from nascli.spaces.darts import Darts


class InputMap(nn.Module):
    """A rectified input state mapped to C channels: 1x1 convolution (or a factorised reduction), batch norm."""

    def __init__(self, cin: int, channels: int, reduction: bool) -> None:
        super().__init__()
        self.reduction = reduction
        self.conv = nn.Conv2d(cin, channels // 2 if reduction else channels, 1, bias=False)
        if reduction:
            self.shifted_conv = nn.Conv2d(cin, channels - channels // 2, 1, bias=False)
        self.norm = RunningMoments(channels)

    def forward(self, activated: Tensor) -> tuple[Tensor, Observations]:
        features = channels_last(activated)
        weight = self.conv.weight[None]
        if self.reduction:
            features = subsampled_pair(features)
            weight = factorized_weight(weight, self.shifted_conv.weight[None])
        mapped, seen = normalised_sum([Term(rows(features), weight.flatten(2), self.norm)], self.training)
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
        edges = Darts(nodes).edges()  # in the order of the rows of alpha
        self.targets = {i: tuple(node for source, node in edges if source == i) for i in range(nodes + 1)}
        self.edges = EdgeTable(
            {
                i: MixedEdges(operations, len(targets), self.mixed_channels, 2 if reduction and i < 2 else 1)
                for i, targets in self.targets.items()
            },
            self.targets,
        )
        self._rows = {edge: row for row, edge in enumerate(edges)}

    def forward(
        self, first: Tensor, second: Tensor, operation_weights: Tensor, edge_weights: Tensor, channels: Tensor | None
    ) -> tuple[Tensor, Observations]:
        """The cell's output, and the moments of the batch with which to update its running statistics.

        first, second: the ReLU of the two previous cells' outputs. operation_weights: [edges, operations];
        edge_weights: [edges]; channels: [edges, C/K] to mix these channels, or None for the first C/K and a shuffle.
        """
        if channels is None:
            partial = first_channels(self.channels, self.partial_channels, like=edge_weights)
        else:
            partial = drawn_channels(self.channels, channels, like=edge_weights)
        weights = operation_weights * edge_weights[:, None]
        inputs = (first, second)
        states: list[Tensor] = []
        past: list[Tensor] = []
        mixed: dict[tuple[int, int], Tensor] = {}
        observations: Observations = []
        for index in range(self.nodes + 2):
            if index < 2:
                state, seen = self.inputs[index](inputs[index])
                observations += seen
            else:
                at = [self._rows[source, index] for source in range(index)]
                put, rest = partial.of_edges(partial.put, at), partial.of_edges(partial.rest, at)
                parts = [mixed[source, index] for source in range(index)]
                total = node_sum(edge_weights[at], put, rest, parts, past)
                state = maps_like(total, second, stride=2 if self.reduction else 1)
            states.append(state)
            if index not in self.targets:
                continue
            at = [self._rows[index, target] for target in self.targets[index]]
            maps, seen = self.edges[str(index)](state, partial.of_edges(partial.draw, at), weights[at])
            observations += seen
            parts = rows(maps).split(self.mixed_channels, dim=1)
            mixed |= {(index, target): part for target, part in zip(self.targets[index], parts, strict=True)}
            if self.partial_channels > 1:
                shrink = self.reduction and index < 2
                past.append(rows(F.max_pool2d(state, 2, 2, ceil_mode=True) if shrink else state))
        return torch.cat(states[2:], dim=1), observations
