"""Where the auxiliary tower hangs, and on which maps it can. It is a second classifier that exists only in training.

Szegedy et al., CVPR 2015; in the form of Liu et al., ICLR 2019, who hang it on the second reduction cell's output.
"""

from collections.abc import Mapping
from dataclasses import dataclass

POOLING_WINDOW = 5
WIDTHS = (128, 768)
"""Outputs of the tower's two convolutions, 1x1 and 2x2."""


@dataclass(frozen=True)
class TowerForm:
    """What differs between the tower on CIFAR and on ImageNet.

    stride: that of the 5x5 average pooling, after which the 2x2 convolution must see exactly 2x2 values.
    last_norm: whether a batch norm precedes the last ReLU. The published ImageNet experiments have none there.
    """

    stride: int
    last_norm: bool

    def pooled_side(self, map_side: int) -> int:
        """The side of a map after the pooling; 0 or less if the window does not fit."""
        return (map_side - POOLING_WINDOW) // self.stride + 1

    def fits(self, map_side: int) -> bool:
        """Whether the tower takes maps of this side."""
        return self.pooled_side(map_side) == 2

    @property
    def map_sides(self) -> range:
        """The sides of the maps that the tower takes."""
        return range(POOLING_WINDOW + self.stride, POOLING_WINDOW + 2 * self.stride)


TOWER_FORMS: Mapping[str, TowerForm] = {
    "cifar": TowerForm(stride=3, last_norm=True),
    "imagenet": TowerForm(stride=2, last_norm=False),
}
"""The form by the name of the network's stem. 32x32 images after the CIFAR stem give 8x8 maps; 224x224 images after the
ImageNet stem give 14x14 before and 7x7 after the second reduction cell, where the tower hangs."""


@dataclass(frozen=True)
class Tower:
    """A place for the tower: the node whose maps it reads, its form, and how many image pixels a map pixel spans."""

    node: str
    form: TowerForm
    stride: int

    def parameters(self, channels: int, classes: int) -> int:
        """The learnt numbers of a tower on maps with this many channels."""
        first, second = WIDTHS
        norms = 2 * first + (2 * second if self.form.last_norm else 0)
        return channels * first + 4 * first * second + norms + (second + 1) * classes

    def needs(self) -> str:
        """The images that it needs, for messages: "the auxiliary tower needs images of 29 to 40 pixels a side"."""
        sides = self.form.map_sides
        smallest, largest = (sides[0] - 1) * self.stride + 1, sides[-1] * self.stride
        return f"the auxiliary tower needs images of {smallest} to {largest} pixels a side"
