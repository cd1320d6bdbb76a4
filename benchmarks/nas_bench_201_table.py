"""What the searches of `nas_bench_201.csv` are worth, as a table in Markdown.

    python benchmarks/nas_bench_201_table.py --table TRUE-ACCURACIES [--csv benchmarks/nas_bench_201.csv] [--settings …]

Rows on which something was chosen (`tuned_on`) are left out. Each line is a setting and a rule to derive by. Three
one-sided tests stand beside its mean: against random cells (the sum of the true ranks, exact: with n runs, how often n
random cells have as small a sum), against the runs of random search (Mann-Whitney, exact), and against the cell of six
3x3 convolutions (sign test, exact: how often a fair coin shows as many runs above it).
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, mannwhitneyu

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402

SIX_CONVOLUTIONS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
RANDOM = "random, mode"
HEAD = (
    "setting", "runs", "seconds", "mean (%)", "deviation", "worst", "best", "beats random cells", "beats random search",
    "beats six 3x3",
)  # fmt: skip

Row = Mapping[str, str]


def fresh(path: Path) -> dict[str, list[Row]]:
    """The rows of seeds on which nothing was chosen, by setting."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["tuned_on"] == "False"]
    rows.sort(key=lambda row: row["setting"])
    return {name: list(own) for name, own in groupby(rows, key=lambda row: row["setting"])}


def against_random_cells(ranks: Sequence[int], cells: int) -> float:
    """How often as many uniformly random cells have a sum of ranks that is no larger.

    >>> against_random_cells([1, 2], 3)  # of nine pairs (1, 1), (1, 2) and (2, 1)
    0.3333333333333333
    """
    ways = np.ones(1)
    for _ in ranks:
        total = np.cumsum(np.concatenate([ways, np.zeros(cells - 1)]))
        total[cells:] -= total[:-cells].copy()
        ways = total / cells  # of sums from as many ones up
    return float(min(1.0, ways[: sum(ranks) - len(ranks) + 1].sum()))


def accuracies(rows: Sequence[Row]) -> list[float]:
    """True test accuracies, in per cent."""
    return [float(row["cifar10_test"]) for row in rows]


def line(name: str, rows: Sequence[Row], others: Sequence[Row], table: TruthTable, column: str) -> tuple[str, ...]:
    """A setting's cells of the table."""
    found = accuracies(rows)
    six = table.accuracy(table.space.parse(SIX_CONVOLUTIONS, "the cell"), column)
    above = binomtest(sum(one > six for one in found), len(found), alternative="greater").pvalue
    chance = against_random_cells([int(row["rank"]) for row in rows], len(table))
    search = "" if rows is others or not others else (
        f"{mannwhitneyu(found, accuracies(others), alternative='greater', method='exact').pvalue:.2g}"
    )  # fmt: skip
    seconds = np.mean([float(row["seconds"]) for row in rows])
    spread = f"{np.std(found, ddof=1):.2f}" if len(found) > 1 else ""
    return (
        name, f"{len(found)}", f"{seconds:,.0f}", f"{np.mean(found):.2f}", spread, f"{min(found):.2f}",
        f"{max(found):.2f}", f"{chance:.2g}", search, f"{above:.2g}",
    )  # fmt: skip


def main() -> None:
    """The table, best mean first."""
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
