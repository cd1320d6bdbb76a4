"""Candidates ranked per second: `nascli derive` on a posterior, compared with one candidate at a time.

    python benchmarks/ranking.py [--rounds 5] [--device cpu] [--kept 0.7]

"One at a time" is the super-network in evaluation mode under one mask after the other, in batches of 256, with the
threads that the engine's rule gives such steps, as in `nascli eval`. "Masked" and "cut out" are the two ways of
`derive`, which chooses one by the size of the work. In every round each way scores the same candidates once, in turn;
the median of the ratios within a round is printed. The weights are random, since only speed is measured.

"% busy": the rate of multiply-adds of the whole super-network, as a share of a large matrix product's rate on all
cores. If one candidate keeps the cores busy, stacking candidates has little left to gain.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch

from nascli.cli.commands.env import machine
from nascli.config import DeriveConfig
from nascli.core.engine.ranking import score_channels
from nascli.core.engine.ranking.score_channels import ChannelScorer
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.runtime import Runtime, fitting_threads
from nascli.supernets import supernet

CASES = {
    # width, blocks, channels and side of the images, held-out images, candidates a round
    "digits recipe: width 16, 8x8, 144 images": (16, (1, 1, 1), 1, 8, 144, 64),
    "few digits: width 16, 8x8, 16 images": (16, (1, 1, 1), 1, 8, 16, 128),
    "small CIFAR: width 16, 32x32, 256 images": (16, (1, 1, 1), 3, 32, 256, 8),
    "CIFAR: width 96, 32x32, 64 images": (96, (1, 1, 1), 3, 32, 64, 2),
}
PLAIN_BATCH = 256
MATRIX = 2048
"""Side of the matrices whose product measures the rate of the cores."""

RULE = score_channels.WORTH_CUTTING


class Images:
    """Random images that stand for a data set's."""

    def __init__(self, channels: int, side: int, count: int, device: torch.device) -> None:
        self.info = SimpleNamespace(image_size=side)
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(count, channels, side, side, generator=generator)
        self.images = images.to(device, memory_format=torch.channels_last)
        self.labels = torch.randint(10, (count,), generator=generator).to(device)

    def batches(self, indices: np.ndarray, size: int, memory_format: torch.memory_format):  # noqa: ANN201
        """All images, in batches."""
        return zip(self.images.split(size), self.labels.split(size), strict=True)


def one_at_a_time(network: GraphNetwork, images: Images, masks: np.ndarray, runtime: Runtime) -> None:
    """The accuracy of every candidate, without any of `derive`'s optimisations."""
    rows = torch.from_numpy(masks).to(runtime.device)
    pixels = min(PLAIN_BATCH, len(images.images)) * images.info.image_size**2
    with fitting_threads(runtime, pixels), torch.inference_mode():
        for row in rows:
            right = 0
            for batch, labels in images.batches(np.arange(len(images.images)), PLAIN_BATCH, torch.channels_last):
                right += int((network(batch, masks=row[None]).argmax(dim=1) == labels).sum())


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """The time of one call."""
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def best_rate(device: torch.device) -> float:
    """Multiply-adds per second of a large matrix product in float32, on all cores."""
    matrix = torch.randn(MATRIX, MATRIX, device=device)
    return MATRIX**3 / seconds(lambda: matrix @ matrix, device)


def main() -> None:
    """Print a line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kept", type=float, default=0.7)
    options = parser.parse_args()
    runtime = Runtime(torch.device(options.device))
    print(f"{options.device}; {machine()}")
    for title, (width, stages, channels, side, count, candidates) in CASES.items():
        graph = supernet("resnet-mb", width, stages, classes=10, image_channels=channels, image_size=side)
        network = runtime.place(GraphNetwork(graph).eval())
        weights = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
        images = Images(channels, side, count, runtime.device)
        posterior = SimpleNamespace(graph=graph, weights=weights)
        scorer = ChannelScorer(posterior, images, DeriveConfig(method="pgnas"), runtime, "the benchmark")
        masks = np.random.default_rng(0).random((candidates, graph.mask_size)) < options.kept
        indices = np.arange(count)
        score_channels.WORTH_CUTTING = RULE
        chosen = "cut out" if scorer.cuts(count) else "masked"

        def scored(
            threshold: float,
            scorer: ChannelScorer = scorer,
            masks: np.ndarray = masks,
            indices: np.ndarray = indices,
        ) -> None:
            score_channels.WORTH_CUTTING = threshold
            size = scorer.per_pass(len(indices))
            for start in range(0, len(masks), size):
                scorer.scores(list(masks[start : start + size]), indices)

        ways: dict[str, Callable[[], None]] = {
            "one at a time": lambda: one_at_a_time(network, images, masks, runtime),  # noqa: B023
            "masked": lambda: scored(float("inf")),
        }
        if runtime.device.type == "cpu":
            ways["cut out"] = lambda: scored(0.0)
        times: dict[str, list[float]] = {name: [] for name in ways}
        rates = []
        for attempt in range(options.rounds + 1):
            rates += [best_rate(runtime.device)] if attempt else []
            for name, way in ways.items():
                took = seconds(way, runtime.device)
                if attempt:  # the first round warms up
                    times[name].append(took)
        plain = times["one at a time"]
        parts = []
        for name, own in times.items():
            ratio = statistics.median(before / now for before, now in zip(plain, own, strict=True))
            work = graph.multiply_adds * count * candidates
            busy = statistics.median(work / now / rate for now, rate in zip(own, rates, strict=True))
            mark = "*" if name == chosen else ""
            share = "" if name == "cut out" else f", {busy:.0%} busy"  # whose networks have fewer multiply-adds
            parts.append(f"{name}{mark} {candidates / statistics.median(own):.1f}/s ({ratio:.2f}x{share})")
        print(f"{title}: {', '.join(parts)}", flush=True)
    print("* what derive chooses")


if __name__ == "__main__":
    main()
