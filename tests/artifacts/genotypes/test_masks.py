"""Masks and channels are two ways to say the same."""

import numpy as np

from nascli.artifacts.genotypes.masks import channels_of, mask_of
from tests.artifacts.examples import posterior


def test_a_mask_by_hand() -> None:
    """Channels 1 and 3 of the first convolution, and none of the others."""
    graph = posterior().graph
    first, *others = graph.mask_ranges
    channels = {first: [1, 3], **{name: [] for name in others}}
    mask = mask_of(graph, channels)
    assert np.flatnonzero(mask).tolist() == [1, 3]
    assert channels_of(graph, mask) == channels


def test_each_is_the_others_inverse() -> None:
    graph = posterior().graph
    mask = np.random.default_rng(0).random(graph.mask_size) < 0.5
    again = mask_of(graph, channels_of(graph, mask))
    assert again.dtype == np.bool_
    assert np.array_equal(again, mask)
