"""The picture of a Gaussian posterior: the deviation of every group, on an axis that can be read."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from nascli.visualize.supernets import gaussian
from nascli.visualize.supernets.gaussian import draw_gaussian, ticks
from tests.artifacts import examples
from tests.visualize.figures import made, overlaps


@pytest.fixture(autouse=True)
def _figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures stay figures."""
    monkeypatch.setattr(gaussian, "picture", made)


def drawn(ratios: np.ndarray) -> Figure:
    """The figure of deviations that are `ratios` times the weights, one after another through the groups."""
    known = examples.gaussian()
    factors = iter(np.log(np.resize(ratios, len(known.noise_ratios)) / known.noise_ratios))
    moved = {
        name: (values + np.array([next(factors) for _ in values])).astype(np.float32)
        for name, values in known.log_deviations.items()
    }
    figure = draw_gaussian(replace(known, log_deviations=moved), "svg", None)
    assert isinstance(figure, Figure)
    return figure


@pytest.mark.parametrize(
    "ratios", [[0.327, 0.334], [0.3305], [0.19, 0.23], [0.9, 1.1], [6.0, 44.0], [1e-4, 30.0], [0.095, 0.105]]
)
def test_the_axis_has_labels_that_tell_where_the_dots_are(ratios: list[float]) -> None:
    figure = drawn(np.array(ratios))
    axes = figure.axes[1]
    low, high = axes.get_ylim()
    labels = [
        (tick, float(label.get_text())) for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    ]
    assert len(labels) >= 2
    for place, label in labels:
        assert low <= place <= high
        assert label == pytest.approx(10**place, rel=1e-6)
    dots = [10**value for line in axes.get_lines() for value in line.get_ydata()]
    assert (min(dots), max(dots)) == pytest.approx((min(ratios), max(ratios)), rel=1e-4)
    assert overlaps(figure) == []


def test_there_are_two_ticks_in_every_range() -> None:
    for low in np.geomspace(1e-4, 90, 211):
        for factor in (1.096, 1.2, 2, 3, 30):  # the least that an axis spans, and more
            found = ticks(low, low * factor)
            assert 2 <= len(found) <= 7
            assert low <= found[0] < found[-1] <= low * factor
