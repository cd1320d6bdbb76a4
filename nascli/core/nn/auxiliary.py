"""The auxiliary tower: a second classifier on an inner map, whose loss helps the lower cells to learn. Training only.

Szegedy et al., CVPR 2015; in the form of Liu et al., ICLR 2019, which hangs it on the second reduction cell's output.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nascli.artifacts.network_settings import NetworkSettings
from nascli.core.nn.layout import map_side, reduction_cells
from nascli.core.nn.stem import STEMS
from nascli.errors import UsageError


@dataclass(frozen=True)
class TowerForm:
    """What differs between the tower on CIFAR and on ImageNet.

    stride: of the 5x5 average pooling; the 2x2 convolution after it must see exactly 2x2 values.
    last_norm: whether a batch norm precedes the last ReLU. The published ImageNet experiments have none there.
    """

    stride: int
    last_norm: bool

    def pooled_side(self, map_side: int) -> int:
        """The side of a map after the pooling; 0 or less if the window does not fit."""
        return (map_side - POOLING_WINDOW) // self.stride + 1

    def fits(self, map_side: int) -> bool:
        return self.pooled_side(map_side) == 2

    @property
    def map_sides(self) -> range:
        """The sides of the maps that the tower takes."""
        return range(POOLING_WINDOW + self.stride, POOLING_WINDOW + 2 * self.stride)


POOLING_WINDOW = 5

TOWER_FORMS: Mapping[str, TowerForm] = {
    "cifar": TowerForm(stride=3, last_norm=True),
    "imagenet": TowerForm(stride=2, last_norm=False),
}
"""The form by the name of the network's stem. 32x32 images behind the CIFAR stem give 8x8 maps; 224x224 images behind
the ImageNet stem give 14x14 before and 7x7 after the second reduction cell, where the tower hangs."""


def auxiliary_fits(settings: NetworkSettings) -> bool:
    """Whether a network's maps suit the tower: it needs a second reduction cell, and images of the right size."""
    if len(reduction_cells(settings.layers)) < 2:
        return False
    return TOWER_FORMS[settings.stem].fits(map_side(settings.image_size, _stride(settings.stem)))


def tower_needs(stem: str) -> str:
    """In words, for messages: "the auxiliary tower behind the cifar stem needs 2 layers or more and images of …"."""
    sides, stride = TOWER_FORMS[stem].map_sides, _stride(stem)
    smallest, largest = (sides[0] - 1) * stride + 1, sides[-1] * stride
    return (
        f"the auxiliary tower behind the {stem} stem needs 2 layers or more and images of "
        f"{smallest} to {largest} pixels a side"
    )


def _stride(stem: str) -> int:
    """How many pixels of the image one step on the tower's map spans: those of the stem, halved twice."""
    return STEMS[stem].strides[1] * 4


class AuxiliaryTower(nn.Module):
    """[B, channels, side, side] -> logits [B, classes].

    ReLU, 5x5 average pooling to 2x2, 1x1 convolution to 128, batch norm, ReLU, 2x2 convolution to 768, batch norm
    (CIFAR only), ReLU, linear. Raises UsageError for maps that the pooling does not turn into 2x2.
    """

    def __init__(self, channels: int, classes: int, stem: str) -> None:
        super().__init__()
        self.form = TOWER_FORMS[stem]
        self.reduce = nn.Conv2d(channels, 128, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(128)
        self.spread = nn.Conv2d(128, 768, 2, bias=False)
        self.spread_norm = nn.BatchNorm2d(768) if self.form.last_norm else nn.Identity()
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if not (self.form.fits(height) and self.form.fits(width)):
            sides = self.form.map_sides
            raise UsageError(
                f"the auxiliary tower takes maps of {sides[0]} to {sides[-1]} pixels a side, not {height}x{width}; "
                "leave it out or change the image size"
            )
        x = F.avg_pool2d(F.relu(x), POOLING_WINDOW, stride=self.form.stride)
        x = F.relu(self.reduce_norm(self.reduce(x)), inplace=True)
        x = F.relu(self.spread_norm(self.spread(x)), inplace=True)
        return self.classifier(x.flatten(1))
