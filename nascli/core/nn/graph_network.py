"""The network of a graph: a super-network with its masks as an argument, or a smaller one that was cut out of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.core.nn.auxiliary import TOWER_FORMS, AuxiliaryTower
from nascli.core.nn.concatenation import concatenate
from nascli.core.nn.depthwise import DepthwiseConv2d
from nascli.core.nn.drop_path import apply_path
from nascli.supernets.graph import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    DropPath,
    GlobalPool,
    Graph,
    Image,
    Linear,
    MaxPool,
    Node,
    Norm,
    Pick,
    Relu,
    Select,
    Sum,
)

TOWER_STEM = "cifar"
"""The form of the auxiliary tower: none of the super-networks for large images has one."""


def tower_fits(graph: Graph) -> bool:
    """Whether a graph has a place for the auxiliary tower, with maps that suit it."""
    return graph.auxiliary is not None and TOWER_FORMS[TOWER_STEM].fits(graph.shapes[graph.auxiliary].side)


class PickPixels(nn.Module):
    """`Pick`: [B, C, H, W] -> [B, C, ceil(H / stride), ceil(W / stride)]."""

    def __init__(self, stride: int, shift: int) -> None:
        super().__init__()
        self.stride, self.shift = stride, shift

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        picked = x[:, :, self.shift :: self.stride, self.shift :: self.stride]
        below, right = (-(-side // self.stride) - len(range(self.shift, side, self.stride)) for side in (height, width))
        return F.pad(picked, (0, right, 0, below)) if below or right else picked


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution with a stride, on the pixels that it sees.

    As one operation its weight gradient on a CPU overwrites memory, and crashes the process or is wrong, for
    channels-last maps of fewer than 16 channels: https://github.com/uxlfoundation/oneDNN/issues/6035 (torch 2.11).
    """

    def forward(self, x: Tensor) -> Tensor:
        down, right = self.stride
        return F.conv2d(x[:, :, ::down, ::right], self.weight, self.bias)


class SelectChannels(nn.Module):
    """`Select`: [B, C, H, W] -> [B, chosen, H, W]."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("channels", torch.tensor(channels, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
            return x.index_select(1, self.channels)
        # Seen as a matrix with a row per pixel. As maps, torch takes ten times as long and gives up the memory format.
        pixels = x.permute(0, 2, 3, 1)
        chosen = pixels.flatten(0, 2).index_select(1, self.channels)
        return chosen.unflatten(0, pixels.shape[:3]).permute(0, 3, 1, 2)


class ConstantMaps(nn.Module):
    """`Constant`: images [B, …] -> [B, channels, side, side], a view."""

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
        return maps.expand(len(images), -1, self.side, self.side)


@dataclass(frozen=True)
class _Step:
    """One node's turn. `after` are the values that nobody reads any more once it is done."""

    node: Node
    module: nn.Module | None
    mask: int | None
    after: tuple[str, ...]


