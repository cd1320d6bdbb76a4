"""Where reductions sit."""

import pytest

from nascli.core.nn.layout import map_side, reduction_cells


@pytest.mark.parametrize(
    ("layers", "positions"),
    [(1, (0,)), (2, (0, 1)), (3, (1, 2)), (5, (1, 3)), (8, (2, 5)), (14, (4, 9)), (17, (5, 11)), (20, (6, 13))],
)
def test_reductions_sit_at_a_third_and_two_thirds(layers: int, positions: tuple[int, ...]) -> None:
    assert reduction_cells(layers) == positions


@pytest.mark.parametrize("size", [27, 28, 32, 224, 225])
def test_halving_step_by_step_is_dividing_at_once(size: int) -> None:
    side, stride = size, 1
    for _ in range(5):
        side, stride = (side + 1) // 2, 2 * stride
        assert map_side(size, stride) == side
