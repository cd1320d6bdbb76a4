"""The settings that say, together with the genotype, what a derived network is."""

from typing import Literal

from pydantic import Field

from nascli.frozen import Frozen


class DataShape(Frozen):
    """What goes into a network and out of it; all that a genotype of channels leaves open.

    `image_size` is the side of the images in pixels. `auxiliary`: with the tower that helps in training. The bounds
    keep a file from asking for more memory than any machine has.
    """

    classes: int = Field(ge=1, le=100_000)
    image_channels: int = Field(ge=1, le=64)
    image_size: int = Field(ge=1, le=4096)
    auxiliary: bool = False


class NetworkSettings(DataShape):
    """The size of a network of cells, and what goes in and out. `channels` are those of the first cell."""

    layers: int = Field(ge=1, le=200)
    channels: int = Field(ge=1, le=4096)
    stem: Literal["cifar", "imagenet"]
