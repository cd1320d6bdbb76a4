"""What `nascli info` tells of a genotype of channels: sizes, and how much of each stage is kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.masks import mask_of
from nascli.cli.printing import aligned
from nascli.graphs.graph import Graph
from nascli.spaces.network_settings import DataShape


def channels_facts(genotype: ChannelsGenotype, shape: DataShape) -> dict[str, Any]:
    """The super-network, the network that is left of it on such images, and what share of it that is.

    Raises UsageError for images that are too small.
    """
    whole, left = genotype.whole(shape), genotype.graph(shape)
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
            for part, entries in parts_of(whole)
        ],
    }


def parts_of(graph: Graph) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Stages by name, each with its entries in a row of masks."""
    parts: dict[str, list[range]] = {}
    for name, entries in graph.mask_ranges.items():
        parts.setdefault(name.partition(".")[0], []).append(entries)
    for part, ranges in parts.items():
        yield part, np.concatenate([np.arange(entries.start, entries.stop) for entries in ranges])


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
