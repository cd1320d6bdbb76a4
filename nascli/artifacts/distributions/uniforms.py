"""Random numbers that depend on a seed alone, not on the version of numpy."""

import numpy as np
from numpy.typing import NDArray


def uniforms(count: int, seed: int) -> NDArray[np.float64]:
    """`count` numbers in [0, 1). numpy promises the bits of a bit generator, but not what a Generator makes of them."""
    bits = np.random.Philox(key=seed).random_raw(count)
    numbers: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers
