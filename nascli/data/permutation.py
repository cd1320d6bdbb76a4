"""A random order that depends on a seed alone, and its division into batches."""

import numpy as np


def permutation(count: int, seed: int) -> np.ndarray:
    """A random order of `count` things. -> int64 [count].

    It sorts raw PCG64 words: numpy promises never to change their stream, but not that of `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def even_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches of nearly equal size. None has a single image, whose maps of one pixel have no statistics.

    Of two images and more; where batches of `batch_size` would leave one alone, some have one more.
    """
    return np.array_split(order, max(1, min(-(-len(order) // batch_size), len(order) // 2)))
