"""Parts that are alike as one class, with the numbers in which they differ as its arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nascli.core.engine.export.rows import IMAGE, Layer, Number, Part, Row
from nascli.graphs.graph import Graph

_USUAL: Mapping[str, Mapping[str, Number]] = {
    "conv": {"kernel": 1, "stride": 1, "dilation": 1, "padding": None},
    "depthwise": {"stride": 1, "dilation": 1},
    "nn.BatchNorm2d": {"affine": True},
    "CrossedConv": {"stride": 1},
    "nn.MaxPool2d": {"ceil_mode": False},
    "average_pool": {"ceil": False},
    "ReluConvNorm": {"kernel": 1, "stride": 1},
    "DepthwiseSeparable": {"stride": 1, "dilation": 1},
    "SeparableConv": {"stride": 1},
    "FactorisedReduction": {"stride": 2},
}
"""Arguments of blocks that need not be given, with the value that they then have; they come last."""

NAMED = frozenset({"halve", "stride", "dilation", "padding", "ceil", "ceil_mode", "affine"})
"""Arguments that are given by name."""


@dataclass
class Slot:
    """An argument of a layer: its value in every part of the class."""

    name: str
    values: tuple[Number, ...]


@dataclass
class PartClass:
    """Parts with the same rows. `rows` are those of the first part, `names` short ones for all of their values.

    stacks: the blocks of each row, with their arguments, by its short name. parameters: the arguments by name, each
    with its value in every part. variadic: whether the inputs are any number of maps that are concatenated.
    """

    name: str
    parts: list[Part]
    names: Mapping[str, str]
    stacks: Mapping[str, list[tuple[str, list[Slot]]]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    variadic: bool = False
    inputs: Sequence[tuple[str, ...]] = ()
    """What the parts read: for every input, the value of another part in each of them. Empty if `variadic`."""

    @property
    def rows(self) -> list[Row]:
        return self.parts[0].rows

    def column(self, place: int, number: int) -> tuple[str, ...]:
        """An input of a row: the value that it is in each of the parts."""
        return tuple(part.rows[place].inputs[number] for part in self.parts)


def classes_of(graph: Graph, parts: Sequence[Part]) -> list[PartClass]:
    """The classes of the parts of a network, in the order in which they first occur."""
    alike: dict[object, list[Part]] = {}
    selecting = any(layer.block == "select" for part in parts for row in part.rows for layer in row.layers)
    for part in parts:
        if not selecting:
            part.rows[:] = _combined(part)
        alike.setdefault(_structure(graph, part), []).append(part)
    taken: dict[str, int] = {}
    found = []
    for members in alike.values():
        if selecting:
            _drop_idle_selections(members)
            for part in members:
                part.rows[:] = _combined(part)
        _map_alike(members)
        name = _class_name(graph, members[0])
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name}{taken[name]}"
        found.append(_with_parameters(graph, PartClass(unique, members, _short_names(members[0]))))
    return found


def _structure(graph: Graph, part: Part) -> object:
    """What parts of one class have in common: all but numbers and what they read of other parts."""
    variadic = is_variadic(part)
    known = {row.name: row.name.removeprefix(part.name) for row in part.rows}
    rows = []
    for row in part.rows:
        inputs = [known.get(name, "*") for name in row.inputs]
        blocks = tuple("1x1" if _maps(layer) else layer.block for layer in row.layers)
        rows.append((known[row.name], row.join, tuple(dict.fromkeys(inputs) if variadic else inputs), blocks))
    return _class_name(graph, part), tuple(rows)


def _maps(layer: Layer) -> bool:
    """Whether a layer does what the first layers of a cell do to its inputs, which may have to be halved."""
    if layer.block == "FactorisedReduction":
        return layer.arguments["stride"] == 2
    return layer.block == "ReluConvNorm" and layer.arguments["kernel"] == layer.arguments["stride"] == 1


def is_variadic(part: Part) -> bool:
    """Whether a part does nothing with its inputs but concatenate all of them, in order."""
    readers = [row for row in part.rows if set(row.inputs) & set(part.inputs)]
    return len(readers) == 1 and readers[0].join == "Concat" and readers[0].inputs == part.inputs


def _class_name(graph: Graph, part: Part) -> str:
    kind = re.sub(r"\d+|_rest", "", part.name).strip(".").split(".")[-1].removesuffix("s").capitalize()
    sides = [graph.shapes[name].side for name in part.inputs if name in graph.by_name]
    side = graph.shapes[part.output].side if part.output in graph.by_name else 0
    return f"Reduction{kind}" if kind in ("Cell", "Block") and sides and side < min(sides) else kind


def _drop_idle_selections(members: Sequence[Part]) -> None:
    """Take out the selections that keep all channels in every part of a class."""
    for rows in zip(*(part.rows for part in members), strict=True):
        layers = list(zip(*(row.layers for row in rows), strict=True))
        kept = [column for column in layers if any(_selects(layer) for layer in column) or column[0].block != "select"]
        for number, row in enumerate(rows):
            row.layers = [column[number] for column in kept]


def _map_alike(members: Sequence[Part]) -> None:
    """Give one name to the layers that halve maps in some parts of a class and keep their size in others."""
    for rows in zip(*(part.rows for part in members), strict=True):
        for number, column in enumerate(zip(*(row.layers for row in rows), strict=True)):
            if len({layer.block for layer in column}) > 1:
                for row, layer in zip(rows, column, strict=True):
                    halve = layer.block == "FactorisedReduction"
                    arguments = {name: layer.arguments[name] for name in ("channels", "out")} | {"halve": halve}
                    row.layers[number] = Layer("mapped", arguments, layer.weights)


def _selects(layer: Layer) -> bool:
    return layer.block == "select" and layer.arguments["kept"] != layer.arguments["channels"]


def _combined(part: Part) -> list[Row]:
    """The rows with the published blocks in place of the layers that these consist of."""
    rows = _reductions(part)
    for row in rows:
        row.layers = _blocks(row.layers)
    return rows


def _blocks(layers: list[Layer]) -> list[Layer]:
    combined: list[Layer] = []
    while layers:
        kinds = [layer.block for layer in layers]
        if kinds[:3] == ["nn.ReLU", "conv", "nn.BatchNorm2d"] and _is_plain(layers[1], "dilation", "padding"):
            conv = layers[1]
            arguments = {name: conv.arguments[name] for name in ("channels", "out", "kernel", "stride")}
            combined.append(Layer("ReluConvNorm", arguments, _weights({"1": conv, "2": layers[2]})))
            layers = layers[3:]
        elif kinds[:4] == ["nn.ReLU", "depthwise", "conv", "nn.BatchNorm2d"] and _is_plain(
            layers[2], "kernel", "stride", "dilation", "padding"
        ):
            _, depthwise, conv, norm = layers[:4]
            arguments = {"channels": depthwise.arguments["channels"], "out": conv.arguments["out"]}
            arguments |= {name: depthwise.arguments[name] for name in ("kernel", "stride", "dilation")}
            weights = _weights({"1": depthwise, "2": conv, "3": norm})
            combined.append(Layer("DepthwiseSeparable", arguments, weights))
            layers = layers[4:]
        else:
            combined.append(layers[0])
            layers = layers[1:]
    if [layer.block for layer in combined] == ["DepthwiseSeparable"] * 2 and _is_separable(*combined):
        first, second = combined
        arguments = {name: first.arguments[name] for name in ("channels", "kernel", "stride")}
        return [Layer("SeparableConv", arguments, _weights({"0": first, "1": second}))]
    return combined


def _is_plain(layer: Layer, *names: str) -> bool:
    return layer.arguments.get("affine", True) is True and all(
        layer.arguments[name] == _USUAL[layer.block][name] for name in names
    )


def _is_separable(first: Layer, second: Layer) -> bool:
    one, other = first.arguments, second.arguments
    same = one["channels"] == one["out"] == other["channels"] == other["out"] and one["kernel"] == other["kernel"]
    return same and one["dilation"] == other["dilation"] == other["stride"] == 1


def _weights(places: Mapping[str, Layer]) -> dict[str, str]:
    return {
        f"{place}.{inner}".rstrip("."): node for place, layer in places.items() for inner, node in layer.weights.items()
    }


def _reductions(part: Part) -> list[Row]:
    """The rows with one row for every factorised reduction: two convolutions, their concatenation, a batch norm."""
    known = {row.name: row for row in part.rows}
    readers: dict[str, int] = {}
    for row in part.rows:
        for name in row.inputs:
            readers[name] = readers.get(name, 0) + 1
    gone: set[str] = set()
    for row in part.rows:
        joined = known.get(row.inputs[0]) if row.inputs else None
        if joined is None or joined.join != "Concat" or [layer.block for layer in row.layers] != ["nn.BatchNorm2d"]:
            continue
        halves = [known[name] for name in joined.inputs if name in known]
        if any(readers[name] != 1 for name in (joined.name, *joined.inputs) if name in readers):
            continue
        if len(halves) != 2 or len(joined.inputs) != 2 or (stride := _stride_of_halves(*halves)) is None:
            continue
        convs = [half.layers[-1] for half in halves]
        out = [int(conv.arguments["out"] or 0) for conv in convs]
        if out[0] != sum(out) // 2:
            continue
        arguments = {"channels": convs[0].arguments["channels"], "out": sum(out), "stride": stride}
        places = {"conv": convs[0], "shifted_conv": convs[1], "norm": row.layers[0]}
        row.layers = [Layer("FactorisedReduction", arguments, _weights(places))]
        row.inputs = halves[0].inputs
        gone |= {joined.name, *(half.name for half in halves)}
    return [row for row in part.rows if row.name not in gone]


def _stride_of_halves(first: Row, second: Row) -> Number:
    """The stride of two rows that are the halves of a factorised reduction; None for others."""
    if first.inputs != second.inputs or [layer.block for layer in second.layers] != ["nn.ReLU", "Pick", "conv"]:
        return None
    stride = second.layers[1].arguments["stride"]
    picked = [layer.block for layer in first.layers] == ["nn.ReLU", "Pick", "conv"]
    unpicked = stride == 1 and [layer.block for layer in first.layers] == ["nn.ReLU", "conv"]
    shifts = second.layers[1].arguments["shift"], first.layers[1].arguments["shift"] if picked else 0
    usual = all(
        _is_plain(row.layers[-1], "kernel", "stride", "dilation", "padding")
        and row.layers[-1].arguments["channels"] == first.layers[-1].arguments["channels"]
        for row in (first, second)
    )
    return stride if (picked or unpicked) and shifts == (1, 0) and usual else None


def _short_names(part: Part) -> dict[str, str]:
    """Names for the values of a part that are valid in Python: what the names of a row's nodes have in common."""
    taken: set[str] = set()
    names = {}
    for row in part.rows:
        learnt = [layer for layer in row.layers if layer.block not in ("select", "Select")]
        nodes = [node for layer in learnt for node in layer.weights.values()] or [row.name]
        nodes = [node.removeprefix(part.name.removesuffix("_rest")).strip(".") for node in nodes]
        common = _common_place(nodes) if len(nodes) > 1 else nodes[0].rpartition(".")[0]
        short = re.sub(r"\W+", "_", common or nodes[0]).strip("_")
        short = re.sub(r"^(input|edge|node|state)s_", r"\1_", short)
        short = "layers" if not short else f"layer_{short}" if short[0].isdigit() else short
        unique, number = short, 2
        while unique in taken:
            unique, number = f"{short}_{number}", number + 1
        taken.add(unique)
        names[row.name] = unique
    return names


