"""The course of one or more runs as text: first, best and last number of every curve, and a line of bars."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.visualize.runs.curves import Rows, charts, named_runs, points_of
from nascli.visualize.text import spark_line


def describe_runs(runs: Rows | Mapping[str, Rows]) -> RenderableType:
    """A table per run."""
    tables: list[RenderableType] = []
    for name, rows in named_runs(runs).items():
        tables += [_table(name, rows), ""]
    return Group(*tables[:-1])


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
