"""The format of a network's images: pictures of any size, shape and colour become squares of one size."""

from dataclasses import dataclass

from PIL import ImageColor
from torch import Tensor

from nascli.artifacts.data_info import WHITE, DataInfo, Fit
from nascli.config import LARGEST_SMALL_IMAGE
from nascli.data.resizing import evaluation_side, fit_square
from nascli.errors import UsageError

ELONGATED = 2.0
"""The most elongated pictures that are cut to their centre by default; for longer ones, that loses too much."""

SPARE = 1.5
"""How many times the side that evaluation reads large pictures are read at, at most.

For 224 pixels that is 384, about the shorter side of ImageNet's pictures, on which windows of 8 to 100 % of the area
are usual: one of more than a third of the area is not enlarged.
"""


@dataclass(frozen=True)
class Format:
    """The square images that the network gets.

    side: in pixels. fit: how pictures become square. background: the colour of transparent parts and of the borders of
    `fit` pad, as (red, green, blue).
    """

    channels: int
    side: int
    fit: Fit = "crop"
    background: tuple[int, int, int] = (255, 255, 255)

    @property
    def resident(self) -> bool:
        """Whether all images of this size lie on the device at once."""
        return self.side <= LARGEST_SMALL_IMAGE

    def square(self, image: Tensor, shorter: int | None = None) -> Tensor:
        """uint8 [C, h, w] -> uint8 [C, side, side]; `shorter` as in `fit_square`."""
        return fit_square(image, self.side, shorter, fit=self.fit, background=self._fill())

    def evaluated(self, image: Tensor) -> Tensor:
        """A picture as evaluation sees it. uint8 [C, h, w] -> uint8 [C, side, side]"""
        return self.square(image, None if self.resident else evaluation_side(self.side))

    @property
    def most(self) -> int:
        """The side at which pictures are read that are larger: the shorter one, or with `fit` pad the longer one."""
        return round(SPARE * evaluation_side(self.side))

    def reduced(self, height: int, width: int) -> tuple[int, int]:
        """The height and width at which a picture of this size is read; its own unless it is much larger than needed.

        Turning a picture by 90 degrees turns the result.
        """
        if self.resident:
            return height, width
        if self.fit == "squash":
            return min(height, self.most), min(width, self.most)
        side = max(height, width) if self.fit == "pad" else min(height, width)
        if side <= self.most:
            return height, width
        return max(1, round(height * self.most / side)), max(1, round(width * self.most / side))

    def at(self, side: int) -> "Format":
        """The same format with another side."""
        return Format(self.channels, side, self.fit, self.background)

    def _fill(self) -> tuple[int, ...]:
        red, green, blue = self.background
        # The luminance that Pillow turns colours into (ITU-R 601-2).
        return self.background if self.channels == 3 else (round(0.299 * red + 0.587 * green + 0.114 * blue),)


def format_of(known: DataInfo) -> Format:
    """The format of images that are known to a model."""
    return Format(known.channels, known.image_size, known.fit, colour(known.background))


def colour(name: str = WHITE) -> tuple[int, int, int]:
    """A colour by its name or as #rrggbb, as red, green and blue. Raises UsageError."""
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        raise UsageError(f"--background {name!r} is no colour: give a name such as white, or #rrggbb") from None
    return red, green, blue
