"""A genotype of channels in the languages of graph programs: DOT for graphviz, Mermaid for Markdown pages.

Vertices are the masked convolutions with what is kept of them, poolings, sums and concatenations.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.graphs.graph import Graph
from nascli.graphs.operations import AvgPool, Concat, Image, Linear, MaxPool, Sum
from nascli.visualize.cells.graph_text import FADED, quoted
from nascli.visualize.style import INK
from nascli.visualize.supernets.blocks import block_of, blocks, origin
from nascli.visualize.supernets.kept import Kept, kind, of_genotype, readable


@dataclass(frozen=True)
class Vertex:
    """A node of the super-network that is shown, and the ones that it reads. `block` is empty outside stages."""

    name: str
    label: str
    block: str
    reads: tuple[str, ...]
    dead: bool


def dot(genotype: ChannelsGenotype, _format: str, title: str | None) -> bytes:
    """DOT: a cluster per block."""
    lines = [
        "digraph channels {",
        '  bgcolor="white";',
        '  fontname="Helvetica";',
        f'  node [fontname="Helvetica", fontsize=11, shape=box, color="{INK}"];',
    ]
    if title:
        lines += [f"  label={quoted(title)};", '  labelloc="t";']
    for block, members in _by_block(genotype).items():
        indent = "    " if block else "  "
        if block:
            lines += [f'  subgraph "cluster_{block}" {{', f'    label="{_title(block)}";', '    color="#cbd5e1";']
        for vertex in members:
            look = f', style=dashed, color="{FADED}", fontcolor="{FADED}"' if vertex.dead else ""
            lines.append(f'{indent}"{vertex.name}" [label="{vertex.label}"{look}];')
        if block:
            lines.append("  }")
    for source, target, dead in _edges(genotype):
        look = f' [style=dashed, color="{FADED}"]' if dead else ""
        lines.append(f'  "{source}" -> "{target}"{look};')
    return "".join(f"{line}\n" for line in [*lines, "}"]).encode()


def mermaid(genotype: ChannelsGenotype, _format: str, title: str | None) -> bytes:
    """A Mermaid flow chart: a subgraph per block."""
    lines = ["---", f"title: {quoted(title)}", "---"] if title else []
    lines.append("flowchart TB")
    for block, members in _by_block(genotype).items():
        indent = "    " if block else "  "
        if block:
            lines.append(f'  subgraph {_identifier(block)}_block["{_title(block)}"]')
        for vertex in members:
            label = vertex.label.replace("\\n", "<br>")
            lines.append(f'{indent}{_identifier(vertex.name)}["{label}"]')
            if vertex.dead:
                look = f"stroke:{FADED},color:{FADED},stroke-dasharray:4 3"
                lines.append(f"{indent}style {_identifier(vertex.name)} {look}")
        if block:
            lines.append("  end")
    for source, target, dead in _edges(genotype):
        lines.append(f"  {_identifier(source)} {'-.->' if dead else '-->'} {_identifier(target)}")
    return "".join(f"{line}\n" for line in lines).encode()


def vertices(genotype: ChannelsGenotype) -> list[Vertex]:
    """The nodes that are shown, in the order of the network."""
    kept = of_genotype(genotype)
    graph = kept.graph
    in_blocks = {block.name for block in blocks(graph)}
    found: list[Vertex] = []
    for node in graph.nodes:
        if node.name in graph.masked or isinstance(node.op, Image | Sum | Concat | MaxPool | AvgPool | Linear):
            block = block_of(node.name) if block_of(node.name) in in_blocks else ""
            reads = tuple(dict.fromkeys(origin(graph, read).name for read in node.inputs))
            conv = kept.convolutions.get(node.name)
            label = _label(graph, node.name, block, conv)
            found.append(Vertex(node.name, label, block, reads, conv is not None and conv.dead))
    return found


def _label(graph: Graph, name: str, block: str, conv: Kept | None) -> str:
    short = name.removeprefix(f"{block}.") if block else name
    if conv is None:
        return short
    return f"{short}\\n{kind(graph, name)}, " + ("gone" if conv.dead else f"{100 * conv.share:.0f} %")


def _by_block(genotype: ChannelsGenotype) -> Mapping[str, list[Vertex]]:
    table: dict[str, list[Vertex]] = {}
    for vertex in vertices(genotype):
        table.setdefault(vertex.block, []).append(vertex)
    return table


def _edges(genotype: ChannelsGenotype) -> Iterator[tuple[str, str, bool]]:
    """Source, target, and whether an end of the edge is gone."""
    shown = {vertex.name: vertex for vertex in vertices(genotype)}
    for vertex in shown.values():
        for source in vertex.reads:
            yield source, vertex.name, vertex.dead or shown[source].dead


def _title(block: str) -> str:
    return " ".join(readable(part) for part in block.split("."))


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)
