"""What `nascli info` tells of a posterior over channels: how much of each stage it keeps on average."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.posterior import PosteriorDistribution
from nascli.cli.channels_description import parts_of, parts_table

LABELS = {
    "channels": "channels to drop from",
    "groups": "probabilities p of dropping",
    "drop": "their values",
    "entropy": "entropy (nats)",
    "largest_entropy": "at most",
    "expected_kept": "kept on average",
}


def facts(value: PosteriorDistribution) -> dict[str, Any]:
    """The super-network, and what the probabilities of dropping say of it. Means are over channels, entropy in nats."""
    graph, drop = value.graph, value.probabilities
    return {
        "kind": value.kind,
        "supernet": value.supernet,
        "width": value.width,
        "stages": list(value.stages),
        "parameters": graph.parameters,
        "multiply_adds": graph.multiply_adds,
        "channels": graph.mask_size,
        "groups": len(graph.groups),
        "drop": _spread(drop),
        "entropy": _entropy(drop),
        "largest_entropy": graph.mask_size * float(np.log(2)),
        "expected_kept": float(1 - drop.mean()),
        "parts": [
            {
                "part": part,
                "channels": len(entries),
                "drop": _spread(drop[entries]),
                "expected_kept": float(1 - drop[entries].mean()),
            }
            for part, entries in parts_of(graph)
        ],
        "data": value.data.model_dump(mode="json"),
    }


def _spread(drop: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(drop.mean()), "least": float(drop.min()), "greatest": float(drop.max())}


def _entropy(drop: NDArray[np.float64]) -> float:
    """Of independent coins with these probabilities, none of which is 0 or 1; in nats."""
    return float(-(drop * np.log(drop) + (1 - drop) * np.log1p(-drop)).sum())


def tables(facts: Mapping[str, Any]) -> list[str]:
    """A line per stage."""
    return [parts_table(facts["parts"])]
