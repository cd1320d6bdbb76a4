"""A genotype in the languages of graph programs: DOT for graphviz, Mermaid for Markdown pages.

States are vertices, each pick is an edge labelled by its operation, as in the figures of the DARTS papers.
"""

import json
from collections.abc import Iterator

from nascli.artifacts.cell_genotype import CELL_INPUTS, Cell, CellGenotype
from nascli.visualize.liveness import live_states
from nascli.visualize.style import MUTED, family, one_line, readable

CELL_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}
INPUT_NAMES = ("c(k-2)", "c(k-1)")
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
    for name, cell in genotype.cells():
        lines += [f"  subgraph cluster_{name} {{", f'    label="{CELL_TITLES[name]}";', '    color="#cbd5e1";']
        lines += [f"    {line}" for line in _dot_cell(name, cell)]
        lines.append("  }")
    lines.append("}")
    return "".join(f"{line}\n" for line in lines).encode()


def _dot_cell(name: str, cell: Cell) -> Iterator[str]:
    live = live_states(cell)
    for state, label in enumerate(INPUT_NAMES):
        yield f'{name}_{state} [label="{label}", shape=box, style=rounded];'
    for state in range(CELL_INPUTS, len(cell.nodes) + CELL_INPUTS):
        faded = "" if state in live else f', color="{FADED}", fontcolor="{FADED}"'
        yield f'{name}_{state} [label="{state}", shape=circle{faded}];'
    yield f'{name}_out [label="c(k)", shape=box, style=rounded];'
    for state, picks in enumerate(cell.nodes, start=CELL_INPUTS):
        for pick in picks:
            colour = family(pick.op).colour if state in live else FADED
            yield f'{name}_{pick.input} -> {name}_{state} [label="{readable(pick.op)}", color="{colour}"];'
    for state in cell.concat:
        yield f'{name}_{state} -> {name}_out [style=dashed, color="{MUTED}"];'


def mermaid(genotype: CellGenotype, _format: str, title: str | None) -> bytes:
    """A Mermaid flow chart: a subgraph per cell."""
    lines = ["---", f"title: {quoted(title)}", "---"] if title else []
    lines.append("flowchart LR")
    styles: list[str] = []
    for name, cell in genotype.cells():
        lines += [f'  subgraph {name}["{CELL_TITLES[name]}"]', "    direction LR"]
        lines += [f"    {line}" for line in _mermaid_cell(name, cell, styles)]
        lines.append("  end")
    lines += [f"  linkStyle {number} {style}" for number, style in enumerate(styles)]
    return "".join(f"{line}\n" for line in lines).encode()


def _mermaid_cell(name: str, cell: Cell, styles: list[str]) -> Iterator[str]:
    """The lines of a cell; appends the style of each of its links, which Mermaid counts through the whole chart."""
    live = live_states(cell)
    for state, label in enumerate(INPUT_NAMES):
        yield f'{name}_{state}(["{label}"])'
    for state in range(CELL_INPUTS, len(cell.nodes) + CELL_INPUTS):
        yield f'{name}_{state}(("{state}"))'
        if state not in live:
            yield f"style {name}_{state} stroke:{FADED},color:{FADED}"
    yield f'{name}_out(["c(k)"])'
    for state, picks in enumerate(cell.nodes, start=CELL_INPUTS):
        for pick in picks:
            yield f'{name}_{pick.input} -- "{readable(pick.op)}" --> {name}_{state}'
            styles.append(f"stroke:{family(pick.op).colour if state in live else FADED},stroke-width:2px")
    for state in cell.concat:
        yield f"{name}_{state} -.-> {name}_out"
        styles.append(f"stroke:{MUTED}")


def quoted(text: str) -> str:
    """One line in double quotes, with the escapes that DOT and YAML have in common."""
    return json.dumps(one_line(text), ensure_ascii=False)
