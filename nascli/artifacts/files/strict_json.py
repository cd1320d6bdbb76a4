"""JSON without its traps (depth, duplicate keys, NaN, encodings), and a stable form of it that people can read."""

import json
from typing import Any

from nascli.errors import ArtifactError
from nascli.faults import shorten

DEEPEST = 100
"""Levels of nesting. The longest descent that nascli writes needs about 40; parsers give up between 200 and 1,000."""

_LINE = 110


def text(data: bytes, where: str) -> str:
    """`data` as text, without the byte order mark that some editors write. Raises ArtifactError."""
    if not data.strip():
        raise ArtifactError(f"{where}: is empty")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{where}: is not text in UTF-8 (byte {error.start})") from None


def parse(document: str, where: str) -> dict[str, Any]:
    """The JSON object in a text. Raises ArtifactError naming line and column, or what is not allowed."""

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ArtifactError(f"{where}: the key {shorten(twice)} is there twice in one object")
        return result

    def no_constant(name: str) -> Any:
        raise ArtifactError(f"{where}: {name} is not a number in JSON")

    def finite(digits: str) -> float:
        number = float(digits)
        if number - number != 0:
            raise ArtifactError(f"{where}: the number {shorten(digits)} is too large")
        return number

    def whole(digits: str) -> int:
        # Python refuses more than 4,300 digits with advice that helps nobody here; no field needs even 100.
        if len(digits) > 100:
            raise ArtifactError(f"{where}: the number {shorten(digits)} is too large")
        return int(digits)

    try:
        value = json.loads(
            document, object_pairs_hook=no_duplicates, parse_constant=no_constant, parse_float=finite, parse_int=whole
        )
    except json.JSONDecodeError as error:
        raise ArtifactError(
            f"{where}: is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise ArtifactError(f"{where}: is nested too deeply") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}: is JSON, but not an object")
    if _depth_exceeds(value, DEEPEST):
        raise ArtifactError(f"{where}: is nested too deeply (more than {DEEPEST} levels)")
    return value


def compact(value: object) -> str:
    """`value` on one line, the same for the same content. Raises ValueError for numbers that JSON lacks (NaN)."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def pretty(value: object) -> bytes:
    """`value` for people: what fits on a line stays on one; ends in a newline. Raises ValueError for NaN."""
    # A name that is not valid Unicode (of an old folder, say) becomes an escape that JSON reads back.
    return (_lines(value, "") + "\n").encode("utf-8", "backslashreplace")


def _lines(value: object, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if _is_scalar(value) or not value or (len(line) + len(indent) <= _LINE and _flat(value)):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_lines(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    items = [_lines(item, inner) for item in _children(value)]
    rows = _filled(items, _LINE - len(inner)) if all(map(_is_scalar, _children(value))) else items
    return "[\n" + ",\n".join(inner + row for row in rows) + f"\n{indent}]"


def _filled(items: list[str], width: int) -> list[str]:
    """Rows of short items (the names of a thousand classes, say), each as full as fits."""
    rows = [items[0]]
    for item in items[1:]:
        if len(rows[-1]) + len(item) + 2 <= width:
            rows[-1] += f", {item}"
        else:
            rows.append(item)
    return rows


def _flat(value: object) -> bool:
    """Whether a container reads well on one line: an object of scalars, or a list of such objects and of scalars."""
    children = _children(value)
    if isinstance(value, list):
        return all(_is_scalar(child) or (isinstance(child, dict) and _flat(child)) for child in children)
    return all(map(_is_scalar, children))


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (dict, list, tuple))


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []


def _depth_exceeds(value: object, limit: int) -> bool:
    """Whether containers nest deeper than `limit`; a loop, not a recursion, because the file decides the depth."""
    level: list[object] = [value]
    for _ in range(limit + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True
