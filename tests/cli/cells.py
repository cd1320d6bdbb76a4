"""Cells for commands whose work does not depend on which cell it is."""

_PICKS = "[('sep_conv_3x3', 0), ('skip_connect', 1)]"
SMALL_CELL = f"Genotype(normal={_PICKS}, normal_concat=[2], reduce={_PICKS}, reduce_concat=[2])"
"""Of `darts`, with one node: its network is a fifth of a published one's."""
