"""A network as data: named nodes, each an operation on the maps of earlier ones. Needs no torch.

Super-networks are graphs, and so are the smaller networks that are cut out of them. What has to be known of either
without running it (sizes, multiply-adds, the channels that somebody reads) is read off the graph;
`nascli.core.nn.graph_network` runs it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias


@dataclass(frozen=True)
class Image:
    """The network's input."""

    channels: int


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, `out` channels of it. `padding` None: the map keeps its size at stride 1.

    `sources` are the channels of its input by where they come from, in order; each source has a drop probability of its
    own, and a mask multiplies the input. Empty: the convolution always reads everything. A `depthwise` one has as many
    outputs as inputs and no mask.
    """

    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int | None = None
    depthwise: bool = False
    sources: tuple[int, ...] = ()

    @property
    def pad(self) -> int:
        """Zeros on each side."""
        return self.dilation * (self.kernel // 2) if self.padding is None else self.padding


@dataclass(frozen=True)
class Norm:
    """Batch norm with scale and shift."""


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class MaxPool:
    """The largest value of a window; beyond the border there is nothing."""

    kernel: int
    stride: int
    pad: int


@dataclass(frozen=True)
class AvgPool:
    """The mean of a window, of those of its pixels that are on the map."""

    kernel: int
    stride: int
    pad: int


@dataclass(frozen=True)
class Pick:
    """Every `stride`-th pixel from pixel (shift, shift) on; zero beyond the border. Sides are rounded up."""

    stride: int
    shift: int


@dataclass(frozen=True)
class DropPath:
    """A path that drop-path may leave out in training."""


@dataclass(frozen=True)
class Sum:
    """The sum of all inputs."""


@dataclass(frozen=True)
class Concat:
    """The channels of all inputs, one after the other."""


@dataclass(frozen=True)
class Select:
    """Some channels of the input, in rising order."""

    channels: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """Maps that depend on no image: what is left of a branch without inputs. Learnt values [channels, rows, rows].

    Away from the border such a map has one value; a padded convolution of it gives others near the border. The first
    and the last (rows - 1) / 2 rows and columns have values of their own, those between share one. `side` is that of
    the maps. Its input, the image, only tells the batch.
    """

    channels: int
    side: int
    rows: int = 1


@dataclass(frozen=True)
class GlobalPool:
    """The mean of each map. -> [B, C]"""


@dataclass(frozen=True)
class Linear:
    """A linear layer with bias."""

    out: int


Op: TypeAlias = (
    Image
    | Conv
    | Norm
    | Relu
    | MaxPool
    | AvgPool
    | Pick
    | DropPath
    | Sum
    | Concat
    | Select
    | Constant
    | GlobalPool
    | Linear
)


@dataclass(frozen=True)
class Node:
    """An operation under its name, "stage1.block0.branch0.conv1", and the names of the nodes that it reads."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """What a node puts out: maps [B, channels, side, side], or [B, channels] where `side` is 0."""

    channels: int
    side: int


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
    """Nodes in an order in which each comes after what it reads: the image first, the logits last.

    `auxiliary` names the node whose maps an auxiliary tower reads in training; None: the network has none.
    Raises ValueError for a graph that hangs together badly.
    """

    nodes: tuple[Node, ...]
    image_size: int
    auxiliary: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.nodes[0].op, Image):
            raise ValueError("the first node is the image")
        for node in self.nodes:
            if isinstance(node.op, Conv) and node.op.sources:
                read = self.shapes[node.inputs[0]].channels
                if sum(node.op.sources) != read:
                    raise ValueError(f"{node.name}: the sources have {sum(node.op.sources)} channels, its input {read}")

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
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            inputs = [shapes[name] for name in node.inputs]
            shape = _shape(node, inputs, self.image_size)
            if shape.channels < 1 or (shape.side < 1 and not isinstance(node.op, GlobalPool | Linear)):
                raise ValueError(f"{node.name}: nothing is left of its maps")
            shapes[node.name] = shape
        return shapes

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that read each node, in order."""
        table: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                table[name].append(node.name)
        return {name: tuple(readers) for name, readers in table.items()}

    @cached_property
    def masked(self) -> Mapping[str, Conv]:
        """The convolutions whose input channels a mask may drop, in order."""
        return {node.name: node.op for node in self.nodes if isinstance(node.op, Conv) and node.op.sources}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of channels with a drop probability each, in the order in which a row of masks lists them."""
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

    @cached_property
    def parameters(self) -> int:
        """The learnt numbers: weights, scales and shifts, biases. The auxiliary tower's are not among them."""
        return sum(count for count, _ in self._costs())

    @cached_property
    def multiply_adds(self) -> int:
        """Those of convolutions and linear layers for one image."""
        return sum(macs for _, macs in self._costs())

    def _costs(self) -> Iterator[tuple[int, int]]:
        for node in self.nodes:
            shape = self.shapes[node.name]
            match node.op:
                case Conv(kernel=kernel, depthwise=True, dilation=dilation):
                    # Taps that only ever see the padding of a small map are not computed.
                    reach = 2 * ((self.shapes[node.inputs[0]].side - 1) // dilation) + 1
                    yield shape.channels * kernel**2, shape.channels * min(kernel, reach) ** 2 * shape.side**2
                case Conv(kernel=kernel):
                    weights = shape.channels * self.shapes[node.inputs[0]].channels * kernel**2
                    yield weights, weights * shape.side**2
                case Norm():
                    yield 2 * shape.channels, 0
                case Linear():
                    weights = shape.channels * self.shapes[node.inputs[0]].channels
                    yield weights + shape.channels, weights
                case Constant(rows=rows):
                    yield shape.channels * rows**2, 0
                case _:
                    pass


def _shape(node: Node, inputs: list[Shape], image_size: int) -> Shape:
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
            return Shape(inputs[0].channels, _windows(inputs[0].side, op.kernel, op.stride, op.pad))
        case Pick():
            return Shape(inputs[0].channels, -(-inputs[0].side // op.stride))
        case Sum():
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
        case Norm() | Relu() | DropPath():
            return inputs[0]


def _windows(side: int, window: int, stride: int, pad: int) -> int:
    """How many windows fit along a side; 0 or less where none does."""
    return (side + 2 * pad - window) // stride + 1


class Builder:
    """Puts a graph together. Methods add a node and return its name, to be read by later ones."""

    def __init__(self, image_channels: int, image_size: int) -> None:
        self._image_size = image_size
        self._nodes: list[Node] = []
        self._channels: dict[str, int] = {}
        self.image = self.add("image", Image(image_channels))

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Any node."""
        node = Node(name, op, inputs)
        self._nodes.append(node)
        # Channels alone: sides are checked once, when the graph is complete.
        shapes = [Shape(self._channels[read], 1) for read in inputs]
        self._channels[name] = op.out if isinstance(op, Conv | Linear) else _shape(node, shapes, 1).channels
        return name

    def channels(self, node: str) -> int:
        """The channels that a node puts out."""
        return self._channels[node]

    def conv(
        self,
        name: str,
        x: str,
        out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        sources: tuple[int, ...] = (),
    ) -> str:
        """A convolution with a mask; its input comes from one source unless `sources` are given."""
        sources = sources or (self._channels[x],)
        return self.add(name, Conv(out, kernel, stride, dilation, padding, sources=sources), x)

    def unmasked_conv(self, name: str, x: str, out: int, kernel: int, *, stride: int = 1) -> str:
        """A convolution that always reads everything: one on the image."""
        return self.add(name, Conv(out, kernel, stride), x)

    def depthwise(self, name: str, x: str, kernel: int, *, stride: int = 1, dilation: int = 1) -> str:
        """A depthwise convolution."""
        return self.add(name, Conv(self._channels[x], kernel, stride, dilation, depthwise=True), x)

    def norm(self, name: str, x: str) -> str:
        """A batch norm."""
        return self.add(name, Norm(), x)

    def relu(self, name: str, x: str) -> str:
        """A ReLU."""
        return self.add(name, Relu(), x)

    def classify(self, x: str, classes: int) -> str:
        """Global average pooling ("pool") and a linear layer ("classifier")."""
        return self.add("classifier", Linear(classes), self.add("pool", GlobalPool(), x))

    def graph(self, auxiliary: str | None = None) -> Graph:
        """The graph, checked. Raises ValueError, also for images too small for its strides."""
        graph = Graph(tuple(self._nodes), self._image_size, auxiliary)
        assert graph.shapes
        assert graph.by_name
        return graph
