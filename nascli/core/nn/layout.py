"""Where a stack of cells reduces its maps. Shared by derived and search networks, which must agree."""


def reduction_cells(layers: int) -> tuple[int, ...]:
    """The positions of the reduction cells among `layers` cells: L // 3 and 2L // 3, as in Liu et al., ICLR 2019.

    Short stacks follow the same rule, so that a search network of any length means the same as its derived one:
    one cell is a reduction cell, two cells are both, and a normal cell comes in with the third (at position 0).

    >>> reduction_cells(20), reduction_cells(14), reduction_cells(8)
    ((6, 13), (4, 9), (2, 5))
    >>> reduction_cells(1), reduction_cells(2), reduction_cells(3)
    ((0,), (0, 1), (1, 2))
    """
    return tuple(sorted({layers // 3, 2 * layers // 3}))


def map_side(image_size: int, stride: int) -> int:
    """The side of a map after halvings that make up `stride`, each rounding up."""
    return -(-image_size // stride)
