"""How much faster are smaller networks? Evaluates `resnet-mb`, the masked super-network and the networks cut from it.

    python benchmarks/slim_speed.py [--width 64] [--depth 4] [--batch 16] [--rounds 5]

Images of 32x32, float32, channels-last, inference. The plain super-network, the masked one and the smaller networks
take turns in one process; shares are medians of the ratios to the plain one within a round. The last lines are the time
of cutting a network (`slim`, without weights) from every published super-network.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from nascli.cli.commands.env import machine
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.memory_format import BEST_MEMORY_FORMAT
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of, supernet

SHARES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)


def kept_of(graph: Graph, mask: np.ndarray) -> dict[str, list[int]]:
    """The kept input channels of every masked convolution."""
    return {name: np.flatnonzero(mask[e.start : e.stop]).tolist() for name, e in graph.mask_ranges.items()}


def seconds(function: Callable[[], object]) -> float:
    """The time of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def network_of(graph: Graph) -> GraphNetwork:
    """The graph's network, for inference."""
    return GraphNetwork(graph).eval().to(memory_format=BEST_MEMORY_FORMAT)


def cutting(name: str) -> float:
    """Milliseconds of cutting a network with seven tenths kept from a published super-network; median of nine."""
    row = SUPERNETS[name]
    graph = supernet(name, row.width, stages_of(name), classes=10, image_channels=3, image_size=8 * row.stride)
    kept = kept_of(graph, np.random.default_rng(0).random(graph.mask_size) < 0.7)
    return 1000 * statistics.median(seconds(lambda: slim(graph, kept).graph.parameters) for _ in range(9))


def main() -> None:
    """Print a line per kept share, and one per super-network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    stages = stages_of("resnet-mb", options.depth)
    graph = supernet("resnet-mb", options.width, stages, classes=10, image_channels=3, image_size=32)
    whole = network_of(graph)
    images = torch.randn(options.batch, 3, 32, 32).contiguous(memory_format=BEST_MEMORY_FORMAT)
    masks, networks = {}, {}
    for share in SHARES:
        mask = np.random.default_rng(0).random(graph.mask_size) < share
        masks[share] = torch.from_numpy(mask[None].astype(np.float32))
        networks[share] = network_of(slim(graph, kept_of(graph, mask)).graph)
    print(f"{machine()}; {options}")
    rounds: list[dict[float, tuple[float, float]]] = []
    with torch.inference_mode():
        for _ in range(options.rounds + 1):
            times = {}
            for share, network in networks.items():
                plain = seconds(lambda: whole(images))
                masked = seconds(lambda share=share: whole(images, masks=masks[share]))
                times[share] = masked / plain, seconds(lambda network=network: network(images)) / plain
            rounds.append(times)
    for share, network in networks.items():
        # The first round warms up.
        masked, left = (statistics.median(times[share][which] for times in rounds[1:]) for which in (0, 1))
        parameters = network.graph.parameters / graph.parameters
        work = network.graph.multiply_adds / graph.multiply_adds
        print(
            f"kept {share:4.0%}: parameters {parameters:4.0%}, multiply-adds {work:4.0%}, "
            f"time {left:4.0%} (masked super-network {masked:4.0%})"
        )
    for name in SUPERNETS:
        print(f"cutting {name}: {cutting(name):.1f} ms")


if __name__ == "__main__":
    main()
