"""What would PARSEC find if its likelihoods were right? Its steps, with likelihoods made of the true accuracies.

    python benchmarks/parsec_oracle.py --table TRUE-ACCURACIES [--steps 2340] [--samples 8] [--arch-lr 0.02]
        [--effective 3.1] [--seeds 0 1 2 3 4 5 6 7 8 9]

Shared weights rank cells by their likelihoods; here a fixed score does, a mixture of the true rank (as a normal number)
and of chance, whose rank correlation with the truth is given. Its scale is such that of the children of the first
steps as many have weight as in a search (`effective_samples` in its metrics). Everything else is PARSEC's own:
sampling, importance weights, Adam. So a line says what a ranking of that quality is worth in as many steps; the last
one, where all children are equally likely, is drift alone. Printed: true accuracy of the mode, mean and deviation over
seeds; its mean under the distribution; the entropy that is left.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.core.methods.categoricals import Categoricals, draw  # noqa: E402
from nascli.core.methods.parsec import effective_samples, importance_weights  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.protocol import CellSpace  # noqa: E402

SHARES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.0)
"""Of the truth in a score."""

Grid = NDArray[np.float64]
"""A number per cell: an axis per edge, an entry per operation."""


def true_accuracies(space: CellSpace, table: TruthTable) -> Grid:
    """Of all cells, in per cent."""
    column = table.column(None, "test")
    choices = list(product(range(5), repeat=6))
    accuracies = [table.accuracy(space.genotype(list(choice)), column) for choice in choices]
    return np.array(accuracies).reshape((5,) * 6)


def scores(truth: Grid, share: float, seed: int) -> Grid:
    """Normal numbers: so much of the truth, and chance."""
    true = norm.ppf((rankdata(truth) - 0.5) / truth.size).reshape(truth.shape)
    chance = np.random.default_rng(seed).standard_normal(truth.shape)
    return share * true + np.sqrt(1 - share**2) * chance


def scale_of(samples: int, effective: float) -> float:
    """The factor of normal log-likelihoods at which so many of the samples have weight on average."""
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((4000, samples)))
    low, high = 0.0, 20.0
    for _ in range(30):
        middle = (low + high) / 2
        found = np.mean([float(effective_samples(importance_weights(middle * row))) for row in noise])
        low, high = (middle, high) if found > effective else (low, middle)
    return low


def found(space: CellSpace, log_likelihood: Grid, truth: Grid, options: argparse.Namespace, seed: int) -> list[float]:
    """Accuracy of the mode, the mean under the distribution, and the entropy after a search."""
    learnt = Categoricals(space, lr=options.arch_lr, beta1=0.5, beta2=0.999, centred=options.centred)
    for step in range(options.steps):
        now = learnt.distribution()
        choices = draw(now, options.samples, seed, "children", step)
        weights = importance_weights(torch.from_numpy(log_likelihood[tuple(choices.T)]))
        learnt.ascend(now, choices, weights.numpy())
    last = learnt.distribution()
    edges = [np.asarray(values, np.float64).reshape(-1) for cell in space.cells for values in last.probabilities(cell)]
    probabilities = np.ones(())
    for edge in edges:
        probabilities = np.multiply.outer(probabilities, edge)
    mode = tuple(int(edge.argmax()) for edge in edges)
    return [float(truth[mode]), float((probabilities * truth).sum()), last.total_entropy()]


def main() -> None:
    """A line per quality of the ranking."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2340)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--arch-lr", type=float, default=0.02)
    parser.add_argument("--effective", type=float, default=3.1)
    parser.add_argument("--centred", action="store_true")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = cell_space("nas-bench-201")
    truth = true_accuracies(space, load_table(options.table))
    scale, good = scale_of(options.samples, options.effective), truth > 90
    print("| rank correlation with the truth | above 90 % | mode (%) | mean of the distribution (%) | entropy (nats) |")
    print("|---|---|---|---|---|")
    for share in (*SHARES, None):
        results, agreement = [], []
        for seed in options.seeds:
            score = np.zeros_like(truth) if share is None else scores(truth, share, seed)
            if share is not None:
                of_good = spearmanr(score[good], truth[good]).statistic
                agreement.append([spearmanr(score.ravel(), truth.ravel()).statistic, of_good])
            results.append(found(space, scale * score, truth, options, seed))
        (mode, expected, entropy), deviation = np.mean(results, axis=0), np.std(results, axis=0, ddof=1)
        ranked = (
            "none: all equal | "
            if share is None
            else " | ".join(f"{value:.2f}" for value in np.mean(agreement, axis=0))
        )
        print(f"| {ranked} | {mode:.2f} ± {deviation[0]:.2f} | {expected:.2f} | {entropy:.2f} |", flush=True)


if __name__ == "__main__":
    main()
