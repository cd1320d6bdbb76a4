"""One forward and backward pass of the CIFAR search network, compared with the plain per-edge one of the tests.

    python benchmarks/search_step.py [--pairs 5] [--threads N]

Times are paired: in each round every network makes one pass on the same batch, and ratios are taken within the round.
Other load of the machine does not affect all alike, so ratios of several threads come from an idle one; those of one
thread are of processor time. Memory is the most that autograd keeps for the backward pass at any
time, without parameters, each storage counted once. Exits with 1 if a promised figure is missed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.cli.commands.env import machine  # noqa: E402
from nascli.core.memory import MemoryMeter  # noqa: E402
from nascli.core.nn.mixed_network import MixedNetwork  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402
from tests.core.nn.oracle import Oracle  # noqa: E402

BATCH, SIDE, CLASSES = 64, 32, 10
SPACE, PARTIAL_CHANNELS = cell_space("darts"), 4
SIZES = {"layers": 8, "channels": 16, "stem": "cifar", "classes": CLASSES, "image_channels": 3}
SLOWEST_RATIO = 1.9
"""Promised: times faster than per edge, on an idle machine with AVX2 alone; with AVX-512 it is more."""

MOST_KEPT, MOST_KEPT_RECOMPUTING = 905, 212
"""Promised: MiB kept for backward; MiB with recompute=True."""


class Step:
    """Forward and backward from a batch to the gradients of weights, alpha and beta."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.images = torch.randn(BATCH, 3, SIDE, SIDE, generator=draw)
        self.labels = torch.randint(CLASSES, (BATCH,), generator=draw)
        edges, operations = len(SPACE.edges()), len(SPACE.operations)
        self.alpha, self.beta = (
            {cell: (1e-3 * torch.randn(shape, generator=draw)).requires_grad_() for cell in ("normal", "reduce")}
            for shape in ((edges, operations), (edges,))
        )

    def loss(self, network: torch.nn.Module) -> torch.Tensor:
        operations = {cell: alpha.softmax(dim=1) for cell, alpha in self.alpha.items()}
        edges = {
            cell: torch.cat([part.softmax(dim=0) for part in beta.split((2, 3, 4, 5))])
            for cell, beta in self.beta.items()
        }
        return F.cross_entropy(network(self.images, operations, edges), self.labels)

    def seconds(self, network: torch.nn.Module) -> float:
        network.zero_grad()
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        start = clock()
        self.loss(network).backward()
        return clock() - start

    def kept(self, network: torch.nn.Module) -> float:
        """The most MiB that autograd holds at once in a forward and a backward pass."""
        with MemoryMeter(ignore=network.parameters()) as meter:
            self.loss(network).backward()
        return meter.peak / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which every network makes one pass")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0: its own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    torch.manual_seed(0)
    settings = NetworkSettings(**SIZES, image_size=SIDE)
    fused, recomputing = (
        MixedNetwork(SPACE, settings, partial_channels=PARTIAL_CHANNELS, recompute=recompute)
        for recompute in (False, True)
    )
    recomputing.load_state_dict(fused.state_dict())
    oracle = Oracle(**SIZES, operations=SPACE.operations, nodes=SPACE.nodes, partial_channels=PARTIAL_CHANNELS)
    oracle.copy_from(fused)
    networks = {"per edge": oracle, "fused": fused, "fused, recompute": recomputing}

    step = Step()
    kept = {name: step.kept(network) for name, network in networks.items()}
    for network in networks.values():
        step.seconds(network)
    rounds = [{name: step.seconds(network) for name, network in networks.items()} for _ in range(arguments.pairs)]

    print(f"C 16, L 8, K 4, batch {BATCH}, float32; {machine()}")
    print(f"{'':18}{'seconds':>9}{'times faster':>14}{'MiB kept':>10}")
    faster = {}
    for name in networks:
        seconds = statistics.median(r[name] for r in rounds)
        faster[name] = statistics.median(r["per edge"] / r[name] for r in rounds)
        print(f"{name:18}{seconds:9.2f}{faster[name]:14.2f}{kept[name]:10.0f}")

    missed = [
        text
        for text, holds in (
            (f"fused at least {SLOWEST_RATIO} times faster", faster["fused"] >= SLOWEST_RATIO),
            (f"fused keeps at most {MOST_KEPT} MiB", kept["fused"] <= MOST_KEPT),
            (f"recompute keeps at most {MOST_KEPT_RECOMPUTING} MiB", kept["fused, recompute"] <= MOST_KEPT_RECOMPUTING),
        )
        if not holds
    ]
    print(f"missed: {'; '.join(missed)}" if missed else "all promised figures are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
