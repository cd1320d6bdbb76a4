"""Small data sets on disk for the tests, in the formats that people have them in."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nascli.artifacts.data_info import DataInfo

CPU = torch.device("cpu")


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Random pixels, uint8 [height, width, 3], or [height, width] for one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels if channels == 3 else pixels[:, :, 0]


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def make_folder(
    root: Path, counts: dict[str, int], side: int | tuple[int, int] = 12, suffix: str = ".png", channels: int = 3
) -> Path:
    """`root/class/000.png` and so on, as many as `counts` says; side: or (height, width)."""
    height, width = (side, side) if isinstance(side, int) else side
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            save(root / name / f"{index:03d}{suffix}", noise(1000 * number + index, height, width, channels))
    return root


def known(channels: int = 3, side: int = 8, **more: object) -> DataInfo:
    """Images as a model knows them, for data that are to be seen alike."""
    fields = {"dataset": "folder", "classes": ("a", "b"), "channels": channels, "image_size": side}
    middle = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    return DataInfo(**{**fields, **middle, "train_images": 4, "test_images": 4, "fingerprint": "f", **more})


def read(path: Path, channels: int = 3) -> np.ndarray:
    """The pixels of a file by Pillow alone. uint8 [channels, height, width]."""
    pixels = np.array(Image.open(path).convert("RGB" if channels == 3 else "L"))
    return pixels.transpose(2, 0, 1) if channels == 3 else pixels[None]
