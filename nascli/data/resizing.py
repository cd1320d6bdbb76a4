"""From images of any size and colour to squares of one size and colour.

Importing torchvision takes longer than reading a small data set, so it is only imported when an image needs it.
"""

from collections.abc import Sequence

from torch import Tensor

from nascli.artifacts.data_info import Fit

_MOST_ELONGATED = 8


def fit_square(
    images: Tensor, side: int, shorter: int | None = None, *, fit: Fit = "crop", background: Sequence[int] = (255,)
) -> Tensor:
    """Make pictures square (bilinear, antialiased). uint8 [..., C, h, w] -> uint8 [..., C, side, side].

    crop: resize the shorter side, then cut out the centre. pad: resize the longer side, then add borders of the
    background, one value or one per channel. squash: resize both. shorter: the shorter side in pixels before the
    centre is cut out, at least `side` (the default).
    """
    if images.shape[-2:] == (side, side) and (shorter is None or fit != "crop"):
        return images
    from torchvision.transforms.v2 import functional as transforms

    if fit == "squash":
        squashed: Tensor = transforms.resize(images, [side, side], antialias=True)
        return squashed
    if fit == "pad":
        height, width = (max(1, round(length * side / max(images.shape[-2:]))) for length in images.shape[-2:])
        whole = transforms.resize(images, [height, width], antialias=True)
        left, top = (side - width) // 2, (side - height) // 2
        borders = [left, top, side - width - left, side - height - top]
        padded: Tensor = transforms.pad(whole, borders, fill=list(background))
        return padded
    height, width = images.shape[-2:]
    most = _MOST_ELONGATED * min(height, width)
    if max(height, width) > most:  # a strip of 1 by 60,000 pixels would take gigabytes before its ends are cut off
        images = transforms.center_crop(images, [min(height, most), min(width, most)])
    resized = transforms.resize(images, [shorter or side], antialias=True)
    centre: Tensor = transforms.center_crop(resized, [side, side])
    return centre


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image at another height and width (bilinear, antialiased). uint8 [..., h, w] -> uint8 [..., *size]."""
    if image.shape[-2:] == size:
        return image
    from torchvision.transforms.v2 import functional as transforms

    resized: Tensor = transforms.resize(image, list(size), antialias=True)
    return resized


def evaluation_side(side: int) -> int:
    """The shorter side of a large image before the centre is cut out: 256 pixels for a network that takes 224."""
    return round(side * 256 / 224)


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Grey to RGB by repetition, or RGB to grey by luminance. uint8 [..., C, h, w] -> [..., channels, h, w]."""
    if images.shape[-3] == channels:
        return images
    from torchvision.transforms.v2 import functional as transforms

    convert = transforms.grayscale_to_rgb if channels == 3 else transforms.rgb_to_grayscale
    converted: Tensor = convert(images)
    return converted
