"""When can a ranking by shared weights be trusted? Its agreement with the truth during searches in NAS-Bench-201.

    python benchmarks/rank_correlation.py FOLDER --images CIFAR-10-AS-FILES --table TRUE-ACCURACIES
        [--settings spos parsec darts pc-darts] [--seed 0] [--cells 1000] [--scored-on 1000] [--csv FILE]

The settings are those of `nas_bench_201.py`. At a few epochs of each search the same uniformly random cells are scored
with its weights, as `derive --candidates` does, on images that only the architecture learns from. A row of the CSV file
is a search at an epoch. It has Spearman's rho between the true test accuracy and the accuracy, the log-likelihood and
the distribution's probability of a cell, over all cells and over those above 90 %. A finished search is not repeated.
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.nas_bench_201 import SETTINGS, search_config  # noqa: E402
from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes  # noqa: E402
from nascli.artifacts.distributions.mixture import MixtureDistribution  # noqa: E402
from nascli.artifacts.files.disk import write_atomically  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.config import DeriveConfig, SearchConfig  # noqa: E402
from nascli.core.engine.destination import provenance  # noqa: E402
from nascli.core.engine.inputs import read_back  # noqa: E402
from nascli.core.engine.loop import drive  # noqa: E402
from nascli.core.engine.ranking.cell_candidates import CellCandidates  # noqa: E402
from nascli.core.engine.reporter import Silent  # noqa: E402
from nascli.core.engine.search import SearchJob, open_search  # noqa: E402
from nascli.core.runtime import Runtime, open_runtime  # noqa: E402
from nascli.data import DataModule  # noqa: E402
from nascli.settings.groups import SEARCH  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.cell_genotype import CellGenotype  # noqa: E402

GOOD = 90.0
SHARES = (0, 0.03, 0.1, 0.25, 0.5, 0.75, 1)
"""The shares of a search after which its weights score the cells. 0: untrained."""


class Scoring(Silent):
    """Scores the cells with the weights of a running search."""

    def __init__(
        self,
        config: SearchConfig,
        data: DataModule,
        job: SearchJob,
        runtime: Runtime,
        cells: Sequence[CellGenotype],
        truth: np.ndarray,
        images: np.ndarray,
    ) -> None:
        self._config, self._data, self._job, self._runtime = config, data, job, runtime
        self._cells, self._truth, self._images = cells, truth, images
        self._epochs = {round(share * config.epochs) for share in SHARES}
        self.rows: list[dict[str, Any]] = []

    def epoch(self, metrics: Mapping[str, float]) -> None:
        epoch = int(metrics["epoch"])
        if epoch not in self._epochs:
            return
        method = self._job.method
        learnt, origin = method.distribution(), provenance(self._config, self._data.info, None)
        now = read_back(distribution_bytes(DistributionFile(learnt, origin, method.weights())), None, DistributionFile)
        ranking = DeriveConfig(
            method=self._config.method, dataset=self._config.dataset, data_dir=self._config.data_dir, candidates=1
        )
        candidates = CellCandidates(now, self._config, self._data.info)
        scores = candidates.scorer(self._data, ranking, self._runtime).scores(self._cells, self._images)
        assert scores is not None
        accuracy, loss = np.array(scores).T
        by = {"accuracy": accuracy, "log-likelihood": -loss, "probability": log_probabilities(learnt, self._cells)}
        for name, values in by.items():
            row = {"epoch": epoch, "step": method.steps_done, "by": name}
            for where, chosen in (("all", self._truth >= 0), ("good", self._truth > GOOD)):
                varies = len(set(values[chosen])) > 1  # equal scores have no correlation
                rho = spearmanr(values[chosen], self._truth[chosen]).statistic if varies else None
                row |= {where: None if rho is None else round(float(rho), 3)}
            self.rows.append(row)
        print(json.dumps(self.rows[-3:]), file=sys.stderr, flush=True)


def log_probabilities(learnt: Any, cells: Sequence[CellGenotype]) -> np.ndarray:
    """The log-probability of each cell under a distribution; in a mixture each edge draws from its softmax."""
    if isinstance(learnt, CategoricalDistribution):
        return np.array([learnt.log_probability(cell) for cell in cells]).round(9)
    assert isinstance(learnt, MixtureDistribution)
    (name,), ops = learnt.space.cells, learnt.space.operations
    table = np.log(learnt.probabilities(name))
    # Every edge has one pick, in the order of the rows.
    places = [[(row, ops.index(pick.op)) for row, pick in enumerate(cell.picks())] for cell in cells]
    return np.array([sum(table[place] for place in own) for own in places]).round(9)


def watched(name: str, table: TruthTable, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of a search, which are kept in a file."""
    kept = options.folder / f"{name}-{options.seed}.correlation.json"
    if kept.exists():
        return list(json.loads(kept.read_text()))
    config = search_config(SETTINGS[name], options.seed, options.images)
    runtime = open_runtime(config)
    data, job = open_search(config, None, runtime)
    uniform, column = CategoricalDistribution.uniform(cell_space("nas-bench-201")), table.column(None, "test")
    cells = [uniform.sample(options.seed, number) for number in range(options.cells)]
    truth = np.array([table.accuracy(cell, column) for cell in cells])
    part = data.split(config.settings.parts, config.seed)[SEARCH]
    images = np.random.default_rng(0).choice(part, min(options.scored_on, len(part)), replace=False)
    scoring = Scoring(config, data, job, runtime, cells, truth, images)
    scoring.epoch({"epoch": 0})
    drive(
        job, stage="search", facts={}, epochs=config.epochs, steps_per_epoch=job.steps_per_epoch, run=None,
        resume=False, reporter=scoring,
    )  # fmt: skip
    rows = [{"setting": name, "seed": options.seed, "cells": options.cells, **row} for row in scoring.rows]
    write_atomically(kept, json.dumps(rows).encode())
    return rows


def main() -> None:
    """Print a line per search, and write the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["spos", "parsec", "darts", "pc-darts"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--scored-on", type=int, default=1000)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    table = load_table(options.table)
    rows: list[dict[str, Any]] = []
    for name in options.settings:
        rows += watched(name, table, options)
        if options.csv is not None:
            with options.csv.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
