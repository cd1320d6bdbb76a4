"""What `nascli info` tells of a distribution of categoricals."""

from collections.abc import Iterator, Mapping
from math import exp
from typing import Any

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.cli.printing import aligned

LIKELIEST = 3

LABELS = {
    "entropy": "entropy (nats)",
    "largest_entropy": "at most",
    "mode_probability": "mode's probability",
    "mode_log_probability": "its logarithm",
    "top_probability": "the likeliest network's",
    "top_is_mode": "which is the mode",
}


def facts(value: CategoricalDistribution) -> dict[str, Any]:
    """How decided the distribution is, how probable its mode, and what each decision would most likely be."""
    cells = value.space.cells
    limits = {cell: value.entropy_limit(cell) for cell in cells}
    mode = value.log_probability(value.mode())
    ((likeliest, most),) = value.top(1)
    return {
        "kind": value.kind,
        "space": value.space.name,
        "nodes": value.space.nodes,
        "operations": list(value.space.operations),
        "entropy": {**{cell: value.entropy(cell) for cell in cells}, "total": value.total_entropy()},
        "largest_entropy": {**limits, "total": sum(limits.values())},
        "mode_probability": exp(mode),
        "mode_log_probability": mode,
        "top_probability": exp(most),
        "top_is_mode": likeliest.network() == value.mode().network(),
        "likeliest": {cell: _likeliest(value, cell) for cell in cells},
    }


def _likeliest(value: CategoricalDistribution, cell: str) -> list[dict[str, Any]]:
    decisions = [decision for decision in value.decisions if decision.cell == cell]
    rows = zip(decisions, value.entropies(cell), value.likeliest(cell, LIKELIEST), strict=True)
    return [
        {
            "decision": decision.name,
            "node": decision.node,
            "entropy": entropy,
            "draws": [[choice._asdict() for choice in draw] for draw in draws],
        }
        for decision, entropy, draws in rows
    ]


def tables(facts: Mapping[str, Any]) -> list[str]:
    """The likeliest options: a line per draw, each with its input."""
    heading = ("cell", "decision", "draw", "likeliest (input)")
    rows = (row for cell, decisions in facts["likeliest"].items() for row in _rows(cell, decisions))
    return [aligned([heading, *rows])]


def _rows(cell: str, decisions: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for decision in decisions:
        for draw, choices in enumerate(decision["draws"], 1):
            shown = (f"{row['op']}({row['input']}) {row['probability']:>6.1%}" for row in choices)
            yield cell, decision["decision"], str(draw), *shown
