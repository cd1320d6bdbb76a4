"""How far the distributions of searches in NAS-Bench-201 agree with the truth: of one search, and the mean of several.

    python benchmarks/distribution_correlation.py FOLDER --table TRUE-ACCURACIES [--settings darts pc-darts parsec]

FOLDER is that of `nas_bench_201.py`. The figures are Spearman's rank correlation of a cell's probability with its true
test accuracy, over all 15,625 cells and over those above 90 %. A mixture's probability of a cell is that of drawing it
from the softmaxes of the edges. Seeds on which something was chosen are left out. There is a line per setting and
number of searches in a mean: how many such means there are, and the mean and the lowest correlation.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.nas_bench_201 import MEANS, SETTINGS, TUNED_ON, done  # noqa: E402
from benchmarks.rank_correlation import GOOD, log_probabilities  # noqa: E402
from nascli.artifacts.distributions.distribution import DistributionFile  # noqa: E402
from nascli.artifacts.load import LoadedDistribution, load_artifact  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.core.engine.several import mean_distribution  # noqa: E402


def agreement(files: Sequence[LoadedDistribution], table: TruthTable) -> tuple[float, float]:
    """The correlation of one search, or of the mean of several: over all cells, and over the good ones."""
    column = table.column(None, "test")
    learnt = files[0].distribution if len(files) == 1 else mean_distribution(files)
    truth = np.array([table.accuracy(cell, column) for cell in table.genotypes])
    believed, good = log_probabilities(learnt, table.genotypes), truth > GOOD
    return spearmanr(believed, truth).statistic, spearmanr(believed[good], truth[good]).statistic


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["darts", "pc-darts", "parsec"])
    options = parser.parse_args()
    table = load_table(options.table)
    print("| setting | searches together | how many | all cells | least | above 90 % | least |")
    print("|---|---|---|---|---|---|---|")
    for name in options.settings:
        seeds = [seed for seed in done(options.folder, name) if seed not in TUNED_ON]
        files = [
            load_artifact(options.folder / f"{name}-{seed}.safetensors").holding(DistributionFile)
            for seed in sorted(seeds)
        ]
        for size in (1, *MEANS):
            groups = [files[start : start + size] for start in range(0, len(files) - size + 1, size)]
            if groups:
                found = np.array([agreement(group, table) for group in groups])
                (overall, good), (least, worst) = found.mean(axis=0), found.min(axis=0)
                print(
                    f"| {name} | {size} | {len(groups)} | {overall:.2f} | {least:.2f} | {good:.2f} | {worst:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
