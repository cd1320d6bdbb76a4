"""Wrong answers as a list."""

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.errors import escaped
from nascli.visualize.mistakes.sheet import MOST_PICTURES, Sheet
from nascli.visualize.style import one_line


def describe_sheet(sheet: Sheet) -> RenderableType:
    """A row for each of the pictures that a sheet would show, were all readable."""
    rows = sheet.mistakes.rows[:MOST_PICTURES]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("answer", "truth"):
        table.add_column(column, overflow="fold")
        table.add_column("%", justify="right", no_wrap=True)
    table.add_column("picture" if sheet.mistakes.in_files else "test image", overflow="fold")
    for row in rows:
        shares = f"{100 * row.probability:.1f}", f"{100 * row.truth_probability:.1f}"
        place = one_line(escaped(row.place))
        table.add_row(one_line(row.answer), shares[0], one_line(row.truth), shares[1], place)
    return Group(f"{len(rows)} of {len(sheet.mistakes.rows):,} wrong answers", "", table)
