"""Images per second that a stream of large pictures gives, beside torchvision's `ImageFolder` and usual transforms.

    python benchmarks/pictures.py [--workers 2] [--batch 32] [--epochs 3] [--json]

It makes its own pictures in a temporary folder: JPEG of 4000x3000, JPEG and PNG of 500x375, each as large a file as a
photograph of that size. Both read windows of 8 to 100 % of the area at 224 pixels, mirror, and normalise, with the same
number of worker processes. The first epoch of nascli includes opening the folder and decoding all pictures once. With
`--workers 0` seconds are those of the processor in the one process that there is, otherwise of the clock. Exits with 1
if nascli is not 3 times as fast from the second epoch on.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from nascli.cli.commands.env import machine
from nascli.config import SearchConfig
from nascli.core.memory_guard import available_memory
from nascli.data import Augmentation, Room, open_data

SIDE = 224
PROMISED = 3.0

KINDS = {
    "JPEG 4000x3000": (4000, 3000, ".jpg", 64),
    "JPEG 500x375": (500, 375, ".jpg", 512),
    "PNG 500x375": (500, 375, ".png", 512),
}
"""Width, height, format, and how many training images."""

NOISE = 24
"""Shades of noise that make a JPEG of quality 90 as large as a photograph's: about 100 kB at 500x375, 5 MB at 12 MP."""


def make_pictures(root: Path, width: int, height: int, suffix: str, count: int) -> int:
    """Two classes of `count` pictures in train/ and one each in test/. Returns the mean size of a file in bytes."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = (smooth.astype(np.int16) + generator.integers(-NOISE, NOISE + 1, smooth.shape)).clip(0, 255)
    sizes = []
    for number in range(count + 2):
        part = "train" if number < count else "test"
        path = root / part / "ab"[number % 2] / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shift = generator.integers(0, (height, width)).tolist()
        Image.fromarray(np.roll(noisy, shift, (0, 1)).astype(np.uint8)).save(path, quality=90)
        sizes.append(path.stat().st_size)
    return round(statistics.mean(sizes))


@contextmanager
def nascli_epochs(root: Path, batch: int, workers: int, cache: str) -> Iterator[Callable[[], int]]:
    """A function that reads an epoch and returns how many images it had."""
    config = SearchConfig(dataset="folder", data_dir=root, image_size=SIDE, workers=workers, cache=cache)
    data = open_data(config, device=torch.device("cpu"))
    augmentation = Augmentation(flip=True, resized_crop=True)
    indices = np.arange(len(data.train_labels))
    layout = torch.channels_last
    stream = data.stream(indices, batch, seed=0, name="train", augmentation=augmentation, memory_format=layout)

    def epoch() -> int:
        return sum(len(stream.next()[1]) for _ in range(stream.batches_per_pass))

    with data.kept(Room(config.cache, None, available_memory()), lambda text: None):
        yield epoch


@contextmanager
def torchvision_epochs(root: Path, batch: int, workers: int) -> Iterator[Callable[[], int]]:
    """The same with torchvision."""
    steps = [
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    folder = ImageFolder(str(root / "train"), transforms.Compose(steps))
    loader = DataLoader(
        folder, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    yield lambda: sum(len(labels) for _, labels in loader)


def rates(opened: Callable[[], object], epochs: int, workers: int) -> tuple[float, float]:
    """Images per second in the first epoch, and the median of the later ones."""
    clock = time.perf_counter if workers else time.process_time
    began = clock()
    found = []
    with opened() as epoch:  # type: ignore[attr-defined]
        for _ in range(1 + epochs):
            images = epoch()
            found.append(images / (clock() - began))
            began = clock()
    return found[0], statistics.median(found[1:])


def main() -> None:
    """Print a row per kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3, help="epochs after the first")
    parser.add_argument("--cache", default="ram", choices=["ram", "disk", "none"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind, (width, height, suffix, count) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            size = make_pictures(root, width, height, suffix, count)
            ours = rates(
                lambda root=root: nascli_epochs(root, options.batch, options.workers, options.cache),
                options.epochs,
                options.workers,
            )
            theirs = rates(
                lambda root=root: torchvision_epochs(root, options.batch, options.workers),
                options.epochs,
                options.workers,
            )
        names = ("nascli_first", "nascli_later", "torchvision_first", "torchvision_later")
        figures = dict(zip(names, (*ours, *theirs), strict=True))
        rows.append({"pictures": kind, "file_bytes": size, **figures, "times": ours[1] / theirs[1]})
    if options.json:
        setting = {"machine": machine(), "workers": options.workers, "cache": options.cache}
        print(json.dumps({**setting, "rows": rows}, indent=1))
    else:
        print(f"{machine()}; {options.workers} workers")
        print("images per second  kB a file  nascli: first    later  torchvision: first    later   times")
        for row in rows:
            print(
                f"{row['pictures']:17}  {row['file_bytes'] / 1e3:9,.0f}  {row['nascli_first']:13,.0f}  "
                f"{row['nascli_later']:7,.0f}  {row['torchvision_first']:18,.0f}  {row['torchvision_later']:7,.0f}  "
                f"{row['times']:6.1f}"
            )
    if options.cache != "none" and min(row["times"] for row in rows) < PROMISED:
        sys.exit(1)


if __name__ == "__main__":
    main()
