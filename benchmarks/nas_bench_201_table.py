"""The true accuracies of the searches in `nas_bench_201.csv`, as a table in Markdown.

    python benchmarks/nas_bench_201_table.py --table TRUE-ACCURACIES [--csv benchmarks/nas_bench_201.csv] [--settings …]

Rows on which something was chosen (`tuned_on`) are left out. Each line is a setting and a rule to derive by. It ends
with the p-values of three one-sided tests of its mean, each exact, ties included:

- against random cells: how often the same number of random cells has a sum of true ranks that is no larger;
- against random search at equal time: its runs are grouped so that a group takes about as long as a run of the line,
  and gives the cell with the best score on held-out images; how often a random division of all runs gives as large a
  difference of the mean accuracies. Empty if there are fewer than two groups, and on another device;
- against the cell of six 3x3 convolutions: how often a fair coin puts as many runs above it.

The probabilities are not corrected for the number of lines: by chance, one of twenty is below 0.05.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import binomtest, permutation_test

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402

SIX_CONVOLUTIONS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
RANDOM = "random, best of all"
HEAD = (
    "setting", "runs", "seconds", "mean (%)", "deviation", "worst", "best", "random cells as good",
    "random search as good", "six 3x3 as good",
)  # fmt: skip

Row = Mapping[str, str]


def fresh(path: Path) -> dict[str, list[Row]]:
    """The rows of seeds on which nothing was chosen, by setting."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["tuned_on"] == "False"]
    rows.sort(key=lambda row: row["setting"])
    return {name: list(own) for name, own in groupby(rows, key=lambda row: row["setting"])}


def random_cells_as_good(ranks: Sequence[int], of_all: Sequence[int]) -> float:
    """How often the same number of cells, drawn uniformly from the ranks `of_all`, has a sum that is no larger.

    >>> round(random_cells_as_good([1, 3], [1, 1, 3]), 6)  # of nine pairs (1, 1) four times, (1, 3) four times
    0.888889
    """
    one = np.bincount(of_all) / len(of_all)
    chances = one
    for _ in ranks[1:]:
        chances = fftconvolve(chances, one)
    return float(np.clip(chances[: sum(ranks) + 1].sum(), 0.0, 1.0))


def at_equal_time(rows: Sequence[Row], seconds: float) -> list[float]:
    """The accuracies that random search reaches in `seconds`: of as many runs as fit, the cell with the best score.

    >>> found = [("0.4", "91"), ("0.5", "90"), ("0", "80")]
    >>> runs = [{"seconds": "10", "score": score, "cifar10_test": accuracy} for score, accuracy in found]
    >>> at_equal_time(runs, 20), at_equal_time(runs, 4)
    ([90.0], [91.0, 90.0, 80.0])
    """
    if not rows:
        return []
    many = max(1, round(seconds / float(np.mean([float(row["seconds"]) for row in rows]))))
    groups = [rows[start : start + many] for start in range(0, len(rows) - many + 1, many)]
    return [float(max(group, key=lambda row: float(row["score"]))["cifar10_test"]) for group in groups]


def accuracies(rows: Sequence[Row]) -> list[float]:
    """True test accuracies, in per cent."""
    return [float(row["cifar10_test"]) for row in rows]


def line(name: str, rows: Sequence[Row], others: Sequence[Row], table: TruthTable, column: str) -> tuple[str, ...]:
    """The line of a setting."""
    found = accuracies(rows)
    seconds = float(np.mean([float(row["seconds"]) for row in rows]))
    of_all = [table.worth(cell, column).rank for cell in table.genotypes]
    chance = random_cells_as_good([int(row["rank"]) for row in rows], of_all)
    search, yardstick = "", at_equal_time(others, seconds)
    alike = not name.startswith("random") and rows[0]["device"] == others[0]["device"]
    if alike and min(len(yardstick), len(found)) > 1:
        test = permutation_test(
            (found, yardstick), lambda a, b: np.mean(a) - np.mean(b), alternative="greater", n_resamples=np.inf
        )
        search = f"{test.pvalue:.2g}"
    six = table.accuracy(table.space.parse(SIX_CONVOLUTIONS, "the cell"), column)
    above = binomtest(sum(one > six for one in found), len(found), alternative="greater").pvalue
    spread = f"{np.std(found, ddof=1):.2f}" if len(found) > 1 else ""
    return (
        name, f"{len(found)}", f"{seconds:,.0f}", f"{np.mean(found):.2f}", spread, f"{min(found):.2f}",
        f"{max(found):.2f}", f"{chance:.2g}", search, f"{above:.2g}",
    )  # fmt: skip


def main() -> None:
    """Print the table, best mean first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--csv", type=Path, default=ROOT / "benchmarks" / "nas_bench_201.csv")
    parser.add_argument("--settings", nargs="*")
    options = parser.parse_args()
    table = load_table(options.table)
    column, by_setting = table.column(None, "test"), fresh(options.csv)
    others = by_setting.get(RANDOM, [])
    chosen = {name: rows for name, rows in by_setting.items() if not options.settings or name in options.settings}
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for name, rows in sorted(chosen.items(), key=lambda item: -np.mean(accuracies(item[1]))):
        print("| " + " | ".join(line(name, rows, others, table, column)) + " |")


if __name__ == "__main__":
    main()
