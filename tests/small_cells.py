"""Cells for tests of what does not depend on which cell it is: their networks are a fifth of a published one's."""


def _with(first: str, second: str) -> str:
    picks = f"[('{first}', 0), ('{second}', 1)]"
    return f"Genotype(normal={picks}, normal_concat=[2], reduce={picks}, reduce_concat=[2])"


SMALL_CELL = _with("sep_conv_3x3", "skip_connect")
"""Of `darts`, with one node."""

OTHER_SMALL_CELL = _with("max_pool_3x3", "dil_conv_3x3")
