"""The layers between the image and the first cell. They give the two states that the first cell reads.

A stem says how many channels its two states have (`channels`) and how many image pixels one step on their maps spans
(`strides`): cell networks, derived or searching, need no more to go on from there. Its batch norms always have affine
parameters, in a search network too.

Liu et al., ICLR 2019, Appendix A (CIFAR-10 and ImageNet networks).
"""

from collections.abc import Mapping
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn


class CifarStem(nn.Module):
    """One 3x3 convolution and batch norm; both states are its output.

    [B, image_channels, H, W] -> two of [B, channels, H, W]. Cell networks of width C put 3C here.
    """

    strides = (1, 1)

    def __init__(self, image_channels: int, channels: int) -> None:
        super().__init__()
        self.channels = (channels, channels)
        self.conv = nn.Conv2d(image_channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        state = self.norm(self.conv(images))
        return state, state


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions of stride 2; the states are the outputs of the second and of the third.

    [B, image_channels, H, W] -> [B, channels, H/4, W/4] and [B, channels, H/8, W/8], sides rounded up at each halving.
    A derived network of width C puts C here, a search network 3C.
    """

    strides = (4, 8)

    def __init__(self, image_channels: int, channels: int) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"the ImageNet stem starts with half its channels; {channels} is too few")
        self.channels = (channels, channels)
        self.conv1 = nn.Conv2d(image_channels, channels // 2, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels // 2)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.norm1(self.conv1(images)), inplace=True)
        first = self.norm2(self.conv2(x))
        second = self.norm3(self.conv3(F.relu(first)))
        return first, second


class Stem(Protocol):
    """What a cell network asks of a stem."""

    channels: tuple[int, int]
    strides: tuple[int, int]

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


STEMS: Mapping[str, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}
"""The stems by the name that settings and recipes give them."""
