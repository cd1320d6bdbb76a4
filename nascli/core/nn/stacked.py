"""A super-network under many masks at once, without gradients, as fast as possible.

Batch norms have fixed statistics and are folded into the convolutions before them, once for all candidates. Candidates
are stacked in the batch. ReLUs and masks work in place on maps that nothing else reads.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.computations import COMPUTATIONS
from nascli.core.nn.graph_network import NO_ARGUMENTS, GraphNetwork, copied
from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import Concat, Conv, DropPath, GlobalPool, Image, Norm, Relu, Sum

_FRESH = (Conv, Norm, Relu, Sum, Concat)
"""Operations whose result is a tensor of its own, which may be overwritten; a `Pick` is a view of what it reads."""


class StackedNetwork:
    """The logits of many candidates in one pass, those of `network` in evaluation mode up to rounding.

    It keeps a copy of the network's weights, so later changes of the network do not affect it.
    """

    def __init__(self, network: GraphNetwork) -> None:
        self.graph: Graph = network.graph
        self._modules = _folded(network)
        self._ranges = network.graph.mask_ranges
        last = {name: node.name for node in self.graph.nodes for name in node.inputs}
        self._done_after = {
            node.name: [name for name, reader in last.items() if reader == node.name] for node in self.graph.nodes
        }

    @torch.inference_mode()
    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        """The logits of every candidate for every image.

        images: [B, image_channels, H, W]; masks: [candidates, mask_size], 1 or True where a channel is kept, or what
        it is multiplied with -> [candidates, B, classes]. What comes before the first mask is computed once for all.
        """
        stack = _Stack(len(masks), len(images))
        masks = masks.to(images.dtype)
        values: dict[str, Tensor] = {}
        for node in self.graph.nodes:
            values[node.name] = self._value(node, [values[name] for name in node.inputs], images, masks, stack)
            for name in self._done_after[node.name]:
                del values[name]
        logits = values[self.graph.nodes[-1].name]
        return stack.split(logits).expand(stack.candidates, -1, -1)

    def _value(self, node: Node, inputs: Sequence[Tensor], images: Tensor, masks: Tensor, stack: "_Stack") -> Tensor:
        match node.op:
            case Image():
                return images
            case Sum():
                return stack.sum(inputs)
            case Concat():
                return torch.cat(stack.alike(inputs), dim=1)
            case DropPath():
                return inputs[0]
            case GlobalPool():
                return inputs[0].mean(dim=(2, 3))
            case Relu():
                return F.relu(inputs[0], inplace=self._may_overwrite(node))
        x = inputs[0]
        if node.name in self._ranges:
            entries = self._ranges[node.name]
            x = stack.masked(x, masks[:, entries.start : entries.stop], in_place=self._may_overwrite(node))
        return COMPUTATIONS[type(node.op)](node, self._modules.get(node.name), [x], NO_ARGUMENTS)

    def _may_overwrite(self, node: Node) -> bool:
        (read,) = node.inputs
        return isinstance(self.graph.by_name[read].op, _FRESH) and self.graph.readers[read] == (node.name,)


class _Stack:
    """Maps of several candidates, one after the other in the batch; before any mask, one map for all."""

    def __init__(self, candidates: int, images: int) -> None:
        self.candidates, self._images = candidates, images

    def split(self, x: Tensor) -> Tensor:
        """[candidates * B, …] or [B, …] -> [candidates, B, …] or [1, B, …], a view."""
        each: Tensor = x.unflatten(0, (-1, self._images))
        return each

    def masked(self, x: Tensor, mask: Tensor, *, in_place: bool) -> Tensor:
        """The product of maps and masks [candidates, C]."""
        each, factor = self.split(x), mask[:, None, :, None, None]
        if in_place and len(each) == self.candidates:
            each.mul_(factor)
            return x
        return (each * factor).flatten(0, 1)

    def sum(self, inputs: Sequence[Tensor]) -> Tensor:
        """The sum of maps; those that all candidates share are added to each."""
        first, second, *others = sorted(map(self.split, inputs), key=len, reverse=True)
        total = first + second
        for x in others:
            total += x
        return total.flatten(0, 1)

    def alike(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The inputs; where only some are shared by all candidates, those are repeated for each."""
        most = max(map(len, inputs))
        return [torch.cat([x] * (most // len(x))) for x in inputs]


def _folded(network: GraphNetwork) -> dict[str, nn.Module]:
    """Copies of the modules of all nodes that have one, in evaluation mode, with batch norms inside convolutions."""
    graph = network.graph
    own = copied(network).eval().requires_grad_(False)
    known = dict(own.named_modules())
    modules = {node.name: known[node.name] for node in graph.nodes if node.name in known}
    for node in graph.nodes:
        convs = _foldable(graph, node)
        if not convs:
            continue
        norm = modules[node.name]
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None, "folding needs running statistics"
        # In float64, so that folding rounds once.
        scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
        shift = norm.bias.double() - mean.double() * scale
        ends = list(accumulate(graph.shapes[name].channels for name in convs))
        for name, end in zip(convs, ends, strict=True):
            conv = modules[name]
            assert isinstance(conv, nn.Conv2d)
            part = slice(end - conv.out_channels, end)
            conv.weight.copy_(conv.weight.double() * scale[part, None, None, None])
            conv.bias = nn.Parameter(shift[part].to(conv.weight.dtype), requires_grad=False)
        modules[node.name] = nn.Identity()
    return modules


def _foldable(graph: Graph, node: Node) -> list[str]:
    """The convolutions that a batch norm can be folded into: all that it reads, directly or concatenated, if only it
    reads them.
    """
    if not isinstance(node.op, Norm):
        return []
    (read,) = node.inputs
    if graph.readers[read] != (node.name,):
        return []
    convs = list(graph.by_name[read].inputs) if isinstance(graph.by_name[read].op, Concat) else [read]
    alone = len(set(convs)) == len(convs) and all(len(graph.readers[name]) == 1 for name in convs)
    dense = all(isinstance(op := graph.by_name[name].op, Conv) and not op.depthwise for name in convs)
    return convs if alone and dense else []
