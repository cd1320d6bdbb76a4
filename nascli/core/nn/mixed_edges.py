"""All edges that leave one state: the mixture of operations on each."""

import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.core.nn.batch_norm import normalised_sum
from nascli.core.nn.mixed_operations import MIXED_OPERATIONS, EdgeInputs, Observations, maps_like, rows
from nascli.core.nn.per_edge import PerEdge


class MixedEdges(PerEdge):
    """The mixtures on the edges from one state to each of its targets.

    `operations` includes `none` if the space does: it takes its share of the weights and is not computed.
    """

    def __init__(self, operations: tuple[str, ...], edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.columns = {name: column for column, name in enumerate(operations) if name != "none"}
        self.stride = stride
        for name in self.columns:
            self.add_module(name, MIXED_OPERATIONS[name](edges, channels, stride))

    def forward(self, state: Tensor, draw: list[Tensor], weights: Tensor) -> tuple[Tensor, Observations]:
        """Mixed maps [B, edges·P, H', W'] of a state [B, C, H, W].

        draw: [C, P] for each edge, the channels that it mixes; where all edges have the same object, it is used once.
        weights: [edges, operations].
        """
        pixels = rows(state)
        shared = all(matrix is draw[0] for matrix in draw)
        each = torch.cat(draw, dim=1).to(pixels.dtype)
        if shared:
            maps = pixels @ draw[0].to(pixels.dtype)
            activated = F.relu(pixels @ each, inplace=True)
        else:
            maps = pixels @ each
            activated = F.relu(maps)
        inputs = EdgeInputs(maps_like(maps, state), maps_like(activated, state), shared)
        observations: Observations = []
        terms = []
        for name, column in self.columns.items():
            term, seen = self.get_submodule(name)(inputs, self.training)
            terms.append(term._replace(scale=weights[:, column]))
            observations += seen
        mixed, seen = normalised_sum(terms, self.training)
        return maps_like(mixed, state, self.stride), observations + seen
