"""The true accuracy of what searches would have derived after each epoch, as text."""

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.visualize.runs.judged import Judged, changes
from nascli.visualize.text import spark_line


def describe_truth(judged: Judged) -> RenderableType:
    """A line per run: accuracy and rank after the last epoch, how often the accuracy changed, and a line of bars."""
    table = Table(title=f"true accuracy, {judged.column}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("run")
    for column in ("at the end (%)", "rank", "changes"):
        table.add_column(column, justify="right")
    table.add_column("epochs")
    for name, worths in judged.runs.items():
        last = list(worths.values())[-1]
        bars = spark_line([worth.accuracy for worth in worths.values()])
        table.add_row(name or "the run", f"{last.accuracy:.2f}", f"{last.rank:,}", str(changes(worths)), bars)
    marks = ", ".join(f"{name} {accuracy:.2f}" for name, accuracy, _ in judged.marks())
    return Group(table, "", f"of {len(judged.table):,} cells: {marks}")
