"""Images of any size and colour to squares of one size and colour.

torchvision takes longer to import than a small data set to read, so it waits until an image needs it.
"""

from torch import Tensor

_MOST_ELONGATED = 8


def fit_square(images: Tensor, side: int, shorter: int | None = None) -> Tensor:
    """Resize the shorter side (bilinear, antialiased), then cut out the centre.

    uint8 [..., C, h, w] -> uint8 [..., C, side, side].

    shorter: what the shorter side becomes first, at least `side` (the default).
    """
    if images.shape[-2:] == (side, side) and shorter is None:
        return images
    from torchvision.transforms.v2 import functional as transforms

    height, width = images.shape[-2:]
    most = _MOST_ELONGATED * min(height, width)
    if max(height, width) > most:  # a strip of 1 by 60,000 pixels would take gigabytes before its ends are cut off
        images = transforms.center_crop(images, [min(height, most), min(width, most)])
    resized = transforms.resize(images, [shorter or side], antialias=True)
    return transforms.center_crop(resized, [side, side])


def evaluation_side(side: int) -> int:
    """What the shorter side of a large image becomes before the centre is cut out: 256 pixels for a network of 224."""
    return round(side * 256 / 224)


def to_channels(images: Tensor, channels: int) -> Tensor:
    """Grey to RGB by repetition, or RGB to grey by luminance. uint8 [..., C, h, w] -> [..., channels, h, w]."""
    if images.shape[-3] == channels:
        return images
    from torchvision.transforms.v2 import functional as transforms

    return transforms.grayscale_to_rgb(images) if channels == 3 else transforms.rgb_to_grayscale(images)
