import pytest
import torch

from nascli.core.engine.calibration import Calibration


def error(confidence: list[float], right: list[int]) -> float:
    calibration = Calibration()
    calibration.add(torch.tensor(confidence, dtype=torch.float64), torch.tensor(right, dtype=torch.bool))
    return calibration.error


def slow(confidence: torch.Tensor, right: torch.Tensor) -> float:
    """Guo et al., Eq. 3, image by image and bin by bin."""
    total = 0.0
    for m in range(1, 16):
        inside = [i for i, c in enumerate(confidence.tolist()) if (m - 1) / 15 < c <= m / 15]
        if inside:
            accuracy = sum(bool(right[i]) for i in inside) / len(inside)
            mean = sum(float(confidence[i]) for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


def test_by_hand():
    # 0.72 and 0.73 share the bin (10/15, 11/15]: half right, mean 0.725. 0.95 is alone, and right.
    assert error([0.72, 0.73, 0.95], [1, 0, 1]) == pytest.approx(2 / 3 * 0.225 + 1 / 3 * 0.05)


def test_over_and_under_confidence_cancel_within_a_bin_and_not_between_bins():
    assert error([0.94, 0.94, 0.96, 0.96], [1, 1, 1, 1]) == pytest.approx(0.05)
    assert error([0.5, 0.5], [1, 0]) == 0.0
    assert error([0.25, 0.75], [1, 0]) == pytest.approx(0.75)


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower():
    # 0.2 = 3/15 is binned with 0.19; with 0.21 it would be 0.78 / 3.
    assert error([0.19, 0.2, 0.21], [0, 1, 0]) == pytest.approx((0.61 + 0.21) / 3)


def test_certainty_that_is_right_has_no_error_and_certainty_that_is_wrong_has_all():
    assert error([1.0, 1.0], [1, 1]) == 0.0
    assert error([1.0, 1.0], [0, 0]) == 1.0


def test_batches_add_up_to_the_slow_reference():
    draw = torch.Generator().manual_seed(3)
    confidence = torch.rand(1000, generator=draw, dtype=torch.float64) ** 0.5
    right = torch.rand(1000, generator=draw) < 0.7
    calibration = Calibration()
    for part in (slice(0, 1), slice(1, 600), slice(600, 1000)):
        calibration.add(confidence[part], right[part])
    assert calibration.error == pytest.approx(slow(confidence, right), abs=1e-12)


def test_a_network_that_diverged_has_no_calibration():
    assert torch.tensor(error([0.5, float("nan")], [1, 0])).isnan()
