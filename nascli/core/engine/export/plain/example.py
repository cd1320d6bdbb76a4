"""Name the class of pictures: python example.py PICTURE …

Needs torch, pillow and numpy, and the files beside this one.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor, ImageOps
from torch import Tensor

HERE = Path(__file__).parent

ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that exchange height and width."""

ELONGATED = 8
"""Of longer pictures the ends are cut off before they are resized."""


def read_picture(path: str | Path, facts: dict[str, Any]) -> Tensor:
    """The pixels of a picture as the network sees it, uint8 [channels, side, side]."""
    channels, side = facts["shape"][1], facts["image_size"]
    background = ImageColor.getrgb(facts["background"])[:3]
    image: Image.Image = Image.open(path)
    height, width = reduced(image.height, image.width, facts)
    image.draft(None, (width, height))  # a large JPEG is decoded at a fraction of its size
    if image.getexif().get(ORIENTATION, 1) in SIDEWAYS:
        height, width = width, height
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits per pixel
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) * 255 // 65535).astype(np.uint8))
    pixels = np.array(image.convert("L" if channels == 1 else "RGB")).reshape(image.height, image.width, channels)
    whole = resized(torch.from_numpy(pixels).permute(2, 0, 1), height, width)
    if (height, width) == (side, side) and (facts["fit"] != "crop" or facts["resize"] == side):
        return whole
    if facts["fit"] == "squash":
        return resized(whole, side, side)
    if facts["fit"] == "pad":
        longer = max(height, width)
        small = resized(whole, max(1, round(height * side / longer)), max(1, round(width * side / longer)))
        red, green, blue = background
        fill = background if channels == 3 else [round(0.299 * red + 0.587 * green + 0.114 * blue)]
        square = torch.tensor(fill, dtype=torch.uint8)[:, None, None].repeat(1, side, side)
        top, left = (side - small.shape[1]) // 2, (side - small.shape[2]) // 2
        square[:, top : top + small.shape[1], left : left + small.shape[2]] = small
        return square
    shorter = min(height, width)
    if max(height, width) > ELONGATED * shorter:
        whole = centre(whole, min(height, ELONGATED * shorter), min(width, ELONGATED * shorter))
        height, width = whole.shape[1:]
    small = resized(whole, int(facts["resize"] * height / shorter), int(facts["resize"] * width / shorter))
    return centre(small, side, side)


def reduced(height: int, width: int, facts: dict[str, Any]) -> tuple[int, int]:
    """The height and width at which a picture is read: its own unless it is much larger than needed."""
    largest = facts["largest"]
    if largest is None:
        return height, width
    if facts["fit"] == "squash":
        return min(height, largest), min(width, largest)
    side = max(height, width) if facts["fit"] == "pad" else min(height, width)
    if side <= largest:
        return height, width
    return max(1, round(height * largest / side)), max(1, round(width * largest / side))


def centre(image: Tensor, height: int, width: int) -> Tensor:
    """The centre of an image."""
    top, left = round((image.shape[1] - height) / 2), round((image.shape[2] - width) / 2)
    return image[:, top : top + height, left : left + width]


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """An image at another size. uint8 [channels, h, w] -> uint8 [channels, height, width]."""
    if image.shape[1:] == (height, width):
        return image
    return F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]


def main(paths: list[str]) -> None:
    """Print the most probable class of every picture, and its probability."""
    from model import load

    facts = json.loads((HERE / "nascli.json").read_text(encoding="utf-8"))
    network = load(HERE / "weights.safetensors")
    images = torch.stack([read_picture(path, facts) for path in paths])
    if facts["input"] == "float":
        images = images / 255
    with torch.inference_mode():
        shares = network(images).softmax(dim=1)
    for path, share, index in zip(paths, *(values.tolist() for values in shares.max(dim=1)), strict=True):
        print(f"{facts['classes'][index]}  {share:.2%}  {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
