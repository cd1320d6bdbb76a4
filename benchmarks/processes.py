"""How long a step takes in several processes on this machine, and what synchronised batch norms cost.

    OMP_NUM_THREADS=1 torchrun --standalone --nproc-per-node 2 benchmarks/processes.py [--rounds 15] [--only train]

Every round takes a step of everything in RUNS in three ways: by the first process alone, while the others wait; by all
of them; and by all with batch norms that each keeps to itself (`--no-sync-batch-norm`). So all ways meet the same
neighbours on a machine that is not idle. "Seconds" are those until the last process is done, "processor" what all
processes have computed, added up; ratios are taken within a round. What is printed are medians over the rounds but the
first. Processes on CPUs gain only from cores that nobody else uses.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.load import load_artifact  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.config import SearchConfig, TrainConfig  # noqa: E402
from nascli.core.engine.reporter import Silent  # noqa: E402
from nascli.core.engine.search import build_method, open_streams  # noqa: E402
from nascli.core.engine.train import open_training  # noqa: E402
from nascli.core.runtime import Runtime, open_runtime  # noqa: E402
from nascli.data import open_data  # noqa: E402
from nascli.distributed.ranks import ALONE, Ranks  # noqa: E402

DIGITS = {"dataset": "digits", "image_size": 16, "batch_size": 64, "epochs": 10}
RUNS: Mapping[str, Mapping[str, Any]] = {
    "pc-darts": {"method": "pc-darts", **DIGITS, "layers": 5, "channels": 16, "arch_warmup_epochs": 0},
    "parsec, K 8": {"method": "parsec", **DIGITS, "layers": 4, "channels": 8, "samples": 8},
    "train": {**DIGITS, "layers": 8, "channels": 16},
}
"""A search or, without a method, the training of the cell darts-v1; small enough for a second or so."""

Step = Callable[[], object]


class Cost(NamedTuple):
    """Of a step: seconds until all processes are done, and the processor time of all of them."""

    seconds: float
    processor: float


def step_of(given: Mapping[str, Any], runtime: Runtime) -> Step:
    """A step of a search or of a training."""
    if "method" in given:
        config = SearchConfig(**given)
        data = open_data(config, device=runtime.device)
        streams = open_streams(config, data, runtime)
        return partial(build_method(config, data.info, streams, runtime).step, streams)
    training = TrainConfig(**given)
    data = open_data(training, device=runtime.device)
    return open_training(load_artifact("darts-v1"), None, training, data, runtime, Silent())[0].step


def ways_of(given: Mapping[str, Any], ranks: Ranks) -> Mapping[str, Step | None]:
    """A step in every way; None: this process has no part in it."""
    alone = replace(open_runtime(SearchConfig()), ranks=ALONE)
    together = replace(alone, ranks=ranks)
    return {
        "one process": step_of(given, alone) if ranks.first else None,
        f"{ranks.count} processes": step_of(given, together),
        f"{ranks.count} processes, batch norms apart": step_of(given, replace(together, synchronise=False)),
    }


def cost(step: Step | None, ranks: Ranks) -> Cost:
    """Of one step, taken by all processes that have a part in it."""
    dist.barrier()
    began, computed = time.perf_counter(), time.process_time()
    if step is not None:
        step()
    mine = Cost(time.perf_counter() - began, time.process_time() - computed) if step is not None else Cost(0.0, 0.0)
    each = [Cost(*found) for found in ranks.gathered(mine, "times")]
    return Cost(max(one.seconds for one in each), sum(one.processor for one in each))


def main() -> None:
    """Print a line for every way of every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="steps of each")
    parser.add_argument("--only", default="", help="only what has this in its name")
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    torch.manual_seed(0)
    if ranks.first:
        print(f"{machine()}; OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}; {arguments.rounds} rounds")
    for name, given in RUNS.items():
        if arguments.only not in name:
            continue
        ways = ways_of(given, ranks)
        rounds = [{way: cost(step, ranks) for way, step in ways.items()} for _ in range(arguments.rounds)][1:]
        for way in ways if ranks.first else ():
            faster = [found["one process"].seconds / found[way].seconds for found in rounds]
            work = [found[way].processor / found["one process"].processor for found in rounds]
            print(
                f"{name:14}{way:34}{statistics.median(found[way].seconds for found in rounds):7.3f} s, "
                f"{statistics.median(faster):.2f} times as fast ({min(faster):.2f} to {max(faster):.2f}); "
                f"processor {statistics.median(found[way].processor for found in rounds):.3f} s, "
                f"{statistics.median(work):.2f} times as much ({min(work):.2f} to {max(work):.2f})",
                flush=True,
            )
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