class GraphNetwork(nn.Module):
    """The network of a graph. Images [B, image_channels, H, W] -> logits [B, classes].

    Its modules have the names of the graph's nodes, so the weights of a smaller network are slices of those of the
    super-network under the same names. Raises UsageError for a tower on maps that don't suit it.
    """

    def __init__(self, graph: Graph, *, with_tower: bool = False) -> None:
        super().__init__()
        self.graph = graph
        masked = {name: index for index, name in enumerate(graph.masked)}
        self._mask_sizes = [len(entries) for entries in graph.mask_ranges.values()]
        last = {name: node.name for node in graph.nodes for name in node.inputs}
        done: dict[str, list[str]] = {}
        for name, reader in last.items():
            done.setdefault(reader, []).append(name)
        self._steps = []
        for node in graph.nodes:
            module = _module(graph, node)
            if module is not None:
                _attach(self, node.name, module)
            self._steps.append(_Step(node, module, masked.get(node.name), tuple(done.get(node.name, ()))))
        self.auxiliary: AuxiliaryTower | None = None
        if with_tower:
            if graph.auxiliary is None:
                raise ValueError("this network has no place for an auxiliary tower")
            classes = graph.shapes[graph.nodes[-1].name].channels
            self.auxiliary = AuxiliaryTower(graph.shapes[graph.auxiliary].channels, classes, TOWER_STEM)
        self._paths = {name: row for row, name in enumerate(_droppable(graph))}

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
        with_auxiliary: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Logits [B, classes], or (logits, the tower's logits) `with_auxiliary`.

        masks: [B, mask_size], a row per image, or [1, mask_size], one for all: what the inputs of the masked
        convolutions are multiplied with (`Graph.groups` says where which channel is). None: everything is kept.
        paths: [path_count, B] drop-path multipliers (see `draw_paths`), or None to keep every path as it is.
        Raises ValueError for a tower that isn't there or multipliers of another shape.
        """
        if with_auxiliary and self.auxiliary is None:
            raise ValueError("this network was built without an auxiliary tower")
        if paths is not None and paths.shape != (self.path_count, len(images)):
            raise ValueError(f"paths must be {[self.path_count, len(images)]}, not {list(paths.shape)}")
        last, place = self.graph.nodes[-1].name, self.graph.auxiliary
        if not with_auxiliary or self.auxiliary is None or place is None:
            return self._run(images, masks, paths, ())[last]
        values = self._run(images, masks, paths, (place,))
        return values[last], self.auxiliary(values[place])

    def values(self, images: Tensor, names: Collection[str], masks: Tensor | None = None) -> Mapping[str, Tensor]:
        """What the named nodes put out. `masks` as in `forward`."""
        return self._run(images, masks, None, names)

    def _run(
        self, images: Tensor, masks: Tensor | None, paths: Tensor | None, wanted: Collection[str]
    ) -> dict[str, Tensor]:
        """All values that are `wanted`, and the logits."""
        split = None if masks is None else masks.to(images.dtype).split(self._mask_sizes, dim=1)
        keep = {*wanted, self.graph.nodes[-1].name}
        values: dict[str, Tensor] = {}
        for step in self._steps:
            node = step.node
            inputs = [values[name] for name in node.inputs]
            match node.op:
                case Image():
                    value = images
                case Sum() | Concat():
                    value = _sum(inputs) if isinstance(node.op, Sum) else concatenate(inputs)
                case DropPath():
                    value = inputs[0] if paths is None else apply_path(inputs[0], paths[self._paths[node.name]])
                case GlobalPool():
                    value = inputs[0].mean(dim=(2, 3))
                case Relu() if node.inputs[0] in keep:
                    value = F.relu(inputs[0])  # never in place: the input is asked for
                case _:
                    x = inputs[0]
                    if split is not None and step.mask is not None:
                        x = x * split[step.mask].to(x.dtype)[:, :, None, None]
                    assert step.module is not None
                    value = step.module(x)
            values[node.name] = value
            for name in step.after:
                if name not in keep:
                    del values[name]
        return values


def _sum(inputs: Sequence[Tensor]) -> Tensor:
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return total


def _droppable(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if isinstance(node.op, DropPath)]


def _module(graph: Graph, node: Node) -> nn.Module | None:
    """The module of a node; None for those that need none."""
    op = node.op
    match op:
        case Conv(depthwise=True):
            return DepthwiseConv2d(op.out, op.kernel, op.stride, op.dilation)
        case Conv():
            channels = graph.shapes[node.inputs[0]].channels
            kind = StridedPointwise if op.kernel == 1 and op.stride > 1 and not op.pad else nn.Conv2d
            return kind(channels, op.out, op.kernel, op.stride, op.pad, op.dilation, bias=False)
        case Norm():
            return nn.BatchNorm2d(graph.shapes[node.name].channels)
        case Relu():
            # In place where nobody else reads the input: a batch norm's gradient doesn't need its output.
            (read,) = node.inputs
            alone = isinstance(graph.by_name[read].op, Norm) and graph.readers[read] == (node.name,)
            return nn.ReLU(inplace=alone and read != graph.auxiliary)
        case MaxPool():
            return nn.MaxPool2d(op.kernel, op.stride, op.pad)
        case AvgPool():
            return nn.AvgPool2d(op.kernel, op.stride, op.pad, count_include_pad=False)
        case Pick():
            return PickPixels(op.stride, op.shift)
        case Select():
            return SelectChannels(op.channels)
        case Constant():
            return ConstantMaps(op)
        case Linear():
            return nn.Linear(graph.shapes[node.inputs[0]].channels, op.out)
        case _:
            return None


def _attach(root: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module where its dotted name says, in containers that are made where they are missing."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    root.add_module(last, module)
