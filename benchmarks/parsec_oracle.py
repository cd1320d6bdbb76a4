"""What would PARSEC find if its likelihoods were right, and what keeps it from that?

    python benchmarks/parsec_oracle.py --table TRUE-ACCURACIES [--steps 2340] [--samples 8] [--arch-lr 0.02]
        [--effective 3.1] [--raw] [--shares 1 0.7 0.5 0.3] [--seeds 0 1 2 3 4 5 6 7 8 9]
        [--runs parsec-11.safetensors … --images CIFAR-10-AS-FILES]

The steps are PARSEC's own (sampling, importance weights, Adam), but a child's log-likelihood is a fixed score of its
cell: partly the cell's true rank, as a normal number, and partly errors. `--raw` takes the accuracy instead of the
rank, scaled alike, which puts the best cells close together. Scores are scaled so that in the first steps as many
children have weight as in a search (`effective_samples` in its metrics). Errors are "independent" between cells, or
"shared": sums of one number per edge and operation, so that all cells with an operation are judged too well or too
badly together. There is a line per kind and amount of errors: the rank correlation of the scores with the truth, over
all cells and above 90 %; then, as means over seeds, the true accuracy of the mode, the mean accuracy under the
distribution, and the entropy that is left. In the last line all children are equally likely, which leaves only drift.

`--runs` measures the errors of real shared weights: each run scores 1,000 uniformly random cells by log-likelihood on
images that no weight has learnt from, and the errors are regressed on the edges' operations. "Shared" is the share of
their variance that the regression explains, compared with what it would explain by chance. Then PARSEC's steps are run
with errors of that kind, and with independent ones of the same size.
"""

import argparse
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.artifacts.load import load_artifact  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.config import DeriveConfig  # noqa: E402
from nascli.core.engine.ranking.cell_candidates import CellCandidates  # noqa: E402
from nascli.core.engine.ranking.held_out import held_out_images, rankable  # noqa: E402
from nascli.core.engine.reporter import Silent  # noqa: E402
from nascli.core.methods.categoricals import Categoricals, draw  # noqa: E402
from nascli.core.methods.parsec import effective_samples, importance_weights  # noqa: E402
from nascli.core.runtime import open_runtime  # noqa: E402
from nascli.settings.single_paths import ParsecSettings  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.protocol import CellSpace  # noqa: E402

SHARES = (1.0, 0.7, 0.5, 0.3)
"""The shares of the truth in a score."""
EDGES, OPERATIONS = 6, 5
GOOD = 90.0
MEASURED_CELLS, MEASURED_IMAGES = 1000, 1000

Grid = NDArray[np.float64]
"""A number per cell: an axis per edge, an entry per operation."""


def true_accuracies(space: CellSpace, table: TruthTable) -> Grid:
    """The true accuracies of all cells, in per cent."""
    column = table.column(None, "test")
    choices = product(range(OPERATIONS), repeat=EDGES)
    accuracies = [table.accuracy(space.genotype(list(choice)), column) for choice in choices]
    return np.array(accuracies).reshape((OPERATIONS,) * EDGES)


def normal_scores(values: NDArray[Any]) -> NDArray[np.float64]:
    """Normal numbers in the order of the values."""
    scores: NDArray[np.float64] = norm.ppf((rankdata(values) - 0.5) / values.size).reshape(values.shape)
    return scores


def sums(per_edge: NDArray[np.float64]) -> Grid:
    """Sums of a number per edge and operation over the edges of every cell. [edges, operations] -> a number per cell"""
    total = np.zeros((OPERATIONS,) * EDGES)
    for edge, own in enumerate(per_edge):
        total += own.reshape([OPERATIONS if axis == edge else 1 for axis in range(EDGES)])
    return total


def errors(kind: str, seed: int) -> Grid:
    """Errors of variance 1 over all cells."""
    chance = np.random.default_rng(seed)
    if kind == "independent":
        return chance.standard_normal((OPERATIONS,) * EDGES)
    found = sums(chance.standard_normal((EDGES, OPERATIONS)))
    return (found - found.mean()) / found.std()


def scale_of(samples: int, effective: float) -> float:
    """The factor for normal log-likelihoods at which `effective` of the samples have weight on average."""
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((4000, samples)))
    low, high = 0.0, 20.0
    for _ in range(30):
        middle = (low + high) / 2
        found = np.mean([float(effective_samples(importance_weights(middle * row))) for row in noise])
        low, high = (middle, high) if found > effective else (low, middle)
    return low


