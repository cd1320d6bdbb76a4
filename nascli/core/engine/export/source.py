"""The text of `model.py`: a network as plain code, and where its weights are in it."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nascli.core.engine.export.classes import NAMED, PartClass, Slot, classes_of
from nascli.core.engine.export.plain import blocks
from nascli.core.engine.export.rows import IMAGE, Part, Row, parts_of
from nascli.graphs.graph import Graph

WIDTH = 110
"""Characters of a line, about."""

_BUILDING_BLOCKS = [
    name
    for name, value in vars(blocks).items()
    if getattr(value, "__module__", None) == blocks.__name__ and not name.startswith("_")
]


@dataclass(frozen=True)
class Source:
    """Code of a network, and for the name of every module with weights in it the graph's node that it stands for."""

    text: str
    modules: Mapping[str, str]


def source_of(graph: Graph, title: str, constants: Mapping[str, object], normalisation: str, images: str) -> Source:
    """The code of a network.

    title: the first line of its docstring. constants: written at the top, by name. normalisation: the expression that
    turns `images` into what the network takes; it may use the constants. images: what they are, in words.
    """
    parts = parts_of(graph)
    classes = classes_of(graph, parts)
    names = _part_names(parts)
    code = "\n\n\n".join(_class_text(found, names) for found in classes)
    table = _table(classes, parts, names)
    network = _NETWORK.format(table=table, normalisation=normalisation, doc=images)
    used = _used_blocks(code)
    text = "\n\n\n".join([*used, code, network])
    head = _HEAD.format(title=title, constants="\n".join(_constant(name, value) for name, value in constants.items()))
    if "F." not in text:
        head = head.replace("import torch.nn.functional as F\n", "")
    return Source(f"{head}\n\n{text}", dict(_modules(classes, names)))


_HEAD = '''"""{title}

It needs torch alone:

    from model import load

    network = load("weights.safetensors")
    logits = network(images)  # see `Network.forward`
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

{constants}
'''

_NETWORK = '''class Network(nn.Module):
    """The whole network: every part of the table, on the outputs of the parts that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: dict[str, list[str]] = {{}}
        for name, part, reads in (
{table}
        ):
            self.add_module(name, part)
            self.reads[name] = reads.split()
        self.register_buffer("mean", WHITE * torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("inverse", 1.0 / (WHITE * torch.tensor(STD)[:, None, None]), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """{doc}"""
        values = {{"image": {normalisation}}}
        for name, reads in self.reads.items():
            values[name] = self.get_submodule(name)(*(values[read] for read in reads))
        return values[name]


def load(path: str | Path) -> Network:
    """The trained network, ready to classify."""
    network = Network()
    network.load_state_dict(read_safetensors(Path(path).read_bytes()))
    return network.eval()


def read_safetensors(content: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a file: the length of a JSON header, the header, the numbers."""
    start = 8 + int.from_bytes(content[:8], "little")
    types = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, end = entry["data_offsets"]
            numbers = torch.frombuffer(bytearray(content[start + first : start + end]), dtype=types[entry["dtype"]])
            tensors[name] = numbers.reshape(entry["shape"])
    return tensors
'''


def _constant(name: str, value: object) -> str:
    text = f"{name} = {value!r}"
    return text if len(text) <= WIDTH or not isinstance(value, tuple) else f"{name} = (\n{_wrapped(value, 4)}\n)"


def _wrapped(items: Iterable[object], indent: int) -> str:
    lines = [" " * indent]
    for item in items:
        text = f"{item!r},"
        if len(lines[-1]) + len(text) > WIDTH and lines[-1].strip():
            lines.append(" " * indent)
        lines[-1] += f" {text}" if lines[-1].strip() else text
    return "\n".join(lines)


def _used_blocks(code: str) -> list[str]:
    """The source of the building blocks that the code uses, and of those that these use."""
    sources = {name: inspect.getsource(getattr(blocks, name)).rstrip() for name in _BUILDING_BLOCKS}
    used: set[str] = set()
    todo = [code]
    while todo:
        text = todo.pop()
        for name in _BUILDING_BLOCKS:
            if name not in used and re.search(rf"(?<!\w|\.){name}\(", text):
                used.add(name)
                todo.append(sources[name])
    return [sources[name] for name in _BUILDING_BLOCKS if name in used]


def _part_names(parts: Sequence[Part]) -> dict[str, str]:
    """Short names of the parts, by their names and by those of the values that they put out."""
    names = {IMAGE: "image"}
    for part in parts:
        short = re.sub(r"^(cell|residual)s\.", r"\1", part.name).replace(".", "_")
        names[part.name] = names[part.output] = short
    return names


def _class_text(found: PartClass, names: Mapping[str, str]) -> str:
    arguments = "".join(f", {name}: {type(values[0]).__name__}" for name, values in found.parameters.items())
    places = ", ".join(names[part.name] for part in found.parts)
    given = "*maps" if found.variadic else ", ".join(_inputs(found))
    lines = [
        f"class {found.name}(nn.Module):",
        _docstring(places),
        "",
        f"    def __init__(self{arguments}) -> None:",
        "        super().__init__()",
    ]
    for short, blocks_of_row in found.stacks.items():
        texts = [_block_text(found, block, slots) for block, slots in blocks_of_row]
        if texts:
            opening, closing = ("nn.Sequential(", ")") if len(texts) > 1 else ("", "")
            lines.append(_statement(f"self.{short} = {opening}", texts, ", ", closing))
    lines += ["", f"    def forward(self, {given.replace(', ', ': Tensor, ')}: Tensor) -> Tensor:"]
    return "\n".join([*lines, *_forward(found)])


