"""The auxiliary tower: its parameters, the maps that it takes, and the error for others."""

import pytest
import torch

from nascli.artifacts.genotypes import published
from nascli.core.nn.auxiliary import AuxiliaryTower
from nascli.errors import UsageError
from nascli.graphs.graph import Graph
from nascli.graphs.tower import TOWER_FORMS, Tower
from nascli.spaces.network_settings import NetworkSettings


def network(stem: str, image_size: int, layers: int = 20) -> Graph:
    settings = NetworkSettings.model_validate(
        {"layers": layers, "channels": 4, "stem": stem, "classes": 5, "image_channels": 3, "image_size": image_size}
    )
    return published.load("darts-v2").genotype.graph(settings)


@pytest.mark.parametrize(
    ("stem", "side", "norm"), [("cifar", 8, 2 * 768), ("cifar", 10, 2 * 768), ("imagenet", 7, 0), ("imagenet", 8, 0)]
)
def test_tower(stem: str, side: int, norm: int) -> None:
    """1x1 to 128, norm, 2x2 to 768, norm on CIFAR only, linear with bias."""
    tower = AuxiliaryTower(24, 5, TOWER_FORMS[stem])
    expected = 24 * 128 + 2 * 128 + 4 * 128 * 768 + norm + 768 * 5 + 5
    assert sum(p.numel() for p in tower.parameters()) == expected
    assert Tower("maps", TOWER_FORMS[stem], 4).parameters(24, 5) == expected
    assert tower(torch.randn(2, 24, side, side)).shape == (2, 5)


@pytest.mark.parametrize(("stem", "side", "takes"), [("cifar", 7, "8 to 10"), ("imagenet", 14, "7 to 8")])
def test_other_maps_are_refused_with_what_is_needed(stem: str, side: int, takes: str) -> None:
    tower = AuxiliaryTower(4, 5, TOWER_FORMS[stem])
    with pytest.raises(UsageError, match=rf"takes maps of {takes} pixels a side, not {side}x{side}"):
        tower(torch.randn(2, 4, side, side))


@pytest.mark.parametrize(
    ("stem", "image_size", "fits"),
    [
        ("cifar", 32, True),
        ("cifar", 28, False),
        ("cifar", 29, True),
        ("cifar", 40, True),
        ("cifar", 41, False),
        ("cifar", 8, False),
        ("imagenet", 224, True),
        ("imagenet", 192, False),
        ("imagenet", 193, True),
        ("imagenet", 256, True),
        ("imagenet", 257, False),
    ],
)
def test_which_images_suit_the_tower(stem: str, image_size: int, fits: bool) -> None:
    assert network(stem, image_size).tower_fits is fits


def test_a_single_cell_has_no_second_reduction_to_hang_a_tower_on() -> None:
    assert not network("cifar", 32, layers=1).tower_fits
    assert network("cifar", 32, layers=2).tower_fits
