"""What `nascli info` tells of a distribution of categoricals."""

from collections.abc import Iterator, Mapping
from math import exp
from typing import Any

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.cell_genotype import CELL_INPUTS, CELL_NAMES
from nascli.cli.printing import aligned

LIKELIEST = 3


def categorical_facts(value: CategoricalDistribution) -> dict[str, Any]:
    """How decided the distribution is, how probable its mode, and what each draw of each node would most likely be."""
    limit = value.entropy_limit()
    mode = value.log_probability(value.mode())
    return {
        "kind": value.kind,
        "space": value.space,
        "nodes": value.nodes,
        "operations": list(value.operations),
        "entropy": {**{cell: value.entropy(cell) for cell in CELL_NAMES}, "total": value.total_entropy()},
        "largest_entropy": {**dict.fromkeys(CELL_NAMES, limit), "total": limit * len(CELL_NAMES)},
        "mode_probability": exp(mode),
        "mode_log_probability": mode,
        "likeliest": {cell: _likeliest(value, cell) for cell in CELL_NAMES},
    }


def _likeliest(value: CategoricalDistribution, cell: str) -> list[dict[str, Any]]:
    rows = zip(value.node_entropies(cell), value.likeliest(cell, LIKELIEST), strict=True)
    return [
        {"node": state, "entropy": entropy, "draws": [[choice._asdict() for choice in draw] for draw in draws]}
        for state, (entropy, draws) in enumerate(rows, CELL_INPUTS)
    ]


def likeliest_table(likeliest: Mapping[str, Any]) -> str:
    """The likeliest choices of `categorical_facts`: a line per draw, each choice with its input."""
    heading = ("cell", "node", "draw", "likeliest (input)")
    return aligned([heading, *(row for cell, nodes in likeliest.items() for row in _rows(cell, nodes))])


def _rows(cell: str, nodes: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for node in nodes:
        for draw, choices in enumerate(node["draws"], 1):
            shown = (f"{row['op']}({row['input']}) {row['probability']:>6.1%}" for row in choices)
            yield cell, str(node["node"]), str(draw), *shown
