import numpy as np
import pytest

from nascli.visualize.style import FAMILIES, SERIES, family, readable, tint
from tests.visualize.examples import BENCHMARK, SPACE

# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as a person without one kind of cones sees it.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
SRGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = SRGB_TO_XYZ @ np.ones(3)


def lab(colour: str, blindness: str) -> np.ndarray:
    """CIELAB of "#rrggbb" as seen with a kind of colour blindness."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ np.clip(BLINDNESS[blindness] @ linear, 0, 1) / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_families_are_told_apart(blindness: str) -> None:
    """Colours of two families differ by ten just noticeable differences (2.3 in CIELAB) or so."""
    seen = [lab(entry.colour, blindness) for entry in FAMILIES if entry.label != "none"]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 20


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_lines_of_eight_runs_are_told_apart(blindness: str) -> None:
    seen = [lab(colour, blindness) for colour in SERIES]
    assert len(seen) == 8
    assert min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]) > 15


def test_every_operation_of_both_spaces_has_its_family() -> None:
    assert {op: family(op).label for op in (*SPACE.known_operations, *SPACE.operations, *BENCHMARK.operations)} == {
        "sep_conv_3x3": "separable conv",
        "sep_conv_5x5": "separable conv",
        "sep_conv_7x7": "separable conv",
        "dil_conv_3x3": "dilated conv",
        "dil_conv_5x5": "dilated conv",
        "conv_7x1_1x7": "convolution",
        "nor_conv_1x1": "convolution",
        "nor_conv_3x3": "convolution",
        "max_pool_3x3": "pooling",
        "avg_pool_3x3": "pooling",
        "skip_connect": "skip connection",
        "none": "none",
    }


def test_readable_names_tell_operations_apart() -> None:
    for space in (SPACE, BENCHMARK):
        names = [readable(op) for op in space.known_operations]
        assert len(set(names)) == len(names)
    assert readable("max_pool_3x3") == "max pool 3×3"


def test_tint_mixes_with_white() -> None:
    assert [tint("#0072b2", share) for share in (0, 1)] == ["#ffffff", "#0072b2"]
    assert tint("#000000", 0.2) == "#cccccc"
