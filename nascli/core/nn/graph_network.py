"""The network of a graph, or of any other graph made of its nodes.

`GraphNetwork` is a derived network, a super-network with its masks, or a smaller one that was cut out of it.
One child among many that share their weights is in `nascli.core.nn.shared_network`; all operations at once, weighted,
are in `nascli.core.nn.graph_mixture`.
"""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.auxiliary import AuxiliaryTower
from nascli.core.nn.computations import COMPUTATIONS, Arguments
from nascli.core.nn.folded_norm import BatchNorm2d
from nascli.core.nn.graph_modules import attach, module_of
from nascli.errors import UsageError
from nascli.graphs.graph import Graph, Node, Step
from nascli.graphs.operations import Concat, DropPath, Norm, Relu, Sum

NO_ARGUMENTS = Arguments()

Logits = Tensor | tuple[Tensor, Tensor]
"""The network's logits [B, classes], or these and the auxiliary tower's."""


def tower_of(graph: Graph) -> AuxiliaryTower:
    """The auxiliary tower of a network. Raises UsageError where there is no place for it, or its maps don't suit it."""
    if graph.tower is None:
        raise UsageError("this network has no place for an auxiliary tower")
    if not graph.tower_fits:
        raise UsageError(f"{graph.tower.needs()}, not of {graph.image_size}")
    classes = graph.shapes[graph.nodes[-1].name].channels
    return AuxiliaryTower(graph.shapes[graph.tower.node].channels, classes, graph.tower.form)


