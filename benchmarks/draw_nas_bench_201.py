"""Draw the pictures of `nas_bench_201.csv` and `rank_correlation.csv`.

python benchmarks/draw_nas_bench_201.py --table TRUE-ACCURACIES [--output docs]
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.nas_bench_201_table import SIX_CONVOLUTIONS  # noqa: E402
from nascli.artifacts.truth import TruthTable, load_table  # noqa: E402
from nascli.visualize.canvas import WIDTH, picture, points  # noqa: E402
from nascli.visualize.chart import add_axes, dress  # noqa: E402
from nascli.visualize.style import FAINT, HIGHLIGHT, INK, MUTED, SERIES  # noqa: E402

BENCHMARKS = ROOT / "benchmarks"
ROW, LEFT, TOP, RIGHT, BELOW = 24.0, 276.0, 76.0, 24.0, 56.0
CROWD = 3
"""The height of the distribution of random cells, in rows."""
WORST = 85.0
"""The accuracy in per cent at the left end, where worse cells are drawn, too."""
TICKS = (85, 88, 90, 91, 92, 93, 93.5, 94, 94.37)
METHODS = ("darts", "pc-darts", "parsec", "spos", "random")
LEFT_OUT = (
    "average", "mean of 2", "mean of 10", "-short", "10k, without none", "mean of 5, without none",
    "parsec, without none, at most",
)  # fmt: skip
"""Rules and settings that add little to the others."""
COLOURS = dict(zip(METHODS, SERIES, strict=False))
LATER = SERIES[len(METHODS) :]
"""Colours of further settings of one method."""
CORRELATIONS = {"accuracy": "-", "log-likelihood": (0, (4, 2)), "probability": (0, (1, 1.5))}

Row = Mapping[str, str]


def rows_of(name: str) -> list[Row]:
    """The rows of a CSV file of the benchmarks."""
    with (BENCHMARKS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def place(accuracy: float) -> float:
    """The position on a logarithmic scale of the error, which spreads good cells out."""
    return -float(np.log(100 - max(accuracy, WORST)))


def searches(rows: Sequence[Row], table: TruthTable) -> bytes:
    """The true accuracy of every derived cell: a line per setting, below the distribution of random cells.

    The settings in `LEFT_OUT` are only in the table.
    """
    column = table.column(None, "test")
    key = lambda row: (METHODS.index(row["method"]), row["setting"])  # noqa: E731
    rows = [row for row in rows if not any(part in row["setting"] for part in LEFT_OUT)]
    settings = {name: list(own) for (_, name), own in groupby(sorted(rows, key=key), key=key)}
    height = TOP + ROW * (len(settings) + CROWD) + BELOW

    def draw(figure: Figure) -> None:
        axes = add_axes(figure, LEFT, TOP, WIDTH - LEFT - RIGHT, height - TOP - BELOW)
        _random_cells(axes, table, column)
        for line, own in enumerate(settings.values(), CROWD):
            _runs(axes, line, own)
        _dress(axes, list(settings))
        _levels(axes, table, column)

    return picture(WIDTH, height, draw, "svg")


def _random_cells(axes: Axes, table: TruthTable, column: str) -> None:
    """The histogram of all cells by accuracy, with bars of equal width on the scale."""
    values = [place(accuracy) for accuracy in table.accuracies[column]]
    counts, edges = np.histogram(values, bins=90)
    heights = counts[1:] / counts[1:].max() * (CROWD - 0.9)  # the first bar has all that are worse
    axes.bar(edges[1:-1], -heights, np.diff(edges[1:]), bottom=CROWD - 1 + 0.4, align="edge", color=FAINT)


def _runs(axes: Axes, line: int, rows: Sequence[Row]) -> None:
    """A dot per search, hollow if something was chosen on its seed; a bar at the mean of the others."""
    colour = COLOURS[rows[0]["method"]]
    fresh = [float(row["cifar10_test"]) for row in rows if row["tuned_on"] == "False"]
    tuned = [float(row["cifar10_test"]) for row in rows if row["tuned_on"] != "False"]
    look = {"color": colour, "markersize": points(7), "linestyle": "none", "marker": "o", "clip_on": False, "zorder": 3}
    axes.plot([place(value) for value in tuned], [line] * len(tuned), **look, fillstyle="none")
    axes.plot([place(value) for value in fresh], [line] * len(fresh), **look, alpha=0.75)
    if fresh:
        axes.plot([place(float(np.mean(fresh)))] * 2, [line - 0.38, line + 0.38], color=INK, linewidth=points(2))


def _dress(axes: Axes, names: Sequence[str]) -> None:
    dress(axes, "true test accuracy (%), errors on a logarithmic scale", "", 0)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(CROWD + len(names) - 0.4, -0.6)  # downwards, as one reads
    axes.set_xlim(place(WORST), place(94.5))
    axes.set_xticks([place(tick) for tick in TICKS], [f"{tick:g}" if tick > WORST else f"≤ {tick}" for tick in TICKS])
    axes.set_yticks([CROWD - 1, *range(CROWD, CROWD + len(names))], ["all 15,625 cells", *names])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0, labelcolor=INK)


def _levels(axes: Axes, table: TruthTable, column: str) -> None:
    """Levels for comparison: lines with their names above."""
    six = table.accuracy(table.space.parse(SIX_CONVOLUTIONS, "the cell"), column)
    for name, level, colour in (
        ("the median cell", table.median(column), MUTED),
        ("six 3×3 convolutions,\nno search", six, HIGHLIGHT),
    ):
        axes.axvline(place(level), color=colour, linewidth=points(1.4), linestyle=(0, (4, 3)), zorder=2)
        axes.annotate(
            f"{name}: {level:.2f}",
            (place(level), 1),
            (0, points(6)),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            fontsize=points(10.5),
            color=colour,
        )


def correlations(rows: Sequence[Row]) -> bytes:
    """Spearman's rho with the truth in the course of searches, over all cells and over the good ones."""
    height, upper, gap, left, right = 350.0, 56.0, 64.0, 62.0, 20.0
    width = (WIDTH - 2 * left - 2 * right + left - gap / 2) / 2
    panels = {"all": f"of {int(rows[0]['cells']):,} random cells", "good": "of those above 90 %"}
    key = lambda row: (row["setting"], row["by"])  # noqa: E731
    lines = {name: list(own) for name, own in groupby(sorted(rows, key=key), key=key)}
    colours = _colours(rows)
    steps = {name: max(int(row["step"]) for row in rows if row["setting"] == name) for name in colours}

    def draw(figure: Figure) -> None:
        for number, (name, title) in enumerate(panels.items()):
            axes = add_axes(figure, left + number * (width + gap), upper, width, height - upper - 112)
            for (setting, by), own in lines.items():
                told = sorted((row for row in own if row[name]), key=lambda row: int(row["step"]))
                axes.plot(
                    [100 * int(row["step"]) / steps[setting] for row in told], [float(row[name]) for row in told],
                    color=colours[setting], linestyle=CORRELATIONS[by], linewidth=points(2), marker="o",
                    markersize=points(3.5),
                )  # fmt: skip
            dress(axes, "steps (%)", "rank correlation with the truth" if number == 0 else "", 0)
            axes.set_ylim(-0.62, 1)
            axes.axhline(0, color=MUTED, linewidth=points(1))
            axes.set_title(title, fontsize=points(13), weight="bold", loc="left", pad=points(12), color=INK)
        _legend(figure, {f"{name}, {steps[name]:,} steps": colour for name, colour in colours.items()})

    return picture(WIDTH, height, draw, "svg")


