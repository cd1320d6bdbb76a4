"""From one image file to its pixels, whatever its format and mode."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from nascli.data.resizing import resize
from nascli.errors import DataError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"}
)
"""File endings, in lower case, that mark images."""

Sizing = Callable[[int, int], tuple[int, int]]
"""From the height and width of a picture to those at which it is wanted, which are no larger."""

_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})
"""The EXIF orientations that exchange height and width."""
_SIXTEEN_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_GREY = _SIXTEEN_BIT | {"1", "L", "LA", "La"}


class UnreadableImage(DataError):
    """An image file is corrupt, or not an image at all. The message is "PATH: what is wrong"."""


@dataclass(frozen=True)
class Header:
    """What a file tells about its image before any pixel is decoded. Sides in pixels."""

    width: int
    height: int
    grey: bool


def read_header(path: Path) -> Header:
    """The header of an image, from the first bytes of its file. Raises UnreadableImage."""
    try:
        with Image.open(path) as image:
            return Header(*image.size, grey=_is_grey(image))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever malformed bytes lead them to
        raise _unreadable(path, error) from None


def check(path: Path) -> None:
    """Decode a file to its end (a JPEG at an eighth of its size) to see that it is whole. Raises UnreadableImage."""
    try:
        with Image.open(path) as image:
            image.draft(None, (image.width // 8, image.height // 8))
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # as in read_header
        raise _unreadable(path, error) from None


def decode(
    path: Path, channels: int, background: tuple[int, int, int] = (255, 255, 255), sizing: Sizing | None = None
) -> Tensor:
    """The pixels of an image file, turned as its EXIF orientation says. -> uint8 [channels, height, width].

    channels: 1 for grey or 3 for RGB; the image is converted. Transparent parts show the background (red, green, blue),
    16 bits per pixel are scaled to 8, and an animation gives its first frame. sizing: the size wanted, if not the
    image's own; that of a turned image must be the turned size. Raises UnreadableImage.
    """
    try:
        content = path.read_bytes()
        if sizing is None:
            return _whole(content, channels, background)
        fraction = _fraction_of_jpeg(content, channels, background, sizing)
        if fraction is not None:
            return fraction
        whole = _whole(content, channels, background)
        return resize(whole, sizing(*whole.shape[1:]))
    except MemoryError:
        raise
    except Exception as error:  # as in read_header
        raise _unreadable(path, error) from None


def _whole(content: bytes, channels: int, background: tuple[int, int, int]) -> Tensor:
    """The pixels in the bytes of a file, as `decode` gives them."""
    plain = _plain_jpeg(content, channels)
    if plain is not None:
        return plain
    # Given a path instead of bytes, Pillow 13 scrambles uncompressed TIFFs that are stored sideways.
    with Image.open(BytesIO(content)) as image:
        return _pixels(image, channels, background)


def _pixels(image: Image.Image, channels: int, background: tuple[int, int, int]) -> Tensor:
    """The pixels of an opened image."""
    image.load()
    upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
    pixels = np.array(_eight_bit(_opaque(upright, background), "L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[:, :, None]).permute(2, 0, 1)


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1))


def _fraction_of_jpeg(content: bytes, channels: int, background: tuple[int, int, int], sizing: Sizing) -> Tensor | None:
    """A JPEG that is decoded at a half, a quarter or an eighth of its size and then resized; None for everything else.

    Its blocks of 8x8 pixels are decoded to fewer, which takes less than half of the time.
    """
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    with JpegImageFile(BytesIO(content)) as image:
        stored, (height, width) = image.size, sizing(image.height, image.width)
        image.draft(None, (width, height))
        if image.size == stored:
            return None
        upright = (width, height) if _orientation(image) in _SIDEWAYS else (height, width)
        return resize(_pixels(image, channels, background), upright)


def _plain_jpeg(content: bytes, channels: int) -> Tensor | None:
    """A JPEG that needs no conversion, read by torchvision: Pillow's pixels in a quarter of its time for small images.

    None for everything else, damaged files included, which Pillow decides on.
    """
    if not content.startswith(b"\xff\xd8"):
        return None
    from torchvision.io import decode_jpeg

    try:
        pixels = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), apply_exif_orientation=True)
    except RuntimeError:
        return None
    return pixels if len(pixels) == channels else None


def _opaque(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """The image, in front of the background if it has transparent parts."""
    if not image.has_transparency_data:
        return image
    behind = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    """The image in mode "L" or "RGB"."""
    if image.mode == mode:
        return image
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 or 16 bits per channel")
    if image.mode in _SIXTEEN_BIT:
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    return image.convert(mode)


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA") and image.palette is not None:
        colours = np.frombuffer(image.palette.getdata()[1], np.uint8)
        step = len(image.palette.mode)
        red, green, blue = (colours[k : len(colours) // step * step : step] for k in range(3))
        return bool((red == green).all() and (green == blue).all())
    return image.mode in _GREY


def _unreadable(path: Path, error: Exception) -> UnreadableImage:
    if isinstance(error, UnidentifiedImageError):
        reason = "not an image that Pillow knows" if path.stat().st_size else "the file is empty"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    return UnreadableImage(f"{path}: {reason}")
