"""The search network of DARTS and PC-DARTS: a stack of mixed cells.

Liu et al., ICLR 2019, Appendix A.1; Xu et al., ICLR 2020, Section 4.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nascli.core.nn.aten import channels_last
from nascli.core.nn.graph_mixture import check_partial_channels, draw_some
from nascli.core.nn.graph_network import GraphModules, tower_of
from nascli.core.nn.mixed_cell import MixedCell, update
from nascli.core.nn.mixed_layout import CellSize
from nascli.core.nn.synced import again_synchronised, values_of_channel
from nascli.graphs.builder import Builder
from nascli.spaces.darts import STEM_MULTIPLE, Darts, reduction_cells
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.stems import STRIDES, stem
from nascli.spaces.wiring import Mixture


class MixedNetwork(GraphModules):
    """Images [B, image_channels, H, W] -> logits [B, classes], through cells whose every edge mixes all operations.

    The weights of operations and edges are arguments of `forward`, as are the channels that are mixed: the network
    itself holds only its parameters and the running statistics of its batch norms.

    partial_channels: K of PC-DARTS; a K-th of a state's channels goes through the operations, the others past them.
    recompute: keep only the cells' inputs for the backward pass and compute each cell a second time in it.
    Where the settings want an auxiliary tower, it reads the second reduction cell's output, as in a derived network.
    Raises UsageError where K does not divide the channels, and for sizes that no network can have.
    """

    def __init__(
        self, space: Darts, settings: NetworkSettings, *, partial_channels: int, recompute: bool = False
    ) -> None:
        check_partial_channels(settings.channels, partial_channels)
        # This graph is not run, but building it refuses sizes that no network can have.
        whole = space.graph(space.everything(), settings, Mixture(space.operations, space.edges(), partial_channels))
        build = Builder(settings.image_channels, settings.image_size)
        states = stem(build, settings.stem, STEM_MULTIPLE * settings.channels)
        super().__init__(build.graph())
        self._states = states
        self._stem_order = self.graph.steps(states)
        self.recompute = recompute
        self.edges = space.edges()
        channels, reductions = settings.channels, reduction_cells(settings.layers)
        c_prev_prev, c_prev = map(build.channels, states)
        reduced = STRIDES[settings.stem][0] != STRIDES[settings.stem][1]
        cells = []
        for position in range(settings.layers):
            reduction = position in reductions
            channels = 2 * channels if reduction else channels
            size = CellSize(space, (c_prev_prev, c_prev), channels, partial_channels, reduction, reduced)
            cells.append(MixedCell(size))
            c_prev_prev, c_prev, reduced = c_prev, space.nodes * channels, reduction
        self.cells = nn.ModuleList(cells)
        self._channels = [(cell.size.channels, cell.size.mixed_channels) for cell in cells]
        self.classifier = nn.Linear(c_prev, settings.classes)
        self._tower_position = reductions[-1]
        if settings.auxiliary:
            self.auxiliary = tower_of(whole)

    def forward(
        self,
        images: Tensor,
        operation_weights: Mapping[str, Tensor],
        edge_weights: Mapping[str, Tensor] | None,
        channels: Sequence[Tensor] | None = None,
        *,
        with_auxiliary: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """As `GraphMixture.forward`, for "normal" and "reduce" cells."""
        tower = self.auxiliary if with_auxiliary else None
        if with_auxiliary and tower is None:
            raise ValueError("this network was built without an auxiliary tower")
        mixtures = {
            kind: self.mixture(weights, None if edge_weights is None else edge_weights[kind])
            for kind, weights in operation_weights.items()
        }
        # Both cells that read a state begin with its ReLU: it is computed, and kept, once.
        start = {self.graph.nodes[0].name: channels_last(images)}
        values = self.run(self._stem_order, start, keep=self._states)
        first, second = (values[name] for name in self._states)
        last = F.relu(second)
        before = last if first is second else F.relu(first)
        seen: list[tuple[MixedCell, Tensor, int, int]] = []
        for position, cell in enumerate(self.cells):
            assert isinstance(cell, MixedCell)
            kind = "reduce" if cell.size.reduction else "normal"
            drawn = None if channels is None else channels[position]
            is_final = position == len(self.cells) - 1
            arguments = (before, last, mixtures[kind], drawn, is_final)
            if self.recompute and torch.is_grad_enabled():
                output, statistics = checkpoint(
                    cell,
                    *arguments,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=again_synchronised,
                )
            else:
                output, statistics = cell(*arguments)
            seen.append((cell, statistics, values_of_channel(last), values_of_channel(output)))
            before, last = last, output
            if tower is not None and position == self._tower_position:
                auxiliary_logits = tower(last)  # begins with a ReLU of its own, which leaves a ReLU's output as it is
        if self.training:
            update(seen)
        logits = self.classifier(last.mean(dim=(2, 3)))
        return logits if tower is None else (logits, auxiliary_logits)

    def mixture(self, operations: Tensor, edges: Tensor | None) -> Tensor:
        """The mixture as `MixedCell` takes it: 0, the weights of all operations of all edges, those of all edges."""
        if edges is None:
            edges = operations.new_ones(len(self.edges))
        return torch.cat((operations.new_zeros(1), (operations * edges[:, None]).flatten(), edges))

    def draw_channels(self, generator: torch.Generator) -> list[Tensor]:
        """As `GraphMixture.draw_channels`."""
        return [draw_some(len(self.edges), channels, mixed, generator) for channels, mixed in self._channels]