class Measured:
    """The errors of a run's shared weights.

    share: the share of the truth in their scores. per_edge: the part of the errors that depends on the edges'
    operations, [edges, operations]. rest: the deviation of the other part. explained: the share of per_edge in the
    errors' variance.
    """

    def __init__(self, run: Path, images: Path, truth: Grid) -> None:
        origin = rankable(load_artifact(run))
        config = DeriveConfig(method=origin.search.method, dataset="folder", data_dir=images, candidates=1)
        runtime = open_runtime(config)
        data, held_out = held_out_images(origin, config, runtime.device, Silent())
        chosen = np.random.default_rng(0).choice(held_out, MEASURED_IMAGES, replace=False)
        uniform = CategoricalDistribution.uniform(cell_space("nas-bench-201"))
        choices = draw(uniform, MEASURED_CELLS, 0, "children", 0)
        cells = [uniform.space.genotype(choice) for choice in choices.tolist()]
        candidates = CellCandidates(origin.start, origin.search, data.info)
        scored = candidates.scorer(data, config, runtime).scores(cells, chosen)
        assert scored is not None
        score = normal_scores(-np.array([loss for _, loss in scored]))
        true = normal_scores(truth)[tuple(choices.T)]
        self.share = float(np.corrcoef(score, true)[0, 1])
        left = score - self.share * true
        design = np.concatenate([np.eye(OPERATIONS)[choices[:, edge]] for edge in range(EDGES)], axis=1)
        fitted = design @ (solution := np.linalg.lstsq(design, left, rcond=None)[0])
        self.per_edge = solution.reshape(EDGES, OPERATIONS)
        self.rest = float((left - fitted).std())
        self.explained = float(fitted.var() / left.var())
        self.by_chance = (np.linalg.matrix_rank(design) - 1) / (MEASURED_CELLS - 1)


def found(space: CellSpace, log_likelihood: Grid, truth: Grid, options: argparse.Namespace, seed: int) -> list[float]:
    """The accuracy of the mode, the mean accuracy under the distribution, and the entropy after a search."""
    learnt = Categoricals(space, ParsecSettings(arch_lr=options.arch_lr, centred_weights=options.centred))
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
    """Print a line per kind and amount of errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2340)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--arch-lr", type=float, default=0.02)
    parser.add_argument("--effective", type=float, default=3.1)
    parser.add_argument("--centred", action="store_true")
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--shares", nargs="*", type=float, default=SHARES)
    parser.add_argument("--runs", nargs="*", type=Path, default=[])
    parser.add_argument("--images", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = cell_space("nas-bench-201")
    truth = true_accuracies(space, load_table(options.table))
    scale, good, true = scale_of(options.samples, options.effective), truth > GOOD, normal_scores(truth)
    if options.raw:
        true = (truth - truth.mean()) / truth.std()

    def line(name: str, scores: list[Grid]) -> None:
        agreement = [
            [
                spearmanr(score[chosen], truth[chosen]).statistic if np.ptp(score) else np.nan
                for chosen in (truth >= 0, good)
            ]
            for score in scores
        ]
        results = [
            found(space, scale * score, truth, options, seed) for seed, score in zip(options.seeds, scores, strict=True)
        ]
        (mode, expected, entropy), deviation = np.mean(results, axis=0), np.std(results, axis=0, ddof=1)
        overall, of_good = np.mean(agreement, axis=0)
        shown = f"{mode:.2f} ± {deviation[0]:.2f} | {expected:.2f} | {entropy:.2f}"
        print(f"| {name} | {overall:.2f} | {of_good:.2f} | {shown} |", flush=True)

    print("| errors | all cells | above 90 % | mode (%) | mean of the distribution (%) | entropy (nats) |")
    print("|---|---|---|---|---|---|")
    for kind, share in product(("independent", "shared"), options.shares):
        if kind == "independent" or share < 1:
            part = np.sqrt(1 - share**2)
            line(kind if share < 1 else "none", [share * true + part * errors(kind, seed) for seed in options.seeds])
    for run in options.runs:
        own = Measured(run, options.images, truth)
        size = np.hypot(own.rest, sums(own.per_edge).std())
        base = own.share * true
        print(f"{run.name}: {own.explained:.0%} of the errors shared, by chance {own.by_chance:.1%}", file=sys.stderr)
        as_it_is = sums(own.per_edge) - sums(own.per_edge).mean()
        noise = [errors("independent", seed) for seed in options.seeds]
        line(f"{run.stem}: as measured", [base + as_it_is + own.rest * one for one in noise])
        line(f"{run.stem}: as large, independent", [base + size * one for one in noise])
    line("no likelihoods", [np.zeros_like(truth) for _ in options.seeds])


if __name__ == "__main__":
    main()
