"""What `nascli info` tells of a genotype of channels and of a posterior: sizes, and how much of each stage is kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.masks import mask_of
from nascli.artifacts.network_settings import DataShape
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.cli.printing import aligned
from nascli.supernets.graph import Graph
from nascli.supernets.slim import slim


def channels_facts(genotype: ChannelsGenotype, shape: DataShape) -> dict[str, Any]:
    """The super-network, the network that is left of it on such images, and what share of it that is.

    Raises UsageError for images that are too small.
    """
    whole = genotype.graph(shape)
    left = slim(whole, genotype.channels).graph
    kept = mask_of(whole, genotype.channels)
    return {
        "kind": genotype.kind,
        "supernet": genotype.supernet,
        "width": genotype.width,
        "stages": list(genotype.stages),
        "parameters": left.parameters,
        "multiply_adds": left.multiply_adds,
        "channels": whole.mask_size,
        "kept": genotype.kept_share,
        "dropped_convolutions": sum(not channels for channels in genotype.channels.values()),
        "of_supernet": {
            "parameters": left.parameters / whole.parameters,
            "multiply_adds": left.multiply_adds / whole.multiply_adds,
        },
        "parts": [
            {"part": part, "channels": len(entries), "kept": float(kept[entries].mean())}
            for part, entries in _parts(whole)
        ],
    }


def posterior_facts(value: PosteriorDistribution) -> dict[str, Any]:
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
            for part, entries in _parts(graph)
        ],
        "data": value.data.model_dump(mode="json"),
    }


def _parts(graph: Graph) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Stages by name, each with its entries in a row of masks."""
    parts: dict[str, list[range]] = {}
    for name, entries in graph.mask_ranges.items():
        parts.setdefault(name.partition(".")[0], []).append(entries)
    for part, ranges in parts.items():
        yield part, np.concatenate([np.arange(entries.start, entries.stop) for entries in ranges])


def _spread(drop: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(drop.mean()), "least": float(drop.min()), "greatest": float(drop.max())}


def _entropy(drop: NDArray[np.float64]) -> float:
    """Of independent coins with these probabilities, none of which is 0 or 1; in nats."""
    return float(-(drop * np.log(drop) + (1 - drop) * np.log1p(-drop)).sum())


def parts_table(parts: Sequence[Mapping[str, Any]]) -> str:
    """A line per stage: its channels, the share that is kept, and the probability p of dropping where it is known."""
    if "drop" not in parts[0]:
        rows = [(part["part"], f"{part['channels']:>8,}", f"{part['kept']:6.1%}") for part in parts]
        return aligned([("part", "channels", "kept"), *rows])
    known = [
        (
            part["part"],
            f"{part['channels']:>8,}",
            *(f"{value:8.3g}" for value in part["drop"].values()),
            f"{part['expected_kept']:16.1%}",
        )
        for part in parts
    ]
    return aligned([("part", "channels", "mean p", "least p", "greatest p", "kept in the mean"), *known])
