"""How far the gradients of float32 are from those of float64, with torch's own batch norms and with nascli's.

    python benchmarks/precision.py [--data-dir FOLDER] [--batch-size 128] [--image-size 32]

One pass of the cell that PC-DARTS published (L 3, C 8) over one batch, in training mode, with the same weights; the
digits without a folder of images. Printed is the length of the difference from the gradient in float64, as a share of
that gradient's length, and the worst relative error of a variance that the first batch norm takes.
"""

import argparse
import copy
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.genotypes import published  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.config import TrainConfig  # noqa: E402
from nascli.core.nn.build import build_network  # noqa: E402
from nascli.core.nn.folded_norm import BatchNorm2d  # noqa: E402
from nascli.core.nn.moments import own_moments  # noqa: E402
from nascli.data import open_data  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402

CPU = torch.device("cpu")


def batch(data_dir: Path | None, size: int, side: int) -> tuple[Tensor, Tensor, int]:
    """Normalised images, their labels and the number of classes."""
    config = TrainConfig(dataset="folder" if data_dir else "digits", data_dir=data_dir, image_size=side)
    data = open_data(config, device=CPU)
    images, labels = next(iter(data.batches(None, size)))
    return images.contiguous(memory_format=torch.channels_last), labels, len(data.info.classes)


def torchs_own(network: nn.Module) -> nn.Module:
    """The same network, whose batch norms run as torch runs them."""
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.__class__ = nn.BatchNorm2d
    return network


def gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Of the loss to all weights, as one vector of float64."""
    network = network.train().to(images.dtype)
    answer = network(images)
    F.cross_entropy(answer[0] if isinstance(answer, tuple) else answer, labels).backward()
    parts = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
    return torch.cat(parts).double()


def main() -> None:
    """Print both errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    given = parser.parse_args()
    images, labels, classes = batch(given.data_dir, given.batch_size, given.image_size)
    settings = NetworkSettings(
        layers=3, channels=8, stem="cifar", classes=classes, image_channels=images.shape[1], image_size=images.shape[2]
    )
    network = build_network(published.load("pc-darts-cifar10").genotype.graph(settings), seed=0)
    network = network.to(memory_format=torch.channels_last)
    exact = gradient(copy.deepcopy(network), images.double(), labels)
    print(machine())
    print(f"{len(images)} images of {given.image_size}x{given.image_size}, gradient of {len(exact):,} weights")
    for name, form in (("torch's batch norms", torchs_own), ("nascli's", lambda same: same)):
        found = gradient(form(copy.deepcopy(network)), images, labels)
        print(f"{name:20s} gradient {(found - exact).norm() / exact.norm():.1e} from that of float64")
    with torch.no_grad():
        maps = next(part for part in network.modules() if isinstance(part, nn.Conv2d))(images)
    variance = maps.double().var((0, 2, 3), correction=0)
    for name, found in (
        ("torch's", torch.batch_norm_update_stats(maps, None, None, 0.0)[1]),
        ("ours", own_moments(maps)[1]),
    ):
        print(f"{name:20s} worst variance {((found - variance).abs() / variance).max():.1e} from that of float64")


if __name__ == "__main__":
    main()
