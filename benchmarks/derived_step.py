"""Processor seconds of a training step (forward and backward) of derived networks, beside the authors' own network.

    python benchmarks/derived_step.py [--rounds 9] [--threads 1]

The cell that PC-DARTS published, at three sizes, float32, with drop-path. The other network is the plain one of the
tests, module by module as in the authors' code: every operation has a ReLU of its own, paths are dropped one by one in
place. It runs in their layout and in channels-last. All take turns in one process; ratios are the medians of those of
each round. For a machine without AVX-512: ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.genotypes import published  # noqa: E402
from nascli.artifacts.genotypes.genotype import CellGenotype  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.core.nn.build import build_network  # noqa: E402
from nascli.core.nn.drop_path import draw_paths  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402
from tests.core.nn.oracle import Literal  # noqa: E402

DROPPED = 0.2
"""The probability of dropping a path."""


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


class DroppingPath(nn.Module):
    """An operation whose output is dropped as in the authors' code."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.operation(x)
        return y.div_(1 - DROPPED).mul_(y.new_empty(len(y), 1, 1, 1).bernoulli_(1 - DROPPED))


def authors_network(genotype: CellGenotype, size: NetworkSettings, weights: dict[str, Tensor]) -> nn.Module:
    """The plain network with these weights."""
    network: nn.Module = Literal(genotype, size)
    network.load_state_dict(weights)
    for cell in network.get_submodule("cells").children():
        for edge in cell.get_submodule("edges").children():
            for name, operation in list(edge.named_children()):
                if not isinstance(operation, nn.Identity):
                    edge.add_module(name, DroppingPath(operation))
    return network


def step_seconds(network: Callable[[Tensor], Tensor], weights: list[nn.Parameter], images: Tensor) -> float:
    """The processor time of one forward and backward pass."""
    for weight in weights:
        weight.grad = None
    labels = torch.arange(len(images)) % 10
    began = time.process_time()
    F.cross_entropy(network(images), labels).backward()
    return time.process_time() - began


def measured(size: NetworkSettings, batch: int, rounds: int) -> dict[str, list[float]]:
    """By network, the seconds of each round."""
    genotype = published.load("pc-darts-cifar10").genotype
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, size.image_channels, size.image_size, size.image_size, generator=generator)
    last = images.contiguous(memory_format=torch.channels_last)
    own = build_network(genotype.graph(size), seed=0)
    theirs = authors_network(genotype, size, own.state_dict())
    theirs_last = authors_network(genotype, size, own.state_dict()).to(memory_format=torch.channels_last)
    own = own.to(memory_format=torch.channels_last)
    paths = draw_paths(own.path_count, batch, DROPPED, generator)
    networks: dict[str, tuple[Callable[[Tensor], Tensor], nn.Module, Tensor]] = {
        "the authors'": (theirs, theirs, images),
        "in channels-last": (theirs_last, theirs_last, last),
        "nascli": (lambda x: own(x, paths), own, last),
    }
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for number in range(rounds + 1):
        for name, (forward, network, x) in networks.items():
            taken = step_seconds(forward, list(network.parameters()), x)
            if number:  # the first round warms up
                seconds[name].append(taken)
    return seconds


def main() -> None:
    """Print a line per size and network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine())
    for title, (size, batch) in CASES.items():
        print(f"{title:46}{'seconds':>9}{'nascli is faster by':>21}")
        seconds = measured(size, batch, options.rounds)
        for name, taken in seconds.items():
            faster = statistics.median(a / b for a, b in zip(taken, seconds["nascli"], strict=True))
            print(f"  {name:44}{statistics.median(taken):9.3f}{faster:21.2f}")


if __name__ == "__main__":
    main()
