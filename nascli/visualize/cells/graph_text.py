"""A genotype in the languages of graph programs: DOT for graphviz, Mermaid for Markdown pages.

States are vertices, each pick is an edge labelled by its operation, as in the figures of the DARTS papers.
"""

import json
from collections.abc import Iterator

from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize.cells.drawn_cell import DrawnCell, drawn
from nascli.visualize.style import MUTED, family, one_line, readable

FADED = "#b6bfca"


def dot(genotype: CellGenotype, _format: str, title: str | None) -> bytes:
    """DOT: a cluster per cell."""
    lines = [
        "digraph genotype {",
        "  rankdir=LR;",
        '  bgcolor="white";',
        '  fontname="Helvetica";',
        '  node [fontname="Helvetica", fontsize=12];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    if title:
        lines += [f"  label={quoted(title)};", '  labelloc="t";']
    for name, cell in drawn(genotype).items():
        lines += [f"  subgraph cluster_{name} {{", f'    label="{cell.title.capitalize()}";', '    color="#cbd5e1";']
        lines += [f"    {line}" for line in _dot_cell(name, cell)]
        lines.append("  }")
    lines.append("}")
    return "".join(f"{line}\n" for line in lines).encode()


def _dot_cell(name: str, cell: DrawnCell) -> Iterator[str]:
    for state, label in enumerate(cell.input_names):
        yield f'{name}_{state} [label="{label}", shape=box, style=rounded];'
    for state in cell.nodes:
        faded = "" if state in cell.live else f', color="{FADED}", fontcolor="{FADED}"'
        yield f'{name}_{state} [label="{state}", shape=circle{faded}];'
    yield f'{name}_out [label="c(k)", shape=box, style=rounded];'
    for state, picks in cell.nodes.items():
        for pick in picks:
            colour = family(pick.op).colour if {state, pick.input} <= cell.live else FADED
            yield f'{name}_{pick.input} -> {name}_{state} [label="{readable(pick.op)}", color="{colour}"];'
    for state in cell.concat:
        yield f'{name}_{state} -> {name}_out [style=dashed, color="{MUTED}"];'


def mermaid(genotype: CellGenotype, _format: str, title: str | None) -> bytes:
    """A Mermaid flow chart: a subgraph per cell."""
    lines = ["---", f"title: {quoted(title)}", "---"] if title else []
    lines.append("flowchart LR")
    styles: list[str] = []
    for name, cell in drawn(genotype).items():
        lines += [f'  subgraph {name}["{cell.title.capitalize()}"]', "    direction LR"]
        lines += [f"    {line}" for line in _mermaid_cell(name, cell, styles)]
        lines.append("  end")
    lines += [f"  linkStyle {number} {style}" for number, style in enumerate(styles)]
    return "".join(f"{line}\n" for line in lines).encode()


def _mermaid_cell(name: str, cell: DrawnCell, styles: list[str]) -> Iterator[str]:
    """The lines of a cell; appends the style of each of its links, which Mermaid counts through the whole chart."""
    for state, label in enumerate(cell.input_names):
        yield f'{name}_{state}(["{label}"])'
    for state in cell.nodes:
        yield f'{name}_{state}(("{state}"))'
        if state not in cell.live:
            yield f"style {name}_{state} stroke:{FADED},color:{FADED}"
    yield f'{name}_out(["c(k)"])'
    for state, picks in cell.nodes.items():
        for pick in picks:
            yield f'{name}_{pick.input} -- "{readable(pick.op)}" --> {name}_{state}'
            colour = family(pick.op).colour if {state, pick.input} <= cell.live else FADED
            styles.append(f"stroke:{colour},stroke-width:2px")
    for state in cell.concat:
        yield f"{name}_{state} -.-> {name}_out"
        styles.append(f"stroke:{MUTED}")


def quoted(text: str) -> str:
    """One line in double quotes, with the escapes that DOT and YAML have in common."""
    return json.dumps(one_line(text), ensure_ascii=False)
