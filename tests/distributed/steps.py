"""The first steps of every method and of a training; alone, or as one of several ranks.

`write` is what `test_steps` starts on every rank.
"""

import json
from pathlib import Path

import torch
import torch.distributed as dist

from nascli.artifacts.genotypes.genotype import as_text
from nascli.artifacts.load import load_artifact
from nascli.config import SearchConfig, TrainConfig
from nascli.core.engine.reporter import Silent
from nascli.core.engine.search import build_method, open_streams, search
from nascli.core.engine.train import open_training
from nascli.core.runtime import open_runtime
from nascli.data import open_data
from nascli.distributed import launch
from nascli.distributed.ranks import Ranks, joined
from nascli.distributed.share import WHOLE

STEPS = 2
TINY = {"dataset": "digits", "epochs": 4, "batch_size": 10, "limit_train": 100, "seed": 3}
CELLS = {"layers": 3, "channels": 4, "nodes": 2}
SMALL = {"space": "nas-bench-201", "layers": 3, "channels": 4, "nodes": 3}
COLD = {"arch_warmup_epochs": 0}

SEARCHES = {
    "pc-darts": {"method": "pc-darts", **CELLS, **COLD},
    "pc-darts, wide": {"method": "pc-darts", **CELLS, "nodes": 1, "channels": 12, **COLD},
    "pc-darts, nas-bench-201": {"method": "pc-darts", **SMALL, **COLD},
    "pc-darts, recomputed": {"method": "pc-darts", **CELLS, "nodes": 1, **COLD, "recompute": True},
    "darts, second order": {"method": "darts", **CELLS, "nodes": 1, "channels": 2, "order": 2, **COLD},
    "parsec, spread": {"method": "parsec", **CELLS, **COLD, "samples": 4},
    "parsec, warm-up": {"method": "parsec", **CELLS, "arch_warmup_epochs": 2},
    "parsec, more ranks than samples": {"method": "parsec", **SMALL, **COLD, "samples": 2},
    "spos": {"method": "spos", **CELLS},
    "pgnas": {"method": "pgnas", "space": "enas", "width": 2, "depth": 1, "drop_path": 0.3},
    "pgnas, gaussian": {"method": "pgnas", "space": "resnet-mb", "width": 4, "depth": 1, "noise": "gaussian"},
}
TRAININGS = {
    "train": {"drop_path": 0.3, "auxiliary": 0.4, "image_size": 32, "validation": 0.1},
    "train, balanced": {"class_weights": "balanced", "label_smoothing": 0.1, "sampling": "balanced"},
}

IN_FLOAT32 = ("pc-darts, nas-bench-201", "parsec, spread", "pgnas, gaussian", "train, balanced")


class Typed:
    """A stream of images of the default type."""

    def __init__(self, stream):
        self._stream = stream
        self.batch_size = stream.batch_size
        self.batches_per_pass = stream.batches_per_pass

    def next(self, share=WHOLE):
        images, labels = self._stream.next(share)
        return images.to(torch.get_default_dtype()), labels

    def once(self, share=WHOLE):
        for images, labels in self._stream.once(share):
            yield images.to(torch.get_default_dtype()), labels


def numbers(metrics):
    return {name: float(value) for name, value in metrics.items()}


def searched(given):
    config = SearchConfig(**{**TINY, **given})
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = {name: Typed(stream) for name, stream in open_streams(config, data, runtime).items()}
    method = build_method(config, data.info, streams, runtime)
    rows = [numbers(method.step(streams)) for _ in range(STEPS)]
    return [*rows, numbers(method.health(streams))], traffic(runtime)


def trained(given):
    config = TrainConfig(**{**TINY, "layers": 3, "channels": 4, **given})
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    job, _ = open_training(load_artifact("darts-v1"), None, config, data, runtime, Silent())
    job._stream = Typed(job._stream)
    job.network.to(torch.get_default_dtype())
    batches = data.batches
    data.batches = lambda *args: ((images.to(torch.get_default_dtype()), labels) for images, labels in batches(*args))
    if job._class_weights is not None:
        job._class_weights = job._class_weights.to(torch.get_default_dtype())
    rows = [numbers(job.step()) for _ in range(STEPS)]
    return [*rows, numbers(job.watched())], traffic(runtime)


def random_search():
    """All trials of a random search: more than ranks, and not a multiple of them."""
    given = {**TINY, "epochs": 4, "limit_train": 40, **CELLS, "method": "random", "trials": 4}
    found = search(SearchConfig(**given)).distribution
    return [(trial.number, trial.accuracy, trial.loss, as_text(trial.genotype)) for trial in found.done]


def traffic(runtime):
    sent = dict(runtime.ranks.sent)
    runtime.ranks.sent.clear()
    return sent


def all_cases():
    """Rows and traffic of every case: all in float64, some in float32, too."""
    return {
        "float64": in_type(torch.float64, SEARCHES, TRAININGS),
        "float32": in_type(
            torch.float32,
            *({name: part[name] for name in IN_FLOAT32 if name in part} for part in (SEARCHES, TRAININGS)),
        ),
        "random": random_search(),
    }


def in_type(dtype, searches, trainings):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return {
            **{name: searched(given) for name, given in searches.items()},
            **{name: trained(given) for name, given in trainings.items()},
        }
    finally:
        torch.set_default_dtype(before)


def write(arguments):
    """What all ranks know of every step, from the first of them, as JSON in the file that the arguments name."""
    (result,) = arguments
    dist.init_process_group("gloo")
    with joined(Ranks(dist.get_rank(), dist.get_world_size())):
        found = all_cases()
    if launch.is_first():
        Path(result).write_text(json.dumps(found))
    dist.destroy_process_group()