def _inputs(found: PartClass) -> list[str]:
    return ["x"] if len(found.inputs) == 1 else [f"x{number}" for number in range(len(found.inputs))]


def _docstring(places: str) -> str:
    text = f'"""{places[0].upper()}{places[1:]}.'
    lines = textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + ('"""' if len(lines) == 1 else '\n    """')


def _block_text(found: PartClass, block: str, slots: Sequence[Slot]) -> str:
    given: list[str] = []
    for slot in slots:
        same = len(set(slot.values)) == 1
        value = repr(slot.values[0]) if same else next(n for n, v in found.parameters.items() if v == slot.values)
        by_name = slot.name in NAMED or any("=" in before for before in given)
        given.append(f"{slot.name}={value}" if by_name else value)
    return f"{block}({', '.join(given)})"


def _forward(found: PartClass) -> list[str]:
    """The lines that compute a part. A value that one sum or concatenation alone reads is computed within it."""
    names = dict(zip(found.inputs, _inputs(found), strict=True))
    known: dict[str, str] = {}
    readers: dict[str, list[Row]] = {}
    for row in found.rows:
        for name in row.inputs:
            readers.setdefault(name, []).append(row)
    lines = []
    for place, row in enumerate(found.rows):
        short = found.names[row.name]
        columns = [(name, found.column(place, number)) for number, name in enumerate(row.inputs)]
        if found.variadic and set(row.inputs) == set(found.parts[0].inputs):
            pieces, separator = ["torch.cat(maps, dim=1)"], ""
        else:
            inputs = [known[name] if name in known else names[column] for name, column in columns]
            pieces, separator = _value(row, short, inputs)
        if row is found.rows[-1]:
            lines.append(_statement("return ", pieces, separator, ""))
        elif row.layers and len(readers[row.name]) == 1 and readers[row.name][0].join in ("Sum", "Concat"):
            (known[row.name],) = pieces
        else:
            lines.append(_statement(f"{short} = ", pieces, separator, ""))
            known[row.name] = short
    return lines


def _value(row: Row, short: str, inputs: Sequence[str]) -> tuple[list[str], str]:
    """The pieces of the expression of a row, and what separates them."""
    match row.join:
        case "Sum":
            return list(inputs), " + "
        case "Concat" if len(inputs) == 1:
            return list(inputs), ""
        case "Concat":
            return [f"torch.cat(({', '.join(inputs)}), dim=1)"], ""
        case "Zeros":
            return [f"torch.zeros_like({inputs[0]})"], ""
        case _:
            return [f"self.{short}({inputs[0]})"], ""


def _statement(start: str, pieces: Sequence[str], separator: str, end: str) -> str:
    """A line of a method, or several where it is long."""
    line = f"        {start}{separator.join(pieces)}{end}"
    if len(line) <= WIDTH or len(pieces) == 1:
        return line
    indent = "\n            "
    if separator == " + ":
        return f"        {start}({indent}" + f"{indent}+ ".join(pieces) + "\n        )"
    return f"        {start}{indent}" + f",{indent}".join(pieces) + f",\n        {end}"


def _table(classes: Sequence[PartClass], parts: Sequence[Part], names: Mapping[str, str]) -> str:
    """A row for every part: its name, its class with the arguments, the parts that it reads."""
    texts, inputs = {}, {}
    for found in classes:
        for number, part in enumerate(found.parts):
            arguments = ", ".join(repr(values[number]) for values in found.parameters.values())
            texts[part.name] = f"{found.name}({arguments})"
            inputs[part.name] = part.inputs if found.variadic else [column[number] for column in found.inputs]
    lines = []
    for part in parts:
        read = inputs[part.name]
        start = f'            ("{names[part.name]}", {texts[part.name]}, '
        reads = [f'"{text} "' for text in textwrap.wrap(" ".join(names[name] for name in read), WIDTH - 20)]
        reads[-1] = reads[-1].replace(' "', '"')
        if len(start) + len(reads[0]) <= WIDTH and len(reads) == 1:
            lines.append(f"{start}{reads[0]}),")
        else:
            indent = "\n             "
            lines.append(f"{start.rstrip()}{indent}{indent.join(reads)}),")
    return "\n".join(lines)


def _modules(classes: Sequence[PartClass], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The name of every module with weights in the code, and its node."""
    for found in classes:
        for part in found.parts:
            for row, first in zip(part.rows, found.rows, strict=True):
                for number, layer in enumerate(row.layers):
                    start = [names[part.name], found.names[first.name]]
                    start += [str(number)] if len(row.layers) > 1 else []
                    for place, node in layer.weights.items():
                        yield ".".join([*start, *([place] if place else [])]), node
