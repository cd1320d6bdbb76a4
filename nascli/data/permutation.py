"""A random order that a seed alone decides."""

import numpy as np


def permutation(count: int, seed: int) -> np.ndarray:
    """A random order of `count` things. -> int64 [count].

    Sorts raw PCG64 words: numpy promises never to change that stream, but not that of `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")
