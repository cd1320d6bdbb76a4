"""The course of one run or several as text: first, best and last number of every curve, and a line of bars."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.visualize.curves import Rows, charts, named_runs, points_of
from nascli.visualize.text import plain

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 30


def plain_runs(runs: Rows | Mapping[str, Rows], _format: str, title: str | None) -> bytes:
    """A table per run, as UTF-8 text."""
    tables: list[RenderableType] = []
    for name, rows in named_runs(runs).items():
        tables += [_table(name, rows), ""]
    return plain(Group(*tables[:-1]), title)


def _table(name: str, rows: Rows) -> Table:
    table = Table(title=name or None, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("quantity")
    for column in ("first", "best", "last"):
        table.add_column(column, justify="right")
    epochs = [row["epoch"] for row in rows if isinstance(row.get("epoch"), int)]
    table.add_column(f"epochs {min(epochs)} to {max(epochs)}" if epochs else "")
    for chart in charts({name: rows}):
        for curve in chart.curves:
            values = [value for _, value in points_of(rows, curve)]
            best = {"high": max, "low": min}.get(chart.panel.better)
            _, bracket, unit = chart.panel.axis.partition("(")
            table.add_row(
                f"{chart.title.lower()}, {curve.label}" + (f" ({unit}" if bracket else ""),
                _number(values[0]),
                _number(best(values)) if best else "",
                _number(values[-1]),
                spark_line(values),
            )
    return table


def _number(value: float) -> str:
    return f"{value:.4g}"


def spark_line(values: Sequence[float]) -> str:
    """Bars from the least to the largest value, at most `LONGEST`, picked evenly from the first to the last value."""
    if len(values) > LONGEST:
        values = [values[round(i * (len(values) - 1) / (LONGEST - 1))] for i in range(LONGEST)]
    low, span = min(values), max(values) - min(values)
    if span == 0:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)
