"""The settings that, beside the genotype, say what a derived network is."""

from typing import Literal

from pydantic import Field

from nascli.frozen import Frozen


class DataShape(Frozen):
    """What goes into a network and out of it; all that a genotype of channels leaves open.

    `image_size` is the side of the images in pixels. The bounds keep a file from asking for more memory than any
    machine has. `auxiliary`: with the tower that helps in training.
    """

    classes: int = Field(ge=1, le=100_000)
    image_channels: int = Field(ge=1, le=64)
    image_size: int = Field(ge=1, le=4096)
    auxiliary: bool = False


class NetworkSettings(DataShape):
    """Size of a network of cells, and of what goes in and out. `channels` are those of the first cell."""

    layers: int = Field(ge=1, le=200)
    channels: int = Field(ge=1, le=4096)
    stem: Literal["cifar", "imagenet"]
