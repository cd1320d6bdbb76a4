"""Pictures per second of `nascli predict`, beside a plain torch loop over the same network and pictures.

    python benchmarks/predict.py [--rounds 3] [--json]

It makes its own pictures and models in a temporary folder. The plain loop is torchvision's transforms (resize, centre,
tensor, normalise) in a `DataLoader` without workers, then the same network, softmax and the largest probability. Both
take turns in one process on one thread; seconds are those of the processor. Exits with 1 below 0.8 of the plain loop.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import nascli
from nascli.artifacts.load import LoadedArtifact
from nascli.cli.commands.env import machine

PROMISED = 0.8
BATCH = 64

KINDS = {
    "JPEG 32x32, L 3, C 8": (32, 32, 32, 3, 8, 1024),
    "JPEG 500x375 at 224, L 3, C 8": (500, 375, 224, 3, 8, 128),
}
"""Width, height, side of the network, its layers and channels, and how many pictures."""


class Pictures(Dataset[torch.Tensor]):
    """What a plain script reads."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def make_pictures(root: Path, width: int, height: int, count: int) -> list[Path]:
    """Two classes of smooth pictures with noise, in train/, and all of them in test/."""
    generator = np.random.default_rng(0)
    smooth = np.linspace(0, 180, width)[None, :, None] + np.zeros((height, 1, 3))
    for number in range(count):
        pixels = (smooth + generator.integers(0, 75, smooth.shape)).astype(np.uint8)
        for part in ("train", "test") if number < 2 * BATCH else ("test",):
            path = root / part / "ab"[number % 2] / f"{number:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=90)
    return sorted((root / "test").rglob("*.jpg"))


def plain(model: LoadedArtifact, paths: list[Path], network: torch.nn.Module) -> list[int]:
    """The classes by a plain loop."""
    data = model.value.data
    larger = data.image_size if data.image_size <= 64 else round(data.image_size * 256 / 224)
    steps = [transforms.Resize(larger), transforms.CenterCrop(data.image_size), transforms.ToTensor()]
    loader = DataLoader(Pictures(paths, transforms.Compose([*steps, transforms.Normalize(data.mean, data.std)])), BATCH)
    with torch.inference_mode():
        return [place for batch in loader for place in network(batch).softmax(1).topk(1).indices[:, 0].tolist()]


def ratios(root: Path, kind: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Pictures per second of both, and the median of the rounds' ratios."""
    width, height, side, layers, channels, count = kind
    paths = make_pictures(root, width, height, count)
    options = {"dataset": "folder", "data_dir": root, "image_size": side, "epochs": 1, "batch_size": BATCH}
    stem = "cifar" if side <= 64 else "imagenet"
    config = nascli.TrainConfig(**options, layers=layers, channels=channels, stem=stem, workers=0)
    model = nascli.train("pc-darts-cifar10", config)
    network = nascli.load_network(model)
    predict = nascli.PredictConfig(batch_size=BATCH, workers=0)
    times: dict[str, list[float]] = {"nascli": [], "plain": []}
    for _ in range(rounds + 1):  # the first warms up
        for name, run in (
            ("nascli", lambda: nascli.predict(model, paths, predict)),
            ("plain", lambda: plain(model, paths, network)),
        ):
            began = time.process_time()
            assert len(run()) == count
            times[name].append(time.process_time() - began)
    pairs = list(zip(times["plain"][1:], times["nascli"][1:], strict=True))
    return {
        "nascli": count / statistics.median(times["nascli"][1:]),
        "plain": count / statistics.median(times["plain"][1:]),
        "ratio": statistics.median(theirs / ours for theirs, ours in pairs),
    }


def main() -> None:
    """Print a row per kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = ratios(Path(folder), kind, options.rounds)
    if options.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    else:
        print(machine())
        for name, row in rows.items():
            print(f"{name:32} nascli {row['nascli']:6,.0f}  plain loop {row['plain']:6,.0f}  ratio {row['ratio']:.2f}")
    if min(row["ratio"] for row in rows.values()) < PROMISED:
        sys.exit(1)


if __name__ == "__main__":
    main()
