"""What all texts share: their width, lines of bars, and the conversion of what rich prints to plain text."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from nascli.visualize.style import one_line

WIDTH = 100
"""Columns of text files."""

LEAST_WIDTH = 80
"""Columns that every table has room in. A narrower terminal wraps its lines; numbers are not cut short."""

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 30


def plain(content: RenderableType) -> str:
    """What rich would print, in `WIDTH` columns without colours or spaces at line ends."""
    out = io.StringIO()
    console(file=out, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False).print(content)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def console(**options: Any) -> Console:
    """A console that prints text as it is: brackets may be part of a file's name."""
    made = Console(markup=False, emoji=False, highlight=False, **options)
    made.width = max(made.width, LEAST_WIDTH)
    return made


def titled(content: RenderableType, title: str | None) -> RenderableType:
    """The same under a title, if there is one."""
    return Group(Text(one_line(title)), content) if title else content


def spark_line(values: Sequence[float]) -> str:
    """A bar per value, scaled from the least to the largest; of more than `LONGEST` values, evenly picked ones."""
    if len(values) > LONGEST:
        values = [values[round(i * (len(values) - 1) / (LONGEST - 1))] for i in range(LONGEST)]
    low, span = min(values), max(values) - min(values)
    if span == 0:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)
