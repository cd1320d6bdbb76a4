"""The networks of children that share their weights: one child, or several on the same images."""

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor, nn

from nascli.core.nn.graph_network import NO_ARGUMENTS, GraphModules, Logits
from nascli.graphs.graph import Graph
from nascli.graphs.turns import Turn, turns


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

    def forward(self, images: Tensor, child: Graph, *, with_auxiliary: bool = False) -> Logits:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        Raises ValueError for a tower that isn't there.
        """
        order = child.steps((child.nodes[-1].name,))
        return self.answer(child, order, {child.nodes[0].name: images}, NO_ARGUMENTS, with_auxiliary)


class Siblings:
    """Children of a shared network on the same images, one after the other: what neighbours share is computed once.

    `turns` says in which order. For each turn, call with the images; to learn, follow it by `backward` of what the turn
    adds to the loss. After the last turn everything may begin again, with other images.

        for turn in siblings.turns:
            logits = siblings(images, turn)
            siblings.backward(turn, share[turn.place] * F.cross_entropy(logits, labels))

    The weights' gradients are those of the sum, as if every child had run alone, up to the rounding of sums. A value
    that outlives what reads it is read through a cut, where gradients gather; they go on from there once, in the last
    turn that has the value. So no more is kept for the backward pass than the present child needs, but for the
    gradients at the cuts.
    """

    def __init__(self, network: SharedNetwork, children: Sequence[Graph]) -> None:
        self._network = network
        self.turns = turns(children, [self._wanted(child) for child in children])
        self._values: dict[str, Tensor] = {}
        self._cuts: dict[str, tuple[Tensor, Tensor]] = {}
        """The values that are cut, each with the leaf that is read in its place, by node."""

    @overload
    def __call__(self, images: Tensor, turn: Turn) -> Tensor: ...

    @overload
    def __call__(self, images: Tensor, turn: Turn, *, with_auxiliary: bool) -> Logits: ...

    def __call__(self, images: Tensor, turn: Turn, *, with_auxiliary: bool = False) -> Logits:
        """Logits [B, classes] of the turn's child, or (logits, the tower's logits) `with_auxiliary`.

        Raises ValueError for a tower that isn't there.
        """
        wanted = self._wanted(turn.graph)
        values, self._values = {turn.graph.nodes[0].name: images, **self._values}, {}
        keep = turn.keep.union(wanted)
        for node, spent in turn.steps:
            inputs = [self._read(turn, name, values[name], turn.ends[node.name]) for name in node.inputs]
            values[node.name] = self._network.compute(node, inputs, NO_ARGUMENTS, keep)
            for name in spent:
                if name not in keep:
                    del values[name]
        self._values = {name: values[name] for name in turn.keep}
        ends = [self._read(turn, name, values[name], turn.position) for name in wanted]
        if not with_auxiliary:
            return ends[0]
        if self._network.auxiliary is None:
            raise ValueError("this network was built without an auxiliary tower")
        return ends[0], self._network.auxiliary(ends[1])

    def backward(self, turn: Turn, loss: Tensor) -> None:
        """Add the gradients of `loss`, and of earlier turns' losses in what ends with this one, to the weights'."""
        over = [self._cuts.pop(name) for name in list(self._cuts) if turn.ends[name] == turn.position]
        gathered = [(value, leaf.grad) for value, leaf in over if leaf.grad is not None]
        torch.autograd.backward([loss, *(value for value, _ in gathered)], [None, *(grad for _, grad in gathered)])

    def _wanted(self, graph: Graph) -> tuple[str, ...]:
        """The output, and the place of the tower if there is one."""
        last = graph.nodes[-1].name
        return (last,) if self._network.auxiliary is None or graph.tower is None else (last, graph.tower.node)

    def _read(self, turn: Turn, name: str, value: Tensor, end: int) -> Tensor:
        """The value of a node for a reader that ends in this turn."""
        if turn.ends[name] == end or not value.requires_grad:
            return value
        if name not in self._cuts:
            self._cuts[name] = value, value.detach().requires_grad_()
        return self._cuts[name][1]
