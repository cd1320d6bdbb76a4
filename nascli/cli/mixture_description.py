"""What `nascli info` tells of a mixture distribution."""

from collections.abc import Mapping
from typing import Any

from nascli.artifacts.mixture import MixtureDistribution

LABELS = {"edge_weights": "edge weights", "entropy": "entropy (nats)"}


def facts(value: MixtureDistribution) -> dict[str, Any]:
    """What it mixes, and how decided it is."""
    return {
        "kind": value.kind,
        "space": value.space.name,
        "nodes": value.space.nodes,
        "operations": list(value.space.operations),
        "edge_weights": value.beta is not None,
        "entropy": {cell: value.entropy(cell) for cell in value.space.cells},
    }


def tables(_: Mapping[str, Any]) -> list[str]:
    """None: `nascli visualize` shows every edge."""
    return []
