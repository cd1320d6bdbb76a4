"""All edges that leave one state: the mixture of operations on each."""

import torch.nn.functional as F
from torch import Tensor

from nascli.core.nn.batch_norm import Term, normalised_sum
from nascli.core.nn.mixed_operations import (
    MIXED_OPERATIONS,
    EdgeInputs,
    Observations,
    channels_last,
    maps_like,
    rows,
)
from nascli.core.nn.per_edge import PerEdge


class MixedEdges(PerEdge):
    """The mixtures on the edges from one state to each of its targets.

    `operations` includes `none` if the space does: it takes its share of the weights and is not computed.
    """

    def __init__(self, operations: tuple[str, ...], edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.columns = {name: column for column, name in enumerate(operations) if name != "none"}
        self.edges = edges
        for name in self.columns:
            self.add_module(name, MIXED_OPERATIONS[name](edges, channels, stride))

    def forward(self, maps: Tensor, shared: bool, weights: Tensor) -> tuple[Tensor, Observations]:
        """Mixed maps [B, edges·P, H', W'].

        maps: [B, P, H, W] if `shared` by all edges, otherwise [B, edges·P, H, W]. weights: [edges, operations].
        """
        maps = channels_last(maps)
        activated = F.relu(maps)
        inputs = EdgeInputs(maps, activated, self._repeat(activated) if shared else activated)
        observations: Observations = []
        terms = []
        for name, column in self.columns.items():
            features, weight, norm, seen = self.get_submodule(name)(inputs, self.training)
            terms.append(Term(rows(features), weight, weights[:, column], norm))
            observations += seen
        mixed, seen = normalised_sum(terms, self.training)
        return maps_like(mixed, features), observations + seen

    def _repeat(self, activated: Tensor) -> Tensor:
        pixels = rows(activated)
        count, channels = pixels.shape
        repeated = pixels[:, None].expand(count, self.edges, channels).reshape(count, self.edges * channels)
        return maps_like(repeated, activated)
