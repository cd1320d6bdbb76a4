"""Where the auxiliary tower hangs, and on which maps it can: a second classifier, which only training has.

Szegedy et al., CVPR 2015; in the form of Liu et al., ICLR 2019, which hangs it on the second reduction cell's output.
"""

from collections.abc import Mapping
from dataclasses import dataclass

POOLING_WINDOW = 5
WIDTHS = (128, 768)
"""Channels of the tower's two convolutions, of 1x1 and of 2x2."""


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
"""The form by the name of the network's stem. 32x32 images behind the CIFAR stem give 8x8 maps; 224x224 images behind
the ImageNet stem give 14x14 before and 7x7 after the second reduction cell, where the tower hangs."""


@dataclass(frozen=True)
class Tower:
    """A place for the tower: the node whose maps it reads, its form, and the pixels of the image per pixel there."""

    node: str
    form: TowerForm
    stride: int

    def parameters(self, channels: int, classes: int) -> int:
        """Learnt numbers of a tower on maps of so many channels."""
        first, second = WIDTHS
        norms = 2 * first + (2 * second if self.form.last_norm else 0)
        return channels * first + 4 * first * second + norms + (second + 1) * classes

    def needs(self) -> str:
        """In words, for messages: "the auxiliary tower needs images of 29 to 40 pixels a side"."""
        sides = self.form.map_sides
        smallest, largest = (sides[0] - 1) * self.stride + 1, sides[-1] * self.stride
        return f"the auxiliary tower needs images of {smallest} to {largest} pixels a side"
