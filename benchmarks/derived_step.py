"""Seconds of a training step (forward and backward) of derived networks, by memory format.

    python benchmarks/derived_step.py [--device cpu] [--rounds 5]

The PC-DARTS cell at three sizes, float32, with drop-path. Both formats take turns in one process; medians are printed.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F

from nascli.artifacts.genotypes import published
from nascli.cli.commands.env import machine
from nascli.core.nn.build import build_network
from nascli.core.nn.drop_path import draw_paths
from nascli.core.nn.graph_network import GraphNetwork
from nascli.spaces.network_settings import NetworkSettings

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def settings(layers: int, channels: int, image_channels: int, image_size: int) -> NetworkSettings:
    """A CIFAR-like network of that size with ten classes."""
    return NetworkSettings(
        layers=layers,
        channels=channels,
        stem="cifar",
        classes=10,
        image_channels=image_channels,
        image_size=image_size,
    )


CASES = {
    "digits recipe: L 5, C 16, 8x8, batch 64": (settings(5, 16, 1, 8), 64),
    "small CIFAR: L 8, C 16, 32x32, batch 64": (settings(8, 16, 3, 32), 64),
    "paper's CIFAR: L 20, C 36, 32x32, batch 16": (settings(20, 36, 3, 32), 16),
}


def step_seconds(network: GraphNetwork, images: torch.Tensor, labels: torch.Tensor, paths: torch.Tensor) -> float:
    """The time of one forward and backward pass."""
    network.zero_grad(set_to_none=True)
    began = time.perf_counter()
    F.cross_entropy(network(images, paths), labels).backward()
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    genotype = published.load("pc-darts-cifar10").genotype
    print(f"{options.device}; {machine()}")
    for title, (size, batch) in CASES.items():
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(batch, size.image_channels, size.image_size, size.image_size, generator=generator)
        labels = torch.randint(size.classes, (batch,), generator=generator).to(options.device)
        seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
        networks = {
            name: build_network(genotype.graph(size), seed=0).to(options.device, memory_format=memory_format)
            for name, memory_format in FORMATS.items()
        }
        for _ in range(options.rounds + 1):
            paths = draw_paths(networks["contiguous"].path_count, batch, 0.2, generator, options.device)
            for name, memory_format in FORMATS.items():
                placed = images.to(options.device, memory_format=memory_format)
                seconds[name].append(step_seconds(networks[name], placed, labels, paths))
        # The first round warms up.
        medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
        shown = ", ".join(f"{name} {median:.3f} s" for name, median in medians.items())
        print(f"{title}: {shown}, ratio {medians['contiguous'] / medians['channels_last']:.2f}")


if __name__ == "__main__":
    main()
