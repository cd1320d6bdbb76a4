"""Best-first order against sorting all combinations."""

from itertools import islice, product
from math import fsum, prod

import numpy as np
import pytest

from nascli.artifacts.distributions.best_first import best_first


@pytest.mark.parametrize("sizes", [(1,), (4,), (3, 1, 2), (2, 3, 4, 2), (1, 1, 1)])
@pytest.mark.parametrize("tied", [False, True])
def test_every_combination_once_in_falling_order(sizes: tuple[int, ...], tied: bool) -> None:
    generator = np.random.default_rng(sum(sizes))
    draw = (lambda size: generator.integers(-2, 2, size)) if tied else (lambda size: generator.normal(size=size))
    factors = [sorted(map(float, draw(size)), reverse=True) for size in sizes]
    found = list(best_first(factors))
    assert sorted(positions for positions, _ in found) == sorted(product(*(range(size) for size in sizes)))
    sums = [fsum(row[position] for row, position in zip(factors, positions, strict=True)) for positions, _ in found]
    assert [value for _, value in found] == sums == sorted(sums, reverse=True)


def test_by_hand() -> None:
    found = list(best_first([[0.0, -3.0], [0.0, -1.0, -5.0]]))
    assert [positions for positions, _ in found] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 2)]
    assert [value for _, value in found] == [0, -1, -3, -4, -5, -8]


def test_of_a_vast_number_only_the_first_are_made() -> None:
    factors = [[-float(i) for i in range(500)]] * 20
    assert prod(map(len, factors)) > 1e53
    # One combination has sum 0, 20 have -1, and 210 have -2: 20 with one factor at 2, 190 with two at 1.
    values = [value for _, value in islice(best_first(factors), 1 + 20 + 210 + 1)]
    assert values == [0.0] + [-1.0] * 20 + [-2.0] * 210 + [-3.0]


def test_a_factor_without_values_leaves_nothing() -> None:
    assert list(best_first([[0.0], []])) == []
    assert list(best_first([])) == [((), 0.0)]
