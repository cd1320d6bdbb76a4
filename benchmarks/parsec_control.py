"""Does PARSEC's distribution move because of the data?

    python benchmarks/parsec_control.py [--seeds 0 1] [--epochs N]

The entropy falls in any case: children that get the weight become likelier to be drawn again. Therefore the default
search on digits is run a second time, with the likelihoods of each step's children shuffled among them. Only the data
can make the seeds agree, and the mode better. Prints for each run the entropy at the start and the end and the accuracy
of the mode on the search part; then how far the probabilities of two seeds agree (correlation over all choices) and
which share of picks their modes have in common.
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.config import SearchConfig  # noqa: E402
from nascli.core.engine.search import build_method, open_streams  # noqa: E402
from nascli.core.runtime import fitting_threads, open_runtime  # noqa: E402
from nascli.data import open_data  # noqa: E402


def run(seed: int, shuffled: bool, epochs: int | None) -> tuple[CategoricalDistribution, dict[str, float]]:
    """The final distribution, and the final metrics with the entropy at the start."""
    config = SearchConfig(method="parsec", seed=seed, epochs=epochs)
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = open_streams(config, data, runtime)
    method = build_method(config, data.info, streams, runtime)
    if shuffled:
        plain = method._log_likelihood
        deal = torch.Generator().manual_seed(seed)

        def shuffled_weights(*arguments: Any) -> torch.Tensor:
            likelihood = plain(*arguments)
            return likelihood[torch.randperm(len(likelihood), generator=deal)]

        method._log_likelihood = shuffled_weights
    start = method.health(streams)["entropy"]
    with fitting_threads(runtime, config.batch_size * data.info.image_size**2):
        for _ in range(config.epochs * streams["train"].batches_per_pass):
            method.step(streams)
        health = method.health(streams)
    return method.distribution(), {**health, "start": start}


def probabilities(distribution: CategoricalDistribution) -> np.ndarray:
    """The probabilities of both draws of a node together, since they may swap; all nodes' choices in one row."""
    return np.concatenate(
        [draws.mean(axis=0) for cell in distribution.space.cells for draws in distribution.probabilities(cell)]
    )


def shared_picks(first: CategoricalDistribution, second: CategoricalDistribution) -> float:
    """The share of the picks, node by node, that two modes have in common."""
    shared = total = 0
    for mine, theirs in zip(first.mode().cells.values(), second.mode().cells.values(), strict=True):
        for a, b in zip(mine.nodes, theirs.nodes, strict=True):
            rest = list(b)
            for pick in a:
                total += 1
                if pick in rest:
                    rest.remove(pick)
                    shared += 1
    return shared / total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    for shuffled in (False, True):
        print("shuffled likelihoods" if shuffled else "likelihoods of the data")
        found = []
        for seed in arguments.seeds:
            distribution, health = run(seed, shuffled, arguments.epochs)
            found.append(distribution)
            print(
                f"  seed {seed}: entropy {health['start']:.2f} -> {health['entropy']:.2f}, "
                f"mode accuracy {health['mode_accuracy']:.1%}, skips {health['skip_share']:.0%}",
                flush=True,
            )
        for first, second in itertools.combinations(range(len(found)), 2):
            pair = found[first], found[second]
            together = np.corrcoef(*map(probabilities, pair))[0, 1]
            seeds = f"{arguments.seeds[first]} and {arguments.seeds[second]}"
            print(f"  seeds {seeds}: correlation {together:.2f}, picks shared by the modes {shared_picks(*pair):.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
