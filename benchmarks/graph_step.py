"""Seconds of a training step of a graph's network, with and without concrete dropout, and of a handwritten network.

    python benchmarks/graph_step.py [--device cpu] [--rounds 15]

`resnet-mb` in three sizes, float32, channels-last, forward and backward. Both networks have the same weights, which a
comparison of their logits checks; they take turns in one process, and the median of the ratios is printed. "Dropout" is
the graph's network as PGNAS trains it: relaxed masks for every image, and the penalty. On a CPU the time is processor
time on one thread, which other programs disturb less.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.cli.commands.env import machine
from nascli.core.nn.concrete_dropout import ConcreteDropout, squared_norms
from nascli.core.nn.graph_network import GraphNetwork
from nascli.supernets import supernet

CASES = {
    "digits-sized: width 16, 1 block per stage, 8x8, batch 64": (16, (1, 1, 1), 8, 64),
    "width 32, 2 blocks per stage, 32x32, batch 32": (32, (2, 2, 2), 32, 32),
    "width 96, 1 block per stage, 32x32, batch 16": (96, (1, 1, 1), 32, 16),
}


class Skip(nn.Module):
    """Two 1x1 convolutions on the maps and on the maps shifted by a pixel, every `stride`-th of them; batch norm."""

    def __init__(self, read: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv0 = nn.Conv2d(read, channels // 2, 1, bias=False)
        self.conv1 = nn.Conv2d(read, channels - channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        step = self.stride
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1::step, 1::step]
        return self.norm(torch.cat((self.conv0(x[:, :, ::step, ::step]), self.conv1(shifted)), dim=1))


class Block(nn.Module):
    """A block of resnet-mb, written by hand."""

    def __init__(self, read: int, channels: int, stride: int) -> None:
        super().__init__()
        self.skip = Skip(read, channels, stride) if stride > 1 or read != channels else None
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(read, channels, 3, stride, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
                nn.BatchNorm2d(channels),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        rectified = F.relu(x)
        total = x if self.skip is None else self.skip(rectified)
        for branch in self.branches:
            total = total + branch(rectified)
        return total


class ByHand(nn.Module):
    """resnet-mb without a graph. Its parameters come in the same order as the graph's."""

    def __init__(self, width: int, stages: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        blocks: list[nn.Module] = []
        read = 16
        for stage, count in enumerate(stages):
            for block in range(count):
                channels, stride = width * 2**stage, 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(read, channels, stride))
                read = channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(read, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(F.relu(self.blocks(self.stem(images))).mean(dim=(2, 3)))


class Dropout(nn.Module):
    """A graph's network and the probabilities of its channels."""

    def __init__(self, network: GraphNetwork, device: str) -> None:
        super().__init__()
        sizes = [group.size for group in network.graph.groups]
        self.network, self.dropout = network, ConcreteDropout(sizes, temperature=0.2, probability=0.1)
        self._generator = torch.Generator(device)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of a step of PGNAS."""
        logits = self.network(images, masks=self.dropout.relaxed(len(images), self._generator))
        penalty = self.dropout.penalty(squared_norms(self.network), weight_prior=50.0, images=5e5)
        return F.cross_entropy(logits, labels) + penalty


def step_seconds(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The time of one forward and backward pass."""
    clock = time.perf_counter if images.is_cuda else time.process_time
    network.zero_grad(set_to_none=True)
    began = clock()
    loss = network.loss(images, labels) if isinstance(network, Dropout) else F.cross_entropy(network(images), labels)
    loss.backward()
    if images.is_cuda:
        torch.cuda.synchronize()
    return clock() - began


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.device}; {machine()}")
    for title, (width, stages, side, batch) in CASES.items():
        graph = supernet("resnet-mb", width, stages, classes=10, image_channels=3, image_size=side)
        ours, theirs = GraphNetwork(graph), ByHand(width, stages)
        # Weights and batch-norm statistics have the order of the layers in both networks.
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(batch, 3, side, side, generator=generator)
        labels = torch.randint(10, (batch,), generator=generator).to(options.device)
        ours, theirs = (net.to(options.device, memory_format=torch.channels_last) for net in (ours, theirs))
        images = images.to(options.device, memory_format=torch.channels_last)
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
        networks = (theirs, ours, Dropout(ours, options.device).to(options.device))
        # The first round warms up.
        rounds = [[step_seconds(net, images, labels) for net in networks] for _ in range(options.rounds + 1)][1:]
        hand, graph_alone, dropout = (statistics.median(times) for times in zip(*rounds, strict=True))
        of_hand = statistics.median(one / by_hand for by_hand, one, _ in rounds)
        of_graph = statistics.median(one / alone for _, alone, one in rounds)
        print(
            f"{title}: by hand {hand:.4f} s; graph {graph_alone:.4f} s, {of_hand:.3f} of that; "
            f"with dropout {dropout:.4f} s, {of_graph:.3f} of that",
            flush=True,
        )


if __name__ == "__main__":
    main()
