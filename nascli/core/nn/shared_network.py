"""The network of a child, one of many that share their weights."""

from collections.abc import Collection, Mapping

from torch import Tensor, nn

from nascli.core.nn.graph_network import NO_ARGUMENTS, GraphModules, Logits
from nascli.graphs.graph import Graph


class SharedNetwork(GraphModules):
    """(images [B, image_channels, H, W], child) -> logits [B, classes], for children that share their weights.

    `graph` has the nodes of all children. A child is a graph whose nodes are among them: equal names are equal weights.
    Only its own activations exist.

    Batch norms use the statistics of the batch, in evaluation too: running ones, shared by many children, would fit
    none of them.
    """

    def __init__(self, graph: Graph, *, with_tower: bool = False) -> None:
        super().__init__(graph, with_tower=with_tower)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None
        outside = [node for node in graph.nodes if not _in_stem(node.name)]
        self._before_cells = tuple({name: None for node in outside for name in node.inputs if _in_stem(name)})

    def forward(
        self,
        images: Tensor,
        child: Graph,
        *,
        known: Mapping[str, Tensor] | None = None,
        with_auxiliary: bool = False,
    ) -> Logits:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        known: `before_cells` of the images. Raises ValueError for a tower that isn't there.
        """
        # The image too: a child may read a part of the stem that no other child reads.
        values = {self.graph.nodes[0].name: images, **(known or self.before_cells(images))}
        order = child.steps((child.nodes[-1].name,), tuple(values))
        return self.answer(child, order, values, NO_ARGUMENTS, with_auxiliary)

    def reusing(
        self, images: Tensor, child: Graph, known: Mapping[str, Tensor], keep: Collection[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [B, classes] of a child, given the `known` values of some nodes, and the values of those in `keep`."""
        start = {self.graph.nodes[0].name: images, **known}
        last = child.nodes[-1].name
        values = self.run(child.steps((last,), tuple(start)), start, keep=(last, *keep))
        return values[last], {name: values[name] for name in keep if name in values}

    def before_cells(self, images: Tensor) -> dict[str, Tensor]:
        """The stem's values, which are the same for all children."""
        return self.run(
            self.graph.steps(self._before_cells), {self.graph.nodes[0].name: images}, keep=self._before_cells
        )


def _in_stem(name: str) -> bool:
    return name.startswith("stem.")
