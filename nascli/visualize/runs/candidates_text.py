"""The candidates of a posterior as text: a histogram of both populations, and the best ones."""

from collections import Counter
from math import ceil

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.runs.scores import CELLS, MEAN, POSTERIOR, UNIFORM, ranked
from nascli.visualize.runs.scored import Candidates, summary
from nascli.visualize.text import WIDTH

MOST_LINES = 20
MARKS = {POSTERIOR: "█", CELLS: "█", UNIFORM: "░", MEAN: "░"}
LONGEST_BAR = WIDTH - 28
LISTED = 5


def describe_candidates(candidates: Candidates) -> RenderableType:
    """Histogram and table."""
    parts: list[RenderableType] = [
        f"{MARKS[name]} {name:<9} {summary(scored)}" for name, scored in candidates.populations.items()
    ]
    parts += ["", "accuracy (%)", *histogram(candidates), "", _table(candidates)]
    return Group(*parts)


def histogram(candidates: Candidates, most_lines: int = MOST_LINES) -> list[str]:
    """A bar per population and bin, the highest accuracies first, all on one scale.

    A bin holds the accuracies above its first number and up to its second.
    """
    percents = {name: [100 * one.accuracy for one in scored] for name, scored in candidates.populations.items()}
    low, high = min(map(min, percents.values())), max(map(max, percents.values()))
    width = _step((high - low) / most_lines)
    counts = {name: Counter(_bin(value, width) for value in values) for name, values in percents.items()}
    scale = min(1.0, LONGEST_BAR / max(max(of_bins.values()) for of_bins in counts.values()))
    lines = []
    for number in range(_bin(high, width), _bin(low, width) - 1, -1):
        label = "–".join(f"{edge * width:6.{_decimals(width)}f}" for edge in (number, number + 1))
        for name, of_bins in counts.items():
            count = of_bins[number]
            drawn = MARKS[name] * max(1, round(scale * count)) if count else ""
            lines.append(f"{label} │{drawn}{f' {count}' if count else ''}")
            label = " " * len(label)
    return lines


def _bin(value: float, width: float) -> int:
    """The number of a value's bin. Bins include their upper edge, so that 100 % falls into the last one below it."""
    return max(0, ceil((value - 1e-9) / width) - 1)


def _step(least: float) -> float:
    """The least readable width of bins, in per cent, that is not below `least`: 0.01, 0.02, 0.05, 0.1, …"""
    steps = (number * 10.0**power for power in range(-2, 3) for number in (1, 2, 5))
    return next((step for step in steps if step >= least), 100.0)


def _decimals(width: float) -> int:
    return 0 if width >= 1 else 1 if width >= 0.1 else 2


def _table(candidates: Candidates) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("best candidates")
    for column in ("number", "accuracy (%)", "loss (nats)", "parameters"):
        table.add_column(column, justify="right")
    for name, scored in candidates.populations.items():
        for one in ranked(scored)[:LISTED]:
            table.add_row(name, str(one.number), f"{100 * one.accuracy:.2f}", f"{one.loss:.4f}", f"{one.parameters:,}")
    return table