class GraphModules(nn.Module):
    """The modules of a graph's nodes, under the nodes' names, and the computation of the nodes' values."""

    def __init__(self, graph: Graph, *, with_tower: bool = False) -> None:
        super().__init__()
        self.graph = graph
        self._kept: dict[str, nn.Module] = {}
        for node in graph.nodes:
            module = module_of(graph, node)
            if module is not None:
                attach(self, node.name, module)
                self._kept[node.name] = module
        self.auxiliary: AuxiliaryTower | None = None
        if with_tower:
            self.auxiliary = tower_of(graph)
        self._own_input = frozenset(_rectified_alone(graph))

    def run(
        self,
        order: Sequence[Step],
        values: dict[str, Tensor],
        arguments: Arguments = NO_ARGUMENTS,
        keep: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Take the steps. `values` holds what they start from; it is filled with the wanted values and returned."""
        self._count_batch(order)
        for node, spent in order:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = self.compute(node, inputs, arguments, keep)
            for name in spent:
                if name not in keep:
                    del values[name]
        return values

    def compute(self, node: Node, inputs: Sequence[Tensor], arguments: Arguments, keep: Collection[str]) -> Tensor:
        """A node's value, given those of its inputs. One that nobody else reads may be overwritten, `keep` apart."""
        if node.name in self._own_input and node.inputs[0] not in keep:
            # The gradients of a batch norm and of a concatenation don't need their output.
            return F.relu(inputs[0], inplace=True)
        return COMPUTATIONS[type(node.op)](node, self._kept.get(node.name), inputs, arguments)

    def _count_batch(self, order: Sequence[Step]) -> None:
        """Count one more batch in the batch norms that keep running statistics, all in one operator."""
        norms = (self._kept[node.name] for node, _ in order if isinstance(node.op, Norm)) if self.training else ()
        counts = [norm.num_batches_tracked for norm in norms if isinstance(norm, BatchNorm2d)]
        if counts := [count for count in counts if count is not None]:
            torch._foreach_add_(counts, 1)

    def answer(
        self, graph: Graph, order: Sequence[Step], values: dict[str, Tensor], arguments: Arguments, with_tower: bool
    ) -> Logits:
        """The logits of a graph, and the tower's `with_tower`. Raises ValueError for a tower that isn't there."""
        last = graph.nodes[-1].name
        if not with_tower:
            return self.run(order, values, arguments, (last,))[last]
        if self.auxiliary is None or graph.tower is None:
            raise ValueError("this network was built without an auxiliary tower")
        values = self.run(order, values, arguments, (last, graph.tower.node))
        return values[last], self.auxiliary(values[graph.tower.node])


def _rectified_alone(graph: Graph) -> Iterable[str]:
    """The ReLUs of batch norms and concatenations that nobody else reads."""
    place = graph.tower and graph.tower.node
    for node in graph.nodes:
        if not isinstance(node.op, Relu) or node.inputs[0] == place:
            continue
        (read,) = node.inputs
        if isinstance(graph.by_name[read].op, Norm | Concat) and graph.readers[read] == (node.name,):
            yield node.name


class GraphNetwork(GraphModules):
    """The network of a graph. Images [B, image_channels, H, W] -> logits [B, classes].

    Its modules have the names of the graph's nodes, so the weights of a smaller network are slices of those of the
    super-network under the same names.
    """

    def __init__(self, graph: Graph, *, with_tower: bool = False) -> None:
        super().__init__(graph, with_tower=with_tower)
        self._mask_sizes = {name: len(entries) for name, entries in graph.mask_ranges.items()}
        self._paths = [node.name for node in graph.nodes if isinstance(node.op, DropPath)]
        self._summed = dict(_paths_of_sums(graph, self._paths))
        self._order = graph.steps((graph.nodes[-1].name,))

    @property
    def path_count(self) -> int:
        """How many paths drop-path may leave out."""
        return len(self._paths)

    def forward(
        self,
        images: Tensor,
        paths: Tensor | None = None,
        *,
        masks: Tensor | None = None,
        noise: Mapping[str, Tensor] | None = None,
        with_auxiliary: bool = False,
    ) -> Logits:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        masks: [B, mask_size], a row per image, or [1, mask_size], one for all: what the inputs of the masked
        convolutions are multiplied with (`Graph.groups` says where which channel is). None: everything is kept.
        noise: what is added to the weights of convolutions, by their names (`WeightNoise`). None: nothing.
        paths: [path_count, B] drop-path multipliers (see `draw_paths`), or None to keep every path as it is.
        Raises ValueError for a tower that isn't there or multipliers of another shape.
        """
        if paths is not None and paths.shape != (self.path_count, len(images)):
            raise ValueError(f"paths must be {[self.path_count, len(images)]}, not {list(paths.shape)}")
        arguments = Arguments(masks=self._split(masks), noise=noise)
        if paths is not None:
            summed = {name: (dropped, paths[rows.start : rows.stop]) for name, (dropped, rows) in self._summed.items()}
            inside = {row for _, rows in self._summed.values() for row in rows}
            alone = {name: paths[row] for row, name in enumerate(self._paths) if row not in inside}
            arguments = replace(arguments, paths=alone, summed=summed)
        return self.answer(self.graph, self._order, self._start(images), arguments, with_auxiliary)

    def values(self, images: Tensor, names: Collection[str], masks: Tensor | None = None) -> Mapping[str, Tensor]:
        """The values of the named nodes, and the image. `masks` as in `forward`."""
        arguments = Arguments(masks=self._split(masks))
        return self.run(self.graph.steps(tuple(names)), self._start(images), arguments, names)

    def _start(self, images: Tensor) -> dict[str, Tensor]:
        return {self.graph.nodes[0].name: images}

    def _split(self, masks: Tensor | None) -> dict[str, Tensor] | None:
        if masks is None:
            return None
        parts = masks.split(list(self._mask_sizes.values()), dim=1)
        return dict(zip(self._mask_sizes, parts, strict=True))


class TrainedNetwork(GraphNetwork):
    """The same of images alone, as programs expect it that export networks: torch.onnx's older exporter gives a value
    to every argument that a network can take, by its place.
    """

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # what training gives besides is left out
        """[B, image_channels, H, W] -> logits [B, classes]."""
        logits = super().forward(images)
        assert isinstance(logits, Tensor)
        return logits


def _paths_of_sums(graph: Graph, paths: Sequence[str]) -> Iterable[tuple[str, tuple[Sequence[bool], range]]]:
    """The sums that take over the multipliers of all paths that they read: which of their inputs those are, and the
    rows of their multipliers.
    """
    row_of = {name: row for row, name in enumerate(paths)}
    for node in graph.nodes:
        rows = [row_of[name] for name in node.inputs if name in row_of]
        if not rows or not isinstance(node.op, Sum):
            continue
        together = range(rows[0], rows[0] + len(rows))
        if rows == list(together) and all(graph.readers[paths[row]] == (node.name,) for row in rows):
            yield node.name, ([name in row_of for name in node.inputs], together)


def copied(network: GraphNetwork) -> GraphNetwork:
    """A copy with weights of its own and the same graph."""
    graph = network.graph
    shared: dict[int, object] = {id(part): part for part in (graph, *graph.nodes)}  # not worth copying
    return copy.deepcopy(network, shared)
