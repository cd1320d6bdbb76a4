"""What all texts share: their width, bars in a line, and the way from what rich prints to a plain text."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from nascli.visualize.style import one_line

WIDTH = 100
"""Columns of text files."""

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 30


def plain(content: RenderableType) -> str:
    """What rich would print, in `WIDTH` columns without colours or spaces at line ends."""
    out = io.StringIO()
    console(file=out, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False).print(content)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def console(**options: Any) -> Console:
    """One that takes words as they are: what is in brackets may be a part of a file's name."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def titled(content: RenderableType, title: str | None) -> RenderableType:
    """The same under a title, if there is one."""
    return Group(Text(one_line(title)), content) if title else content


def spark_line(values: Sequence[float]) -> str:
    """Bars from the least to the largest value, at most `LONGEST`, picked evenly from the first to the last value."""
    if len(values) > LONGEST:
        values = [values[round(i * (len(values) - 1) / (LONGEST - 1))] for i in range(LONGEST)]
    low, span = min(values), max(values) - min(values)
    if span == 0:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / span * (len(BARS) - 1))] for value in values)
