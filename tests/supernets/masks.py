"""Hard masks, from nothing dropped to nearly everything, also of whole convolutions."""

import numpy as np
from numpy.typing import NDArray

from nascli.graphs.graph import Graph


def random_mask(
    graph: Graph, seed: int, *, drop: float, drop_whole: float = 0.0, drop_source: float = 0.0
) -> NDArray[np.bool_]:
    """Channels kept: each is dropped with one probability, each convolution as a whole and each of its sources too."""
    generator = np.random.default_rng(seed)
    mask = generator.random(graph.mask_size) >= drop
    for entries in graph.mask_ranges.values():
        mask[entries.start : entries.stop] &= generator.random() >= drop_whole
    if drop_source:
        for group in graph.groups:
            mask[group.start : group.start + group.size] &= generator.random() >= drop_source
    return mask


def kept_by(graph: Graph, mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """The kept input channels of every masked convolution."""
    return {
        name: np.flatnonzero(mask[entries.start : entries.stop]).tolist() for name, entries in graph.mask_ranges.items()
    }
