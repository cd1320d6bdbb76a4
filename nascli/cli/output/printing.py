"""Forms of output: JSON, TOML, and plain tables that a script can split into columns."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def print_json(value: object) -> None:
    """Print one JSON document, indented and with a fixed order of keys."""
    # A stream that lacks some letters would otherwise turn different names into the same "??".
    escaped = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=escaped, default=str))


def aligned(rows: Iterable[Sequence[object]], *, gap: str = "  ") -> str:
    """Rows of cells as lines of aligned columns: numbers to the right, text to the left.

    >>> print(aligned([("top-1", 97.5), ("images", 360)]))
    top-1   97.5
    images   360
    """
    rows = list(rows)
    table = [[str(cell) for cell in row] for row in rows]
    count = max((len(row) for row in table), default=0)
    widths = [max((len(row[i]) for row in table if i < len(row)), default=0) for i in range(count)]
    right = [_is_numeric([row[i] for row in rows if i < len(row)]) for i in range(count)]
    lines = [
        gap.join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=False)
        )
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def _is_numeric(column: list[object]) -> bool:
    return all(isinstance(cell, int | float) for cell in column)


def toml(values: Mapping[str, Any]) -> str:
    """Flat settings as the TOML that `--config` reads. None, which TOML lacks, is left out."""
    return "\n".join(f"{key} = {_toml_value(value)}" for key, value in values.items() if value is not None)


def _toml_value(value: object) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # A string of TOML is one of JSON, but for this character, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
