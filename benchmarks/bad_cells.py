"""Why searches in NAS-Bench-201 derive cells below 90 %: what they have in common, and what would have spared them.

    python benchmarks/bad_cells.py FOLDER --table TRUE-ACCURACIES

FOLDER is that of `nas_bench_201.py`. Four tables in Markdown:

1. Of all cells without `none`, by their skip connections: their true accuracy, beside what mixtures derive. Bad cells
   without many skips, or good cells with as many, would say that skips are not it.
2. Of every mixture whose cell without `none` is bad or of more than half skips: what the same search derives by other
   rules (these are seeds on which the limit of two skips was looked at first); what all other seeds together derive;
   after how many of the epochs in which the architecture moved the cell is bad; and the cell with one operation at a
   time from the others. So it is the rule, the seed, the last epoch or one edge.
3. Of random search: how the scores by which it chose agree with the truth, in short trainings and in trainings four
   times as long.
4. Of candidates that shared weights ranked: where the chosen one stands among the distinct cells of as many draws from
   the same distribution. A ranking that knows nothing chooses at 0.5 on average, and a bad cell as often as one of
   these is bad.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kstest, spearmanr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.nas_bench_201 import AVERAGE, FEW_SKIPS, TUNED_ON, done  # noqa: E402
from benchmarks.rank_correlation import GOOD  # noqa: E402
from nascli.artifacts.distributions.distribution import DistributionFile  # noqa: E402
from nascli.artifacts.distributions.limits import CellLimits  # noqa: E402
from nascli.artifacts.load import LoadedDistribution, load_artifact  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.core.engine.several import mean_distribution  # noqa: E402
from nascli.spaces.cell_genotype import Cell, CellGenotype  # noqa: E402
from nascli.spaces.names import NONE, SKIP  # noqa: E402

MIXTURES = ("darts", "pc-darts", "darts-10k", "pc-darts-10k")
SOMETHING = CellLimits(without_none=True)
DRAWS = 300

Files = dict[str, dict[int, LoadedDistribution]]


class Truth:
    """True test accuracies of cells."""

    def __init__(self, table: TruthTable) -> None:
        self.cells, self._table, self._column = table.genotypes, table, table.column(None, "test")

    def __call__(self, genotype: CellGenotype) -> float:
        """In percent."""
        return self._table.accuracy(genotype, self._column)


def skips(genotype: CellGenotype) -> int:
    """How many of the picks are skip connections."""
    return sum(pick.op == SKIP for pick in genotype.picks())


def by_skips(files: Files, worth: Truth) -> None:
    """Table 1."""
    learnt: list[Any] = [file.distribution for own in files.values() for file in own.values()]
    derived = [distribution.mode_within(SOMETHING) for distribution in learnt]
    print("\n| skips | cells | median (%) | best (%) | below 90 | derived | below 90 |")
    print("|---|---|---|---|---|---|---|")
    for count in range(7):
        every = np.array([worth(cell) for cell in worth.cells if not cell.share(NONE) and skips(cell) == count])
        own = np.array([worth(cell) for cell in derived if skips(cell) == count])
        print(
            f"| {count} | {len(every)} | {np.median(every):.2f} | {every.max():.2f} | {np.mean(every < GOOD):.0%} | "
            f"{len(own)} | {np.sum(own < GOOD)} |"
        )


def spared_by(files: Files, worth: Truth) -> None:
    """Table 2."""
    print(
        "\n| search | cell (%) | skips | at most 2 | mean of last 5 | other seeds | epochs below 90 | one pick theirs |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, own in files.items():
        for seed, file in own.items():
            distribution: Any = file.distribution
            cell = distribution.mode_within(SOMETHING)
            if worth(cell) >= GOOD and skips(cell) <= 3:
                continue
            assert isinstance(file.value, DistributionFile)
            average: Any = file.value.averaged(AVERAGE)
            others: Any = mean_distribution([other for key, other in own.items() if key != seed])
            theirs = others.mode_within(SOMETHING)
            rules = [distribution.mode_within(FEW_SKIPS), average.mode_within(SOMETHING), theirs]
            along = [worth(one) < GOOD for one in course(file)]
            parts = [f"{name} {seed}", f"{worth(cell):.2f}", str(skips(cell)), *(f"{worth(one):.2f}" for one in rules)]
            parts += [f"{sum(along)} of {len(along)}", exchanged(cell, theirs, worth)]
            print(f"| {' | '.join(parts)} |")


def course(file: LoadedDistribution) -> list[CellGenotype]:
    """The cell without `none` after each epoch in which the logits moved."""
    assert file.value.course is not None
    logits, kind = file.value.course, type(file.distribution)
    found, before = [], None
    for epoch in range(len(next(iter(logits.values())))):
        now: Any = kind.assemble(file.distribution.settings(), {name: rows[epoch] for name, rows in logits.items()})
        if before is None or any((now.tensors()[name] != rows).any() for name, rows in before.items()):
            found.append(now.mode_within(SOMETHING))
        before = now.tensors()
    return found


def exchanged(genotype: CellGenotype, other: CellGenotype, worth: Truth) -> str:
    """What the cell is worth with one pick of another, for every pick that differs."""
    found = []
    for node, (own, theirs) in enumerate(zip(genotype.cells["cell"].nodes, other.cells["cell"].nodes, strict=True)):
        for place, (pick, better) in enumerate(zip(own, theirs, strict=True)):
            if pick != better:
                nodes = [list(picks) for picks in genotype.cells["cell"].nodes]
                nodes[node][place] = better
                cell = Cell(nodes=tuple(map(tuple, nodes)), concat=genotype.cells["cell"].concat)
                found.append(worth(CellGenotype(space=genotype.space, cells={"cell": cell})))
    return ", ".join(f"{value:.2f}" for value in found)


def of_random(short: dict[int, LoadedDistribution], longer: dict[int, LoadedDistribution], worth: Truth) -> None:
    """Table 3."""
    print("\n| random search | rho, short | rho, four times | chosen, short (%) | chosen, four times | best of all |")
    print("|---|---|---|---|---|---|")
    for seed in sorted(short.keys() & longer.keys()):
        found: list[Any] = [each[seed].distribution for each in (short, longer)]
        scores = [{cell.genotype: cell.accuracy for cell in distribution.done} for distribution in found]
        truth = {cell: worth(cell) for cell in scores[0]}
        rhos = [spearmanr([own[cell] for cell in truth], list(truth.values())).statistic for own in scores]
        chosen = [truth[max(own, key=own.__getitem__)] for own in scores]
        figures = [f"{value:.2f}" for value in (*rhos, *chosen, max(truth.values()))]
        print(f"| {seed} | {' | '.join(figures)} |")


def of_candidates(
    kept: dict[int, dict[str, Any]], files: dict[int, LoadedDistribution], name: str, worth: Truth
) -> None:
    """A line of table 4."""
    places, bad, chosen = [], [], []
    for seed, file in files.items():
        ranked = [one for one in kept[seed]["found"] if one["candidates"]]
        if ranked:
            distribution: Any = file.distribution
            drawn = np.array([worth(one) for one in {distribution.sample(1, number) for number in range(DRAWS)}])
            chosen.append(worth(distribution.space.parse(ranked[0]["architecture"], name)))
            places.append(np.mean(drawn < chosen[-1]) + np.mean(drawn == chosen[-1]) / 2)
            bad.append(np.mean(drawn < GOOD))
    test = kstest(places, "uniform").pvalue
    print(
        f"| {name} | {len(places)} | {np.mean(places):.2f} | {test:.2g} | {np.mean(bad):.0%} | "
        f"{np.sum(np.array(chosen) < GOOD)} |"
    )


def main() -> None:
    """The four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    options = parser.parse_args()

    def found(name: str) -> dict[int, LoadedDistribution]:
        seeds = [seed for seed in done(options.folder, name) if seed not in TUNED_ON]
        return {
            seed: load_artifact(options.folder / f"{name}-{seed}.safetensors").holding(DistributionFile)
            for seed in seeds
        }

    worth, files = Truth(load_table(options.table)), {name: found(name) for name in MIXTURES}
    by_skips(files, worth)
    spared_by(files, worth)
    of_random(found("random"), found("random-long"), worth)
    print("\n| candidates of | searches | mean place | uniform (p) | draws below 90 | chosen below 90 |")
    print("|---|---|---|---|---|---|")
    for name in ("darts", "pc-darts", "parsec"):
        of_candidates(done(options.folder, name), files.get(name, found(name)), name, worth)


if __name__ == "__main__":
    main()
