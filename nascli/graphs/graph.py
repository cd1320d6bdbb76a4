"""A network as data: named nodes, each an operation on the maps of earlier ones. Needs no torch.

Networks of cells are graphs, and so are super-networks and the smaller networks that are cut out of them. What must be
known without running one (sizes, multiply-adds, the channels that are read) follows from the graph;
`nascli.core.nn.graph_network` runs it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    Crossed,
    Draw,
    DropPath,
    GlobalPool,
    Image,
    Linear,
    MaxPool,
    MixEdges,
    MixOperations,
    Norm,
    Op,
    Pick,
    Relu,
    Restore,
    Select,
    Shuffle,
    Sum,
    Zeros,
)
from nascli.graphs.tower import Tower


class Node(NamedTuple):
    """An operation, its name, such as "stage1.block0.branch0.conv1", and the names of the nodes that it reads."""

    name: str
    op: Op
    inputs: tuple[str, ...]


class Step(NamedTuple):
    """One node's turn in a pass. `spent` are the values that no later node reads."""

    node: Node
    spent: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """What a node puts out: maps [B, channels, side, side], or [B, channels] where `side` is 0."""

    channels: int
    side: int


@dataclass(frozen=True)
class Size:
    """How large a network is: learnt numbers, and multiply-adds of one image's forward pass.

    Multiply-adds are those of convolutions and linear layers, not of batch norms, poolings and sums: half of what
    torch's own counter of floating-point operations gives. Counters that include the others give a few percent more
    (the cell of PC-DARTS on ImageNet: 571 M here, 586 M in the paper). Nodes that no other node reads count, as they do
    in NAS-Bench-201. An auxiliary tower, which exists only in training, does not.
    """

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Group:
    """Input channels of a convolution that come from one source and share a drop probability.

    They are the channels `first` to `first + size - 1` of the convolution's input, and the entries `start` to
    `start + size - 1` of a row of masks (see `Graph.groups`). `source` counts the convolution's sources from 0.
    """

    conv: str
    source: int
    first: int
    start: int
    size: int


