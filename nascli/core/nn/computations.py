"""What the nodes of a graph do, one function for each kind of operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from nascli.core.nn.aten import every
from nascli.core.nn.drop_path import apply_path, sum_of_paths
from nascli.core.nn.pooling import average_pool
from nascli.graphs import operations as ops


@dataclass(frozen=True)
class Arguments:
    """What a pass depends on besides the images. None: not used.

    masks: what the input of each masked convolution is multiplied with, [B, channels] or [1, channels], by its name.
    noise: what is added to the weights of convolutions, by their names.
    paths: the multipliers [B] of each path that drop-path may leave out, by its node's name. Those of paths that only
    a sum reads come in `summed` instead: by the sum's name, which of its inputs are such paths and the multipliers of
    these, [paths, B].
    operation_weights, edge_weights: [edges, operations] and [edges] by cell type. channels: the drawn channels of every
    edge, [edges, drawn], ascending, by the position of the cell.
    """

    masks: Mapping[str, Tensor] | None = None
    noise: Mapping[str, Tensor] | None = None
    paths: Mapping[str, Tensor] | None = None
    summed: Mapping[str, tuple[Sequence[bool], Tensor]] | None = None
    operation_weights: Mapping[str, Tensor] | None = None
    edge_weights: Mapping[str, Tensor] | None = None
    channels: Sequence[Tensor] | None = None


_Op_co = TypeVar("_Op_co", bound=ops.Op, covariant=True)


class _Node(Protocol[_Op_co]):
    """A `Node` of the graph that has an operation of this type."""

    @property
    def name(self) -> str: ...
    @property
    def op(self) -> _Op_co: ...


Computation = Callable[[Any, Any, Sequence[Tensor], Arguments], Tensor]
"""Computes a node's value from the node, its module, the values of its inputs and the arguments. Inputs are unchanged.
"""


def _module(node: _Node[ops.Op], module: nn.Module, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    result: Tensor = module(inputs[0])
    return result


def _conv(node: _Node[ops.Conv], module: nn.Module, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    x = inputs[0]
    if arguments.masks is not None and (mask := arguments.masks.get(node.name)) is not None:
        x = x * mask.to(x.dtype)[:, :, None, None]
    if arguments.noise is not None and (noise := arguments.noise.get(node.name)) is not None:
        noisy: Tensor = functional_call(module, {"weight": module.get_parameter("weight") + noise}, (x,))
        return noisy
    result: Tensor = module(x)
    return result


def _relu(node: _Node[ops.Relu], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return F.relu(inputs[0])


def _max_pool(node: _Node[ops.MaxPool], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    op = node.op
    return F.max_pool2d(inputs[0], op.kernel, op.stride, op.pad, ceil_mode=op.ceil)


def _avg_pool(node: _Node[ops.AvgPool], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    op = node.op
    return average_pool(inputs[0], op.kernel, op.stride, op.pad, ceil=op.ceil)


def _pick(node: _Node[ops.Pick], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return pick_pixels(inputs[0], node.op.stride, node.op.shift)


def pick_pixels(x: Tensor, stride: int, shift: int) -> Tensor:
    """`Pick`: [B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)], a view where nothing is beyond the border."""
    height, width = x.shape[-2:]
    picked = every(x, stride, shift)
    below, right = (-(-side // stride) - len(range(shift, side, stride)) for side in (height, width))
    return F.pad(picked, (0, right, 0, below)) if below or right else picked


def _drop_path(node: _Node[ops.DropPath], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    multipliers = None if arguments.paths is None else arguments.paths.get(node.name)
    return inputs[0] if multipliers is None else apply_path(inputs[0], multipliers)


def _sum(node: _Node[ops.Op], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    if arguments.summed is None or (paths := arguments.summed.get(node.name)) is None:
        return sum_of_paths(inputs)
    dropped, multipliers = paths
    return sum_of_paths(inputs, multipliers, dropped)


def _concat(node: _Node[ops.Concat], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return torch.cat(list(inputs), dim=1)


def _zeros(node: _Node[ops.Zeros], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return torch.zeros_like(inputs[0])


def _mix_operations(
    node: _Node[ops.MixOperations], module: None, inputs: Sequence[Tensor], arguments: Arguments
) -> Tensor:
    assert arguments.operation_weights is not None, "a mixture needs the weights of its operations"
    weights = arguments.operation_weights[node.op.cell][node.op.edge]
    return _weighted([weights[column] for column in node.op.columns], inputs)


def _mix_edges(node: _Node[ops.MixEdges], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    if arguments.edge_weights is None:
        return _sum(node, module, inputs, arguments)
    weights = arguments.edge_weights[node.op.cell]
    return _weighted([weights[edge] for edge in node.op.edges], inputs)


def _weighted(weights: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
    total = weights[0] * inputs[0]
    for weight, x in zip(weights[1:], inputs[1:], strict=True):
        total = total + weight * x
    return total


def _draw(node: _Node[ops.Draw], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    if arguments.channels is None:
        return inputs[0][:, : node.op.channels]
    return inputs[0].index_select(1, arguments.channels[node.op.position][node.op.edge])


def _restore(node: _Node[ops.Restore], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    x, mixed = inputs
    if arguments.channels is None:
        return torch.cat((mixed, x[:, mixed.shape[1] :]), dim=1)
    return x.index_copy(1, arguments.channels[node.op.position][node.op.edge], mixed.to(x.dtype))


def _shuffle(node: _Node[ops.Shuffle], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return inputs[0] if arguments.channels is not None else F.channel_shuffle(inputs[0], node.op.groups)


def _global_pool(node: _Node[ops.GlobalPool], module: None, inputs: Sequence[Tensor], arguments: Arguments) -> Tensor:
    return inputs[0].permute(0, 2, 3, 1).mean(dim=(1, 2))  # in this order, its gradient is in channels-last layout


COMPUTATIONS: Mapping[type[Any], Computation] = {
    ops.Conv: _conv,
    ops.Crossed: _module,
    ops.Norm: _module,
    ops.Relu: _relu,
    ops.MaxPool: _max_pool,
    ops.AvgPool: _avg_pool,
    ops.Pick: _pick,
    ops.DropPath: _drop_path,
    ops.Sum: _sum,
    ops.Concat: _concat,
    ops.Select: _module,
    ops.Zeros: _zeros,
    ops.Constant: _module,
    ops.MixOperations: _mix_operations,
    ops.MixEdges: _mix_edges,
    ops.Draw: _draw,
    ops.Restore: _restore,
    ops.Shuffle: _shuffle,
    ops.GlobalPool: _global_pool,
    ops.Linear: _module,
}
"""By the type of the operation. `Image` needs none: its value is given."""
