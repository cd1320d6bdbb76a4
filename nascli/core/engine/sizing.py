"""The network that a training would build, from what the tables know: no image is read where they know enough."""

from dataclasses import dataclass

import torch

from nascli.artifacts.network_settings import NetworkSettings
from nascli.config import LARGEST_SMALL_IMAGE, Config, TrainConfig
from nascli.core.nn.auxiliary import auxiliary_fits
from nascli.data import open_data
from nascli.registry import DATASETS, lookup


@dataclass(frozen=True)
class Shape:
    """What of a data set decides the size of a network; `image_size` is the side in pixels."""

    classes: int
    image_channels: int
    image_size: int


def known_shape(config: Config, *, classes: int | None = None) -> Shape:
    """The shape of a data set, from its registry row or, where only the images tell, from the images.

    `classes` stands in for the data's own number. Raises UsageError, DataError.
    """
    row = lookup(DATASETS, "dataset", config.dataset)
    if row.classes is None or row.image_size is None or row.image_channels is None:
        info = open_data(config, device=torch.device("cpu")).info
        return Shape(classes or len(info.classes), info.channels, info.image_size)
    return Shape(classes or row.classes, row.image_channels, config.image_size or row.image_size)


def derived_settings(config: TrainConfig, shape: Shape) -> NetworkSettings:
    """The network that `config` trains; with the auxiliary tower if it is wanted and the maps allow it.

    Raises pydantic's ValidationError for sizes beyond what a model's file may have.
    """
    settings = NetworkSettings(
        layers=config.layers,
        channels=config.channels,
        stem=config.stem,
        classes=shape.classes,
        image_channels=shape.image_channels,
        image_size=shape.image_size,
    )
    return settings.model_copy(update={"auxiliary": config.auxiliary > 0 and auxiliary_fits(settings)})


def stem_notice(stem: str, image_size: int) -> str | None:
    """What to say where the first layers keep the size of images that are too large for it; None where all is well."""
    if stem != "cifar" or image_size <= LARGEST_SMALL_IMAGE:
        return None
    return (
        f"images of {image_size} pixels with the cifar stem, which keeps their size, take much memory and time: "
        f"consider --stem imagenet, which divides it by 8, or a smaller --image-size"
    )
