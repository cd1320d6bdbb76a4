"""A super-network as blocks to draw: which convolutions follow each other, and which stand side by side.

The graph and its names say it: "stage1.block0.branch0.conv1" is a convolution of the block "stage1.block0". Only masked
convolutions and poolings are shown, without batch norms, ReLUs and depthwise convolutions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nascli.graphs.graph import Graph, Node
from nascli.graphs.operations import AvgPool, Concat, Conv, MaxPool, Sum
from nascli.visualize.supernets.kept import stage_of


@dataclass(frozen=True)
class Step:
    """A step on a path through a block, and the steps before it in the block; none if it reads from outside.

    A "wire" is a path without convolutions and poolings, such as a skip connection.
    """

    name: str
    kind: Literal["conv", "pool", "wire"]
    before: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """The steps of a block, path by path."""

    name: str
    steps: tuple[Step, ...]

    @property
    def stage(self) -> str:
        """The stage that it belongs to."""
        return stage_of(self.name)

    @cached_property
    def columns(self) -> dict[str, int]:
        """The column of each step, from 0 on the left; it is to the right of all steps that it reads."""
        by_name = {step.name: step for step in self.steps}
        columns: dict[str, int] = {}

        def column(name: str) -> int:
            if name not in columns:
                columns[name] = 1 + max(map(column, by_name[name].before), default=-1)
            return columns[name]

        return {step.name: column(step.name) for step in self.steps}

    @property
    def width(self) -> int:
        """The number of columns."""
        return 1 + max(self.columns.values())

    @cached_property
    def last(self) -> frozenset[str]:
        """The steps after which the block's paths end."""
        read = {name for step in self.steps for name in step.before}
        return frozenset(step.name for step in self.steps if step.name not in read)

    @cached_property
    def rows(self) -> dict[str, float]:
        """The row of each step, from 0 at the top, at least 1 away from its neighbours in the column.

        A path that ends early has its row to itself up to the last column, so that its line meets no other step.
        """
        columns: list[list[str]] = [[] for _ in range(self.width)]
        for step in self.steps:
            ends = self.width if step.name in self.last else self.columns[step.name] + 1
            for column in range(self.columns[step.name], ends):
                columns[column].append(step.name)
        before = {step.name: step.before for step in self.steps}
        after: dict[str, list[str]] = {name: [] for name in before}
        for name, sources in before.items():
            for source in sources:
                after[source].append(name)
        fullest = max(range(self.width), key=lambda column: len(columns[column]))
        rows = {name: float(row) for row, name in enumerate(columns[fullest])}
        for column in reversed(range(fullest)):
            _settle(columns[column], after, rows)
        for column in range(fullest + 1, self.width):
            _settle(columns[column], before, rows)
        top = min(rows.values())
        return {step.name: rows[step.name] - top for step in self.steps}


def _settle(column: Sequence[str], linked: Mapping[str, Sequence[str]], rows: dict[str, float]) -> None:
    """Put each step of a column beside those that it is linked with, or as near as others leave room.

    Steps that have a row already keep it. Those with fewer links come first.
    """
    taken = [rows[name] for name in column if name in rows]
    for name in sorted((name for name in column if name not in rows), key=lambda name: len(linked[name])):
        known = [rows[other] for other in linked[name] if other in rows]
        wish = sum(known) / len(known) if known else 0.0
        free = [row for row in (wish, *(t + 1 for t in taken), *(t - 1 for t in taken)) if _is_free(row, taken)]
        rows[name] = min(free, key=lambda row: abs(row - wish))
        taken.append(rows[name])


def _is_free(row: float, taken: Sequence[float]) -> bool:
    return all(abs(row - other) >= 1 for other in taken)


def blocks(graph: Graph) -> list[Block]:
    """The blocks that have masked convolutions, in order."""
    names = dict.fromkeys(block_of(name) for name in graph.masked)
    members: dict[str, list[Node]] = {name: [] for name in names}
    for node in graph.nodes:
        if (block := block_of(node.name)) in members:
            members[block].append(node)
    return [Block(name, tuple(_steps(graph, nodes))) for name, nodes in members.items()]


def block_of(name: str) -> str:
    """The block that a node belongs to, by its name; for a node outside stages, the part before the last dot."""
    *path, _ = name.split(".")
    return ".".join(path[:2])


def origin(graph: Graph, name: str) -> Node:
    """The last masked convolution, pooling, sum or concatenation on the way to a node, or else the way's start."""
    node = graph.by_name[name]
    while not _is_step(graph, node) and not isinstance(node.op, Sum | Concat) and node.inputs:
        node = graph.by_name[node.inputs[0]]
    return node


def _is_step(graph: Graph, node: Node) -> bool:
    return node.name in graph.masked or isinstance(node.op, MaxPool | AvgPool)


def _steps(graph: Graph, nodes: Sequence[Node]) -> list[Step]:
    """The steps of a block's nodes, paths from top to bottom. A wire goes above the paths that it is added to."""
    inside = {node.name for node in nodes}
    order = {node.name: number for number, node in enumerate(nodes)}

    def sources(name: str) -> dict[str, None]:
        """The steps of the block whose maps a node passes on; a sum or concatenation passes on those of its inputs."""
        start = origin(graph, name)
        if start.name not in inside:
            return {}
        if isinstance(start.op, Sum | Concat):
            return {step: None for read in start.inputs for step in sources(read)}
        return {start.name: None}

    steps = [
        Step(node.name, "conv" if isinstance(node.op, Conv) else "pool", tuple(sources(node.inputs[0])))
        for node in nodes
        if _is_step(graph, node)
    ]
    heads = _heads(steps)
    read = {name for step in steps for name in step.before}
    found = [(order[heads[step.name]], order[step.name], step) for step in steps]
    to_steps = {origin(graph, node.inputs[0]).name for node in nodes if _is_step(graph, node)}
    for node in nodes:
        if not isinstance(node.op, Sum | Concat) or node.name in to_steps:
            continue
        # Wires: from outside the block, or from a step that others read, too.
        bare = [
            name for name in node.inputs if origin(graph, name).name not in inside or read.issuperset(sources(name))
        ]
        ends = [order[heads[step]] for name in node.inputs if name not in bare for step in sources(name)]
        for number, before in enumerate(dict.fromkeys(tuple(sources(name)) for name in bare)):
            step = Step(f"{node.name}.wire{number}", "wire", before)
            found.append((min([*ends, order[node.name]]), -1, step))
    return [step for _, _, step in sorted(found, key=lambda entry: entry[:2])]


def _heads(steps: Sequence[Step]) -> dict[str, str]:
    """The first step of each step's path. Steps are on one path if no other joins or leaves in between."""
    readers = Counter(name for step in steps for name in step.before)
    heads: dict[str, str] = {}
    for step in steps:
        alone = len(step.before) == 1 and readers[step.before[0]] == 1
        heads[step.name] = heads[step.before[0]] if alone else step.name
    return heads