def _colours(rows: Sequence[Row]) -> dict[str, str]:
    """The colour of each setting: a method's own for a setting with its name, further ones for the rest."""
    further = iter(LATER)
    names = dict.fromkeys(row["setting"] for row in rows)
    return {name: COLOURS[name] if name in COLOURS else next(further) for name in names}


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    axes = figure.axes[0]
    handles = [axes.plot([], [], color=colour, linewidth=points(2), label=name)[0] for name, colour in colours.items()]
    names = {"accuracy": "by accuracy", "log-likelihood": "by log-likelihood", "probability": "by the distribution"}
    handles += [
        axes.plot([], [], color=INK, linestyle=line, linewidth=points(2), label=names[by])[0]
        for by, line in CORRELATIONS.items()
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(colours), frameon=False, fontsize=points(10.5), handlelength=2,
        columnspacing=1.2,
    )  # fmt: skip


def main() -> None:
    """Draw every picture whose figures exist."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    (options.output / "searches.svg").write_bytes(searches(rows_of("nas_bench_201.csv"), load_table(options.table)))
    if (BENCHMARKS / "rank_correlation.csv").exists():
        (options.output / "rank-correlation.svg").write_bytes(correlations(rows_of("rank_correlation.csv")))


if __name__ == "__main__":
    main()
