"""A network's graph as parts (its stem, cells, blocks …), and a part as rows: chains of layers, sums, concatenations.

A ReLU that several layers share, and a selection of channels, go to each of their readers. Drop-path, which only
training has, is left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import (
    AvgPool,
    Concat,
    Constant,
    Conv,
    Crossed,
    DropPath,
    GlobalPool,
    Image,
    Linear,
    MaxPool,
    Norm,
    Pick,
    Relu,
    Select,
    Sum,
    Zeros,
)

IMAGE = "image"

_PART = re.compile(r"(cells\.\d+|residuals\.\d+|stage\d+\.[a-z]+\d*|stem)\b")
LAST_PART = "classifier"

Number = int | bool | None


@dataclass(frozen=True)
class Layer:
    """A building block of `plain.blocks` or of torch: its name, arguments by name, and the nodes that it stands for.

    weights: the node whose weights lie at each place within the block ("" is the block itself).
    """

    block: str
    arguments: Mapping[str, Number] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Row:
    """One value of a part: layers one after the other on one input, or a `join` of several: sum, concat, zeros."""

    name: str
    inputs: list[str]
    layers: list[Layer] = field(default_factory=list)
    join: str = ""


@dataclass
class Part:
    """Rows, each after those that it reads; the last is what the part puts out. `inputs`: values of other parts."""

    name: str
    rows: list[Row]
    inputs: list[str]

    @property
    def output(self) -> str:
        return self.rows[-1].name


def parts_of(graph: Graph) -> list[Part]:
    """The parts of a network, each after those that it reads."""
    rows = _chained(graph, list(_single_rows(graph)))
    place = {row.name: match[0] if (match := _PART.match(row.name)) else LAST_PART for row in rows}
    _divide(rows, place)
    parts = [_part(name, [row for row in rows if place[row.name] == name]) for name in dict.fromkeys(place.values())]
    position = {row.name: number for number, row in enumerate(rows)}
    return sorted(parts, key=lambda part: position[part.output])


def _part(name: str, rows: list[Row]) -> Part:
    inside = {row.name for row in rows}
    read = list(dict.fromkeys(name for row in rows for name in row.inputs if name not in inside))
    if len(read) > 1 and IMAGE in read and all(IMAGE not in row.inputs or _is_constant(row) for row in rows):
        read.remove(IMAGE)
    for row in rows:
        if _is_constant(row):  # it needs any map of the batch, to know how many images there are
            row.inputs = read[:1]
    return Part(name, rows, read)


def _is_constant(row: Row) -> bool:
    return bool(row.layers) and row.layers[0].block == "Constant"


def _single_rows(graph: Graph) -> Iterator[Row]:
    """A row for every node that the output depends on, with what is inlined in front of it."""
    selects = any(isinstance(node.op, Select) for node in graph.nodes)
    for node, _ in graph.steps((graph.nodes[-1].name,)):
        if isinstance(node.op, DropPath) or _is_inlined(node):
            continue
        if isinstance(node.op, Sum | Concat | Zeros):
            inputs = []
            for number, name in enumerate(node.inputs):
                start, before = _behind(graph, name)
                if before:
                    yield Row(f"{node.name}.input{number}", [start], before)
                    start = f"{node.name}.input{number}"
                inputs.append(start)
            yield Row(node.name, inputs, join=type(node.op).__name__)
            continue
        start, layers = _behind(graph, node.inputs[0])
        reads_some = isinstance(node.op, Conv | Norm | Linear)
        if selects and reads_some and not (layers and layers[-1].block == "select"):
            channels = graph.shapes[node.inputs[0]].channels
            layers = [*layers, Layer("select", {"channels": channels, "kept": channels})]
        yield Row(node.name, [start], [*layers, _layer(graph, node)])


def _is_inlined(node: Node) -> bool:
    """Selections, and the ReLUs that `Builder.rectified` shares among all readers of a map."""
    return isinstance(node.op, Select) or (isinstance(node.op, Relu) and node.name.endswith(".relu"))


def _behind(graph: Graph, name: str) -> tuple[str, list[Layer]]:
    """The node that a reader of `name` reads in the end, and the layers that are inlined on the way."""
    layers: list[Layer] = []
    node = graph.by_name[name]
    while isinstance(node.op, DropPath) or _is_inlined(node):
        if not isinstance(node.op, DropPath):
            layers.insert(0, _layer(graph, node))
        node = graph.by_name[node.inputs[0]]
    return IMAGE if isinstance(node.op, Image) else node.name, layers


def _layer(graph: Graph, node: Node) -> Layer:
    op, name = node.op, node.name
    read = graph.shapes[node.inputs[0]].channels
    own = {"": name}
    match op:
        case Conv(depthwise=True):
            taps = {"kernel": op.kernel, "stride": op.stride, "dilation": op.dilation}
            return Layer("depthwise", {"channels": read, **taps}, own)
        case Conv():
            usual = op.pad == op.dilation * (op.kernel // 2)
            taps = {"kernel": op.kernel, "stride": op.stride, "dilation": op.dilation}
            padding = None if usual else op.pad
            return Layer("conv", {"channels": read, "out": op.out, **taps, "padding": padding}, own)
        case Crossed():
            halves = {half: f"{name}.{half}" for half in ("row", "column")}
            return Layer("CrossedConv", {"channels": read, "kernel": op.kernel, "stride": op.stride}, halves)
        case Norm():
            return Layer("nn.BatchNorm2d", {"channels": read, "affine": op.affine}, own)
        case Relu():
            return Layer("nn.ReLU")
        case MaxPool():
            window = {"kernel": op.kernel, "stride": op.stride, "padding": op.pad, "ceil_mode": op.ceil}
            return Layer("nn.MaxPool2d", window)
        case AvgPool():
            window = {"kernel": op.kernel, "stride": op.stride, "padding": op.pad, "ceil": op.ceil}
            return Layer("average_pool", window)
        case Pick():
            return Layer("Pick", {"stride": op.stride, "shift": op.shift})
        case Select():
            kept = len(op.channels)
            if kept == read:  # in another order
                return Layer("Select", {"kept": kept}, own)
            return Layer("select", {"channels": read, "kept": kept}, own)
        case Constant():
            return Layer("Constant", {"channels": op.channels, "rows": op.rows, "side": op.side}, own)
        case GlobalPool():
            return Layer("GlobalPool")
        case Linear():
            return Layer("nn.Linear", {"channels": read, "out": op.out}, own)
        case _:
            raise AssertionError(f"a trained network has no {type(op).__name__}")


def _chained(graph: Graph, rows: list[Row]) -> list[Row]:
    """Rows whose only reader is a chain of layers become the beginning of it."""
    known = {row.name: row for row in rows}
    counts = _reader_counts(rows)
    chained: list[Row] = []
    gone: set[str] = set()
    for row in rows:
        (start, *others) = row.inputs
        before = known.get(start)
        together = before is not None and not before.join and not row.join and not others
        if together and before is not None and counts[start] == 1 and _same_part(start, row.name):
            row.layers = [*before.layers, *row.layers]
            row.inputs = before.inputs
            gone.add(start)
        chained.append(row)
    return [row for row in chained if row.name not in gone]


def _same_part(one: str, other: str) -> bool:
    first, second = _PART.match(one), _PART.match(other)
    return (first and first[0]) == (second and second[0])


def _reader_counts(rows: Iterable[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for name in row.inputs:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _divide(rows: Sequence[Row], place: dict[str, str]) -> None:
    """Divide parts of which others read several values, until every part puts out one."""
    known = {row.name: row for row in rows}
    last = rows[-1].name
    while True:
        outputs: dict[str, dict[str, None]] = {}
        for row in rows:
            for name in row.inputs:
                if name != IMAGE and place[name] != place[row.name]:
                    outputs.setdefault(place[name], {})[name] = None
        outputs.setdefault(place[last], {})[last] = None
        several = {part: names for part, names in outputs.items() if len(names) > 1}
        if not several:
            return
        for part, names in several.items():
            first = min(names, key=list(known).index)
            needed = _needed(first, known, place)
            for name in [name for name, where in place.items() if where == part and name not in needed]:
                place[name] = f"{part}_rest"


def _needed(name: str, known: Mapping[str, Row], place: Mapping[str, str]) -> set[str]:
    """A row and those of its part that it depends on."""
    found, todo = set(), [name]
    while todo:
        current = todo.pop()
        found.add(current)
        todo += [before for before in known[current].inputs if before in known and place[before] == place[name]]
    return found