def _common_place(nodes: Sequence[str]) -> str:
    """What the dotted names of nodes begin with."""
    common: list[str] = []
    for words in zip(*(node.split(".") for node in nodes), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return ".".join(common)


def _with_parameters(graph: Graph, found: PartClass) -> PartClass:
    """Name the numbers that differ between the parts of a class; equal ones share a name."""
    found.variadic = is_variadic(found.parts[0])
    parameters: dict[str, tuple[Number, ...]] = {}
    if not found.variadic:
        found.inputs = list(dict.fromkeys(_external(found)))
    for number, column in enumerate(found.inputs):
        read = tuple(_channels(graph, name) for name in column)
        if len(set(read)) > 1 and read not in parameters.values():
            parameters["channels" if len(found.inputs) == 1 else f"channels{number}"] = read
    offered = set(parameters)
    used: set[str] = set()
    stacks = {}
    for place, row in enumerate(found.rows):
        layers = [part.rows[place].layers for part in found.parts]
        blocks = []
        for alike in zip(*layers, strict=True):
            slots = [Slot(name, tuple(layer.arguments[name] for layer in alike)) for name in alike[0].arguments]
            slots = [slot for slot in slots if set(slot.values) != {_USUAL.get(alike[0].block, {}).get(slot.name, ...)}]
            for slot in slots:
                if len(set(slot.values)) > 1:
                    used.add(_parameter(parameters, slot))
            blocks.append((alike[0].block, slots))
        stacks[found.names[row.name]] = blocks
    found.stacks = stacks
    found.parameters = {name: values for name, values in parameters.items() if name in used or name not in offered}
    return found


def _external(found: PartClass) -> Iterator[tuple[str, ...]]:
    """Every time that the rows read a value of another part: that value in each of the parts."""
    inside = {row.name for row in found.rows}
    for place, row in enumerate(found.rows):
        for number, name in enumerate(row.inputs):
            if name not in inside:
                yield found.column(place, number)


def _channels(graph: Graph, name: str) -> int:
    return graph.shapes[graph.nodes[0].name if name == IMAGE else name].channels if name in graph.by_name else 0


def _parameter(parameters: dict[str, tuple[Number, ...]], slot: Slot) -> str:
    """The parameter with these values; a new one if there is none."""
    for name, values in parameters.items():
        if values == slot.values:
            return name
    base = {"out": "width", "channels": "width", "kept": "kept"}.get(slot.name, slot.name)
    name = _unique(base, parameters)
    parameters[name] = slot.values
    return name


def _unique(base: str, taken: Iterable[str]) -> str:
    name, number = base, 2
    while name in taken:
        name, number = f"{base}{number}", number + 1
    return name
