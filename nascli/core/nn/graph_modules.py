"""The modules of those nodes of a graph that have weights, statistics or tables."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.aten import every
from nascli.core.nn.depthwise import DepthwiseConv2d
from nascli.core.nn.folded_norm import BatchNorm2d
from nascli.core.nn.tracing import is_traced
from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import Constant, Conv, Crossed, Linear, Norm, Select


def module_of(graph: Graph, node: Node) -> nn.Module | None:
    """The module of a node, freshly initialised; None for those that keep nothing."""
    op, channels = node.op, graph.shapes[node.name].channels
    match op:
        case Conv(depthwise=True):
            return DepthwiseConv2d(op.out, op.kernel, op.stride, op.dilation)
        case Conv():
            read = graph.shapes[node.inputs[0]].channels
            if op.passes:
                return passing(read, op.passes)
            kind = StridedPointwise if op.kernel == 1 and op.stride > 1 and not op.pad else nn.Conv2d
            return kind(read, op.out, op.kernel, op.stride, op.pad, op.dilation, bias=False)
        case Crossed():
            return CrossedConv(channels, op.kernel, op.stride)
        case Norm():
            return BatchNorm2d(channels, affine=op.affine)
        case Select():
            return SelectChannels(op.channels)
        case Constant():
            return ConstantMaps(op)
        case Linear():
            return nn.Linear(graph.shapes[node.inputs[0]].channels, op.out)
        case _:
            return None


def attach(root: nn.Module, name: str, module: nn.Module) -> None:
    """Register a module under its dotted name; missing containers are made."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    root.add_module(last, module)


def passing(read: int, passes: Sequence[int]) -> nn.Conv2d:
    """A 1x1 convolution of `read` channels whose output k starts as channel passes[k] of its input, -1: as zeros.

    It leaves torch's generators as they are: the other layers of a network start as they would without it.
    """
    with torch.random.fork_rng(devices=[]):
        conv = nn.Conv2d(read, len(passes), 1, bias=False)
    with torch.no_grad():
        conv.weight.zero_()
        for output, channel in enumerate(passes):
            if channel >= 0:
                conv.weight[output, channel] = 1
    return conv


class CrossedConv(nn.Module):
    """`Crossed`: [B, C, H, W] -> [B, C, ceil(H / s), ceil(W / s)]."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        half = kernel // 2
        self.row = nn.Conv2d(channels, channels, (1, kernel), stride=(1, stride), padding=(0, half), bias=False)
        self.column = nn.Conv2d(channels, channels, (kernel, 1), stride=(stride, 1), padding=(half, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.column(self.row(x))
        return result


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution with a stride, computed without one on the pixels that it reads.

    As one operation, its weight gradient on a CPU overwrites memory for channels-last maps of fewer than 16 channels,
    and crashes the process or is wrong: https://github.com/uxlfoundation/oneDNN/issues/6035 (torch 2.11).
    """

    def forward(self, x: Tensor) -> Tensor:
        down, right = self.stride
        return F.conv2d(every(x, (down, right)), self.weight, self.bias)


class SelectChannels(nn.Module):
    """`Select`: [B, C, H, W] -> [B, chosen, H, W]."""

    channels: Tensor

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("channels", torch.tensor(channels, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if is_traced() or x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
            return x.index_select(1, self.channels)
        # As a matrix with a row per pixel: on maps, torch takes ten times as long and loses the memory format.
        pixels = x.permute(0, 2, 3, 1)
        chosen: Tensor = pixels.flatten(0, 2).index_select(1, self.channels).unflatten(0, pixels.shape[:3])
        return chosen.permute(0, 3, 1, 2)


class ConstantMaps(nn.Module):
    """`Constant`: images [B, …] -> [B, channels, side, side], a view."""

    row: Tensor

    def __init__(self, op: Constant) -> None:
        super().__init__()
        self.side = op.side
        self.value = nn.Parameter(torch.zeros(op.channels, op.rows, op.rows))
        border = op.rows // 2
        place = torch.arange(op.side, device="cpu")
        row = torch.minimum(place, (place - op.side + op.rows).clamp(min=border))
        self.register_buffer("row", row, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.value if self.value.shape[-1] == 1 else self.value[:, self.row][:, :, self.row]
        return maps.expand(images.shape[0], -1, self.side, self.side)
