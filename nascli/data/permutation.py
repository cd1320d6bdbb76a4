"""A random order that depends on a seed alone."""

import numpy as np


def permutation(count: int, seed: int) -> np.ndarray:
    """A random order of `count` things. -> int64 [count].

    It sorts raw PCG64 words: numpy promises never to change their stream, but not that of `Generator.permutation`.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")
