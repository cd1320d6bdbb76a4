"""The search network of DARTS and PC-DARTS in any space of cells: every operation on every edge, weighted.

Built plainly from the graph of the space. A space may have a faster network that computes the same; this one is the
reference.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nascli.core.nn.computations import Arguments
from nascli.core.nn.graph_network import GraphModules, Logits
from nascli.errors import UsageError
from nascli.graphs.operations import Draw
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import Mixture


def check_partial_channels(channels: int, partial_channels: int) -> None:
    """Raise UsageError where K does not divide the channels."""
    if partial_channels < 1 or channels % partial_channels:
        raise UsageError(
            f"K = {partial_channels} does not divide the {channels} channels: "
            "choose --partial-channels and --channels so that it does"
        )


def draw_some(edges: int, channels: int, mixed: int, generator: torch.Generator) -> Tensor:
    """`mixed` of the channels for every edge, drawn uniformly: [edges, mixed], ascending, on the generator's device."""
    noise = torch.rand(edges, channels, generator=generator, device=generator.device)
    return noise.argsort(dim=1)[:, :mixed].sort(dim=1).values


class GraphMixture(GraphModules):
    """Images [B, image_channels, H, W] -> logits [B, classes], through cells whose every edge mixes all operations.

    The weights of operations and edges are arguments of `forward`, as are the channels that are mixed: the network
    itself holds only its parameters and the running statistics of its batch norms. partial_channels: K of PC-DARTS; a
    K-th of a state's channels goes through the operations, the others past them. There is an auxiliary tower where the
    settings want one. Raises UsageError where K does not divide the channels, and for `recompute`, which only faster
    networks offer.
    """

    def __init__(
        self, space: CellSpace, settings: NetworkSettings, *, partial_channels: int, recompute: bool = False
    ) -> None:
        if recompute:
            raise UsageError(f"--recompute is not available in the space {space.name}: leave it out")
        check_partial_channels(settings.channels, partial_channels)
        wiring = Mixture(space.operations, space.edges(), partial_channels)
        graph = space.graph(space.everything(), settings, wiring)
        super().__init__(graph, with_tower=settings.auxiliary)
        self._order = graph.steps((graph.nodes[-1].name,))
        self._drawn = {node.op.position: node.op.channels for node in graph.nodes if isinstance(node.op, Draw)}
        self._edges, self._partial_channels = len(space.edges()), partial_channels

    def forward(
        self,
        images: Tensor,
        operation_weights: Mapping[str, Tensor],
        edge_weights: Mapping[str, Tensor] | None,
        channels: Sequence[Tensor] | None = None,
        *,
        with_auxiliary: bool = False,
    ) -> Logits:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        operation_weights: [edges, operations] for every type of cell, softmax(alpha). edge_weights: [edges] likewise,
        softmax(beta) over the edges into each node; None: 1 (DARTS). Gradients reach both. channels: what
        `draw_channels` returns, to mix these channels of each edge and leave the others in place (PC-DARTS, Eq. 1);
        None: the first C/K, and a channel shuffle after each node (the paper's Section 4).
        Raises ValueError for a tower that isn't there.
        """
        arguments = Arguments(operation_weights=operation_weights, edge_weights=edge_weights, channels=channels)
        return self.answer(self.graph, self._order, {self.graph.nodes[0].name: images}, arguments, with_auxiliary)

    def draw_channels(self, generator: torch.Generator) -> list[Tensor]:
        """The channels that each edge mixes, drawn uniformly: [edges, C/K] per cell, ascending, on the generator's
        device.
        """
        return [
            draw_some(self._edges, mixed * self._partial_channels, mixed, generator)
            for _, mixed in sorted(self._drawn.items())
        ]