@dataclass(frozen=True)
class Graph:
    """Nodes, each after those that it reads: the image comes first, the network's output last.

    Nodes that the output does not depend on are not computed, but their parameters count. `tower` says where an
    auxiliary tower may hang in training; None: the network has no place for one.
    """

    nodes: tuple[Node, ...]
    image_size: int
    tower: Tower | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by name. Raises ValueError for a name that is there twice."""
        table = {node.name: node for node in self.nodes}
        if len(table) != len(self.nodes):
            raise ValueError("two nodes have one name")
        return table

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """What every node puts out. Raises ValueError where shapes don't fit, or nothing is left of a map."""
        if not isinstance(self.nodes[0].op, Image):
            raise ValueError("the first node is the image")
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            inputs = [shapes[name] for name in node.inputs]
            shape = shape_of(node, inputs, self.image_size)
            if shape.channels < 1 or (shape.side < 1 and not isinstance(node.op, GlobalPool | Linear)):
                raise ValueError(f"{node.name}: nothing is left of its maps")
            if isinstance(node.op, Conv) and node.op.sources and sum(node.op.sources) != inputs[0].channels:
                sources, read = sum(node.op.sources), inputs[0].channels
                raise ValueError(f"{node.name}: the sources have {sources} channels, its input {read}")
            shapes[node.name] = shape
        return shapes

    @property
    def tower_fits(self) -> bool:
        """Whether there is a place for the auxiliary tower, with maps that suit it."""
        return self.tower is not None and self.tower.form.fits(self.shapes[self.tower.node].side)

    @property
    def why_no_tower(self) -> str:
        """Why the tower does not fit, for messages."""
        return "there is no place for one in this network" if self.tower is None else self.tower.needs()

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that read each node, in order."""
        table: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                table[name].append(node.name)
        return {name: tuple(readers) for name, readers in table.items()}

    def steps(self, wanted: tuple[str, ...], given: tuple[str, ...] = ()) -> Sequence[Step]:
        """The nodes that the `wanted` ones depend on, in order, starting after the image and the `given` values."""
        key = wanted, given
        if key not in self._passes:
            live, known = set(wanted), {self.nodes[0].name, *given}
            order = []
            for node in reversed(self.nodes):
                if node.name in live and node.name not in known:
                    spent = [name for name in dict.fromkeys(node.inputs) if name not in live]
                    live.update(spent)
                    order.append(Step(node, tuple(spent)))
            self._passes[key] = order[::-1]
        return self._passes[key]

    @cached_property
    def _passes(self) -> dict[tuple[tuple[str, ...], tuple[str, ...]], Sequence[Step]]:
        """The results of `steps` so far."""
        return {}

    @cached_property
    def masked(self) -> Mapping[str, Conv]:
        """The convolutions whose input channels a mask may drop, in order."""
        return {node.name: node.op for node in self.nodes if isinstance(node.op, Conv) and node.op.sources}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of channels that share a drop probability, in the order in which a row of masks lists them."""
        groups: list[Group] = []
        start = 0
        for name, conv in self.masked.items():
            firsts = accumulate(conv.sources, initial=0)
            for source, (first, size) in enumerate(zip(firsts, conv.sources, strict=False)):
                groups.append(Group(name, source, first, start, size))
                start += size
        return tuple(groups)

    @property
    def mask_size(self) -> int:
        """Entries of a row of masks: the input channels of all masked convolutions."""
        return sum(group.size for group in self.groups)

    @property
    def mask_ranges(self) -> Mapping[str, range]:
        """Where the entries of each masked convolution are in a row of masks."""
        starts = accumulate((sum(conv.sources) for conv in self.masked.values()), initial=0)
        return {
            name: range(start, start + sum(conv.sources))
            for start, (name, conv) in zip(starts, self.masked.items(), strict=False)
        }

    @property
    def mask_parts(self) -> Mapping[str, tuple[range, ...]]:
        """The same for each part of the network: "stage0" has those of "stage0.block1.branch0.conv1" and others."""
        parts: dict[str, tuple[range, ...]] = {}
        for name, entries in self.mask_ranges.items():
            part = name.partition(".")[0]
            parts[part] = (*parts.get(part, ()), entries)
        return parts

    @cached_property
    def parameters(self) -> int:
        """The number of learnt weights, scales, shifts and biases, without those of the auxiliary tower."""
        return sum(size.parameters for size in self.sizes.values())

    @cached_property
    def largest_map(self) -> int:
        """How many numbers the largest node puts out for one image."""
        return max(shape.channels * max(1, shape.side) ** 2 for shape in self.shapes.values())

    @property
    def size(self) -> Size:
        """Parameters and multiply-adds."""
        return Size(self.parameters, self.multiply_adds)

    @property
    def tower_parameters(self) -> int:
        """The parameters of the auxiliary tower; 0 if there is no place for one."""
        if self.tower is None:
            return 0
        classes = self.shapes[self.nodes[-1].name].channels
        return self.tower.parameters(self.shapes[self.tower.node].channels, classes)

    @cached_property
    def multiply_adds(self) -> int:
        """The multiply-adds of convolutions and linear layers for one image."""
        return sum(size.multiply_adds for size in self.sizes.values())

    @cached_property
    def sizes(self) -> Mapping[str, Size]:
        """What each node has of the network's size, for those that have any."""
        return {name: Size(parameters, multiply_adds) for name, parameters, multiply_adds in self._costs()}

    def _costs(self) -> Iterator[tuple[str, int, int]]:
        for node in self.nodes:
            shape = self.shapes[node.name]
            match node.op:
                case Conv(kernel=kernel, depthwise=True, dilation=dilation):
                    # Taps that see nothing but the padding of a small map are not computed.
                    reach = 2 * ((self.shapes[node.inputs[0]].side - 1) // dilation) + 1
                    yield (
                        node.name,
                        shape.channels * kernel**2,
                        shape.channels * min(kernel, reach) ** 2 * shape.side**2,
                    )
                case Conv(kernel=kernel):
                    weights = shape.channels * self.shapes[node.inputs[0]].channels * kernel**2
                    yield node.name, weights, weights * shape.side**2
                case Crossed(kernel=kernel):
                    weights = kernel * shape.channels * self.shapes[node.inputs[0]].channels
                    # The row-wise half puts out maps of the input's height and the output's width.
                    yield node.name, 2 * weights, weights * (self.shapes[node.inputs[0]].side + shape.side) * shape.side
                case Norm(affine=True):
                    yield node.name, 2 * shape.channels, 0
                case Linear():
                    weights = shape.channels * self.shapes[node.inputs[0]].channels
                    yield node.name, weights + shape.channels, weights
                case Constant(rows=rows):
                    yield node.name, shape.channels * rows**2, 0
                case _:
                    pass


def shape_of(node: Node, inputs: list[Shape], image_size: int) -> Shape:
    """The shape that a node puts out, given the shapes of its inputs. Raises ValueError where shapes don't fit."""
    op = node.op
    match op:
        case Image():
            return Shape(op.channels, image_size)
        case Constant():
            return Shape(op.channels, op.side)
        case Conv():
            if op.depthwise and (op.out != inputs[0].channels or op.sources):
                raise ValueError(f"{node.name}: a depthwise convolution has as many outputs as inputs, and no sources")
            return Shape(op.out, _windows(inputs[0].side, op.dilation * (op.kernel - 1) + 1, op.stride, op.pad))
        case MaxPool() | AvgPool():
            side = inputs[0].side
            count = _windows(side, op.kernel, op.stride, op.pad)
            if op.ceil and (side + 2 * op.pad - op.kernel) % op.stride and count * op.stride < side + op.pad:
                count += 1  # as in torch, a last window may end beyond the map if it begins on it
            return Shape(inputs[0].channels, count)
        case Pick() | Crossed():
            return Shape(inputs[0].channels, -(-inputs[0].side // op.stride))
        case Draw():
            return Shape(op.channels, inputs[0].side)
        case Sum() | MixOperations() | MixEdges():
            if len(set(inputs)) != 1:
                raise ValueError(f"{node.name}: the summands have different shapes: {inputs}")
            return inputs[0]
        case Concat():
            if len({shape.side for shape in inputs}) != 1:
                raise ValueError(f"{node.name}: maps of different sides: {inputs}")
            return Shape(sum(shape.channels for shape in inputs), inputs[0].side)
        case Select():
            if not all(0 <= channel < inputs[0].channels for channel in op.channels):
                raise ValueError(f"{node.name}: selects channels that are not there")
            return Shape(len(op.channels), inputs[0].side)
        case GlobalPool():
            return Shape(inputs[0].channels, 0)
        case Linear():
            return Shape(op.out, 0)
        case Norm() | Relu() | DropPath() | Zeros() | Restore() | Shuffle():
            return inputs[0]


def _windows(side: int, window: int, stride: int, pad: int) -> int:
    """How many windows fit along a side; 0 or less where none does."""
    return (side + 2 * pad - window) // stride + 1
