"""The share of a search epoch that is spent in the network instead of making batches, on device-resident images.

    python benchmarks/epoch_share.py

Random images of CIFAR-10's shape, the paper's search network (C 16, L 8, K 4), batch 64, with the real streams and the
real method. Exits with 1 below 90 %.
"""

import sys
import time

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.cli.commands.env import machine
from nascli.config import SearchConfig
from nascli.core.methods.pc_darts import PcDarts
from nascli.core.methods.protocol import Plan
from nascli.core.runtime import Runtime
from nascli.data.augmentation import Augmentation, Normalization
from nascli.data.resident import ResidentFeed
from nascli.data.stream import Stream

IMAGES, BATCH, STEPS = 1024, 64, 4
PROMISED = 0.90


class Timed:
    """A stream that measures how long its batches take."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.position = 0
        self.seconds = 0.0

    def next(self) -> tuple[Tensor, Tensor]:
        began = time.perf_counter()
        batch = self._stream.next()
        self.seconds += time.perf_counter() - began
        return batch


def main() -> int:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = DataInfo(
        dataset="cifar10",
        classes=tuple("0123456789"),
        channels=3,
        image_size=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        train_images=IMAGES,
        test_images=0,
        fingerprint="",
    )
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=draw).to(device)
    labels = torch.randint(10, (IMAGES,), generator=draw).to(device)
    halves = np.arange(IMAGES).reshape(2, -1)
    runtime = Runtime(device)
    streams = {
        name: Timed(
            Stream(
                ResidentFeed(pixels, labels),
                half,
                BATCH,
                seed=0,
                name=name,
                augmentation=Augmentation.for_dataset(data),
                normalize=Normalization(data.mean, data.std, device),
                memory_format=runtime.memory_format,
            )
        )
        for name, half in zip(("train", "search"), halves, strict=True)
    }
    config = SearchConfig(dataset="cifar10", arch_warmup_epochs=0)
    method = PcDarts(Plan("pc-darts", config.space, data, 50, IMAGES // 2 // BATCH, 0), runtime, config.settings)
    method.step(streams)
    for stream in streams.values():
        stream.seconds = 0.0
    began = time.perf_counter()
    for _ in range(STEPS):
        metrics = method.step(streams)
    float(metrics["train_loss"])
    whole = time.perf_counter() - began
    share = 1 - sum(stream.seconds for stream in streams.values()) / whole
    print(machine())
    print(f"{STEPS} search steps: {whole:.2f} s, of which {share:.2%} in the network (promised: {PROMISED:.0%})")
    return 0 if share >= PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
