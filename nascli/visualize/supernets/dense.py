"""Stages whose blocks read all blocks before them, as tables: a column per block, a row per source that it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nascli.graphs.graph import Graph
from nascli.graphs.operations import Concat
from nascli.visualize.supernets.blocks import Block, block_of, origin

FEWEST = 2
"""A stage is drawn as a table if one of its blocks reads at least this many others, beside the stage's input."""


@dataclass(frozen=True)
class DenseColumn:
    """A block: its convolution that reads several sources, the row of each source, and the other convolutions."""

    block: str
    conv: str
    rows: tuple[int, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class DenseStage:
    """A stage as a table. `rows` names the blocks that are read, the stage's input first."""

    name: str
    rows: tuple[str, ...]
    columns: tuple[DenseColumn, ...]


def dense_stages(graph: Graph, stages: Mapping[str, Sequence[Block]]) -> dict[str, DenseStage]:
    """The stages that are drawn as tables.

    A block that reads only blocks of one table is a column of that table, even if its name is that of the next stage.
    """
    joined = [joining(graph, block) for blocks in stages.values() for block in blocks]
    tables: dict[str, DenseStage] = {}
    for name, blocks in stages.items():
        inside = {block.name for block in blocks}
        own = [(block, conv, read) for block, conv, read in joined if block.name in inside and read]
        if max((len(inside.intersection(read)) for _, _, read in own), default=0) < FEWEST:
            continue
        members = [entry for entry in own if inside.intersection(entry[2]) or len(entry[2]) == 1]
        rows = tuple(dict.fromkeys(source for _, _, read in members for source in read))
        ends = [
            entry
            for entry in joined
            if entry[0].name not in inside and len(entry[2]) > 1 and set(entry[2]) <= {*rows, *inside}
        ]
        rows = tuple(dict.fromkeys([*rows, *(source for _, _, read in ends for source in read)]))
        columns = tuple(
            DenseColumn(
                block.name,
                conv,
                tuple(rows.index(source) for source in read),
                tuple(step.name for step in block.steps if step.kind == "conv" and step.name != conv),
            )
            for block, conv, read in [*members, *ends]
        )
        tables[name] = DenseStage(name, rows, columns)
    return tables


def joining(graph: Graph, block: Block) -> tuple[Block, str, tuple[str, ...]]:
    """A block, its convolution with the most sources, and the blocks that these come from, one per source."""
    convs = [step.name for step in block.steps if step.kind == "conv"]
    name = max(convs, key=lambda conv: len(graph.masked[conv].sources))
    start = origin(graph, graph.by_name[name].inputs[0])
    parts = start.inputs if isinstance(start.op, Concat) else (start.name,)
    sources = tuple(block_of(part) for part in parts)
    return block, name, sources if len(sources) == len(graph.masked[name].sources) else ()
