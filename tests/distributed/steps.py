"""The first steps of every method and of a training, in float64; alone, or as one of several ranks.

    python steps.py RESULT.json [PART OF A NAME], or under torchrun, where the first rank writes.

The numbers that all ranks know are kept for every step. Started by `test_steps`.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
import torch.distributed as dist

from nascli.artifacts.load import load_artifact
from nascli.config import SearchConfig, TrainConfig
from nascli.core.engine.reporter import Silent
from nascli.core.engine.search import build_method, open_streams
from nascli.core.engine.train import open_training
from nascli.core.runtime import open_runtime
from nascli.data import open_data
from nascli.distributed import launch
from nascli.distributed.ranks import Ranks, joined
from nascli.distributed.share import WHOLE

STEPS = 3
TINY = {"dataset": "digits", "epochs": 4, "batch_size": 10, "limit_train": 100, "seed": 3}
CELLS = {"layers": 3, "channels": 4}
COLD = {"arch_warmup_epochs": 0}

SEARCHES = {
    "pc-darts": {"method": "pc-darts", **CELLS, **COLD, "auxiliary": 0.4, "image_size": 32},
    "pc-darts, recomputed": {"method": "pc-darts", **CELLS, **COLD, "recompute": True},
    "pc-darts, wide": {"method": "pc-darts", "layers": 3, "channels": 40, **COLD},
    "pc-darts, nas-bench-201": {"method": "pc-darts", "space": "nas-bench-201", **CELLS, **COLD},
    "darts, second order": {"method": "darts", "layers": 3, "channels": 2, "order": 2, **COLD},
    "parsec, spread": {"method": "parsec", **CELLS, **COLD, "samples": 5},
    "parsec, warm-up": {"method": "parsec", **CELLS, "arch_warmup_epochs": 2},
    "parsec, fewer samples than ranks": {"method": "parsec", **CELLS, **COLD, "samples": 2},
    "spos": {"method": "spos", **CELLS},
    "pgnas": {"method": "pgnas", "space": "enas", "width": 4, "depth": 1, "drop_path": 0.3},
    "pgnas, gaussian": {"method": "pgnas", "space": "resnet-mb", "width": 4, "depth": 1, "noise": "gaussian"},
    "random": {"method": "random", **CELLS, "trials": 2},
}
TRAININGS = {
    "train": {"drop_path": 0.3, "auxiliary": 0.4, "image_size": 32, "validation": 0.1},
    "train, balanced": {"class_weights": "balanced", "label_smoothing": 0.1, "sampling": "balanced"},
}


class Doubled:
    """A stream of float64 images."""

    def __init__(self, stream):
        self._stream = stream
        self.batch_size = stream.batch_size
        self.batches_per_pass = stream.batches_per_pass

    def next(self, share=WHOLE):
        images, labels = self._stream.next(share)
        return images.double(), labels

    def once(self, share=WHOLE):
        for images, labels in self._stream.once(share):
            yield images.double(), labels


def numbers(metrics):
    return {name: float(value) for name, value in metrics.items()}


def searched(given):
    config = SearchConfig(**{**TINY, **given})
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = {name: Doubled(stream) for name, stream in open_streams(config, data, runtime).items()}
    method = build_method(config, data.info, streams, runtime)
    rows = [numbers(method.step(streams)) for _ in range(STEPS)]
    return [*rows, numbers(method.health(streams))], traffic(runtime)


def trained(given):
    config = TrainConfig(**{**TINY, **CELLS, **given})
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    job, _ = open_training(load_artifact("darts-v1"), None, config, data, runtime, Silent())
    job._stream = Doubled(job._stream)
    job.network.double()
    batches = data.batches
    data.batches = lambda *args: ((images.double(), labels) for images, labels in batches(*args))
    if job._class_weights is not None:
        job._class_weights = job._class_weights.double()
    rows = [numbers(job.step()) for _ in range(STEPS)]
    return [*rows, numbers(job.watched())], traffic(runtime)


def traffic(runtime):
    sent = dict(runtime.ranks.sent)
    runtime.ranks.sent.clear()
    return sent


def main(result, chosen=""):
    torch.set_default_dtype(torch.float64)
    with ExitStack() as stack:
        if launch.count() > 1:
            dist.init_process_group("gloo")
            stack.enter_context(joined(Ranks(dist.get_rank(), dist.get_world_size())))
        found = {name: searched(given) for name, given in SEARCHES.items() if chosen in name}
        found |= {name: trained(given) for name, given in TRAININGS.items() if chosen in name}
    if launch.is_first():
        Path(result).write_text(json.dumps(found))
    if launch.count() > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
