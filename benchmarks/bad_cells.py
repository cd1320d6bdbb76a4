"""Why searches in NAS-Bench-201 derive cells below 90 %: what such cells share, and what would have avoided them.

    python benchmarks/bad_cells.py FOLDER --table TRUE-ACCURACIES

FOLDER is that of `nas_bench_201.py`. Prints four tables in Markdown:

1. For all cells without `none`, by their number of skip connections: their true accuracy, and that of the cells that
   mixtures derive. Bad cells with few skips, or good cells with many, would mean that skips are not the cause.
2. For every mixture whose cell without `none` is bad or has more than half skips: what the same search derives by other
   rules (on these seeds the limit of two skips was tried first); what all other seeds derive together; after how many
   of the epochs in which the architecture moved the cell is bad; and the cell with one operation at a time from the
   other seeds' cell. This shows whether the cause is the rule, the seed, the last epoch or a single edge.
3. For random search: how far the scores by which it chose agree with the truth, in short trainings and in trainings
   four times as long.
4. For candidates ranked by shared weights: the place of the chosen one among the distinct cells of DRAWS draws from the
   same distribution. A ranking without information chooses a place of 0.5 on average, and bad cells as often as they
   are drawn.
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
        """The accuracy of a cell, in per cent."""
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
    """The accuracy of the cell with one pick of another cell, for every pick that differs."""
    found = []
    for node, (own, theirs) in enumerate(zip(genotype.cells["cell"].nodes, other.cells["cell"].nodes, strict=True)):
        for place, (pick, better) in enumerate(zip(own, theirs, strict=True)):
            if pick != better:
                nodes = [list(picks) for picks in genotype.cells["cell"].nodes]
                nodes[node][place] = better
                cell = Cell(nodes=tuple(map(tuple, nodes)), concat=genotype.cells["cell"].concat)
                found.append(worth(CellGenotype(space=genotype.space, cells={"cell": cell})))
    return ", ".join(f"{value:.2f}" for value in found)


def random_search(short: dict[int, LoadedDistribution], longer: dict[int, LoadedDistribution], worth: Truth) -> None:
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
    random_search(found("random"), found("random-long"), worth)
    print("\n| candidates of | searches | mean place | uniform (p) | draws below 90 | chosen below 90 |")
    print("|---|---|---|---|---|---|")
    for name in ("darts", "pc-darts", "parsec"):
        of_candidates(done(options.folder, name), files.get(name, found(name)), name, worth)


if __name__ == "__main__":
    main()
