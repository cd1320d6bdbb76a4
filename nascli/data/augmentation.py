"""Random crop, flip and cutout of a whole batch at once, each image with its own draw; and normalisation.

Everything happens on the device of the images, on uint8 until the last step.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.config import LARGEST_SMALL_IMAGE
from nascli.registry import DATASETS, lookup
from nascli.upload import upload


@dataclass(frozen=True)
class Augmentation:
    """The random changes to training images.

    crop_padding: width of a black border; a window of the image's size is cut at random from the bordered image.
    flip: mirror left and right with probability 1/2.
    cutout: side in pixels of a square that gets the mean colour; its centre is uniform on the image, and what lies
        outside the image is cut off (DeVries & Taylor, 2017).
    resized_crop, color_jitter: for images that workers load. A random window (8 to 100 % of the area, aspect 3:4 to
        4:3) is resized to the image's size; brightness, contrast, saturation and hue vary by up to 0.4, 0.4, 0.4 and
        0.2, as Liu et al. (ICLR 2019, Appendix A.3) train on ImageNet.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    resized_crop: bool = False
    color_jitter: bool = False

    @classmethod
    def for_dataset(cls, info: DataInfo, cutout: int = 0, flip: bool | None = None, jitter: bool = True) -> Self:
        """The augmentation for a data set: as its registry row says, or as on ImageNet for large images.

        flip: if given, overrides the row. jitter: whether the colours of large images vary, too.
        """
        row = lookup(DATASETS, "dataset", info.dataset)
        flip = row.flip if flip is None else flip
        if info.image_size > LARGEST_SMALL_IMAGE:
            return cls(flip=flip, cutout=cutout, resized_crop=True, color_jitter=jitter)
        padding = row.crop_padding if row.image_size in (None, info.image_size) else None
        return cls(crop_padding=info.image_size // 8 if padding is None else padding, flip=flip, cutout=cutout)


@dataclass(frozen=True)
class Draws:
    """The random choices for a batch, each int64 [batch].

    top, left: corner of the window in the padded image, 0 … 2 * crop_padding. mirrored: 0 or 1.
    row, column: centre of the cutout, in pixels of the finished image.
    """

    top: Tensor
    left: Tensor
    mirrored: Tensor
    row: Tensor
    column: Tensor

    def of(self, rows: slice) -> Self:
        """The draws of some images."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def to(self, device: torch.device) -> Self:
        """The same draws on a device."""
        return type(self)(*(upload(getattr(self, field.name), device) for field in fields(self)))


def draw(augmentation: Augmentation, batch: int, height: int, width: int, generator: torch.Generator) -> Draws:
    """Independent uniform draws for every image of a batch, from a generator on the CPU."""

    def uniform(below: int) -> Tensor:
        return torch.randint(below, (batch,), generator=generator)

    windows = 2 * augmentation.crop_padding + 1
    return Draws(uniform(windows), uniform(windows), uniform(2), uniform(height), uniform(width))


def crop_and_flip(images: Tensor, draws: Draws, padding: int, flip: bool) -> Tensor:
    """Shift and mirror every image as drawn, with a black border. [B, C, H, W] -> [B, C, H, W], same dtype."""
    if not padding:
        return _flip(images, draws.mirrored) if flip else images
    batch, channels, height, width = images.shape
    rows = draws.top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    if flip:
        columns = torch.where(draws.mirrored[:, None] == 1, width - 1 - columns, columns)
    columns = draws.left[:, None] + columns
    padded = F.pad(images, (padding, padding, padding, padding))
    # One gather does crop and flip: four times faster on a CPU than indexing the three dimensions with tensors.
    source = (rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]).view(batch, 1, height * width)
    flat = padded.reshape(batch, channels, -1)
    return flat.gather(2, source.expand(batch, channels, height * width)).view(batch, channels, height, width)


def _flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror the images for which `mirrored` is 1. [B, C, H, W] -> [B, C, H, W] in channels_last."""
    rows = images.permute(0, 2, 3, 1)
    both = torch.stack((rows, rows.flip(2)), 1).flatten(0, 1)
    chosen = 2 * torch.arange(len(images), device=images.device) + mirrored
    return both.index_select(0, chosen).permute(0, 3, 1, 2)


def cutout_mask(draws: Draws, side: int, height: int, width: int) -> Tensor:
    """The pixels of the squares that are cut out. -> bool [B, 1, H, W]."""

    def inside(centre: Tensor, length: int) -> Tensor:
        offset = torch.arange(length, device=centre.device) - (centre[:, None] - side // 2)
        return (offset >= 0) & (offset < side)

    return inside(draws.row, height)[:, None, :, None] & inside(draws.column, width)[:, None, None, :]


class Normalization:
    """Turns uint8 images [B, C, H, W] into float32 of mean 0 and deviation 1 per channel.

    mean, std: per channel, on the scale where white is 1.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self._mean = 255.0 * torch.tensor(mean, dtype=torch.float32, device=device)
        self._inverse = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float32, device=device))
        self._row = lru_cache(maxsize=1)(self._repeated)

    def __call__(self, images: Tensor, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
        if memory_format != torch.channels_last:
            mean, inverse = self._mean[:, None, None], self._inverse[:, None, None]
            return images.to(torch.float32, memory_format=memory_format).sub_(mean).mul_(inverse)
        # By rows of all channels: on a CPU four times as fast as with a mean for every third number.
        batch, channels, height, width = images.shape
        mean, inverse = self._row(width)
        rows = images.permute(0, 2, 3, 1).reshape(batch, height, width * channels).to(torch.float32)
        normal = rows.sub_(mean).mul_(inverse).view(batch, height, width, channels).permute(0, 3, 1, 2)
        return normal.contiguous(memory_format=memory_format)

    def _repeated(self, width: int) -> tuple[Tensor, Tensor]:
        """The mean and the inverse deviation for a row of pixels with all their channels. [width * channels] each"""
        return self._mean.repeat(width), self._inverse.repeat(width)


def augment(
    images: Tensor,
    augmentation: Augmentation,
    normalize: Normalization,
    generator: torch.Generator,
    memory_format: torch.memory_format = torch.contiguous_format,
    drawn: tuple[int, slice] | None = None,
) -> Tensor:
    """Crop, flip, normalise and cut out a batch. uint8 [B, C, H, W] -> float32 [B, C, H, W].

    drawn: the images are these rows of a batch of this size, for all of which the choices are drawn.
    """
    batch, _, height, width = images.shape
    size, rows = drawn or (batch, slice(None))
    draws = draw(augmentation, size, height, width, generator).of(rows).to(images.device)
    if augmentation.crop_padding or augmentation.flip:
        images = crop_and_flip(images, draws, augmentation.crop_padding, augmentation.flip)
    normal = normalize(images, memory_format)
    if augmentation.cutout:
        normal.masked_fill_(cutout_mask(draws, augmentation.cutout, height, width), 0.0)
    return normal
