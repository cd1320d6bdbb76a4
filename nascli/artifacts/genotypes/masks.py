"""Masks of a super-network's channels: as a row of booleans, or as the kept channels of each convolution."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nascli.graphs.graph import Graph

Mask: TypeAlias = NDArray[np.bool_]
"""True where a channel is kept. [mask_size], in the order of `Graph.groups`."""


def channels_of(graph: Graph, mask: Mask) -> dict[str, list[int]]:
    """The kept input channels of every masked convolution, rising."""
    return {
        name: np.flatnonzero(mask[entries.start : entries.stop]).tolist() for name, entries in graph.mask_ranges.items()
    }


def mask_of(graph: Graph, channels: Mapping[str, Sequence[int]]) -> Mask:
    """The inverse of `channels_of`."""
    mask = np.zeros(graph.mask_size, np.bool_)
    for name, entries in graph.mask_ranges.items():
        mask[entries.start + np.array(channels[name], np.intp)] = True
    return mask
