"""DARTS's text form of a genotype, `Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), …)`.

The text is Python, but it is never run: it is parsed to a syntax tree, and only a few kinds of node are understood.
Text before and after it, as in the line of a log, is ignored.
"""

import ast
import re
import warnings
from collections.abc import Iterator

from pydantic import ValidationError

from nascli.errors import ArtifactError, UsageError
from nascli.faults import artifact_error, faults_of, shorten
from nascli.spaces.cell_genotype import MOST_NODES, CellGenotype, Pick

PICKS_PER_NODE = 2
LONGEST_TEXT = 1 << 16
"""The most characters: the largest cells fit ten times. Python's parser is not made for megabytes of nested text."""
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
EXAMPLE = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=…)"


def parse(text: str, where: str = "the text") -> CellGenotype:
    """The genotype in a text that contains exactly one. Raises ArtifactError."""
    call = _genotype_call(text, where)
    fields = _fields(call, where)
    cells = {
        name: {
            "nodes": _nodes(fields[name], name, where),
            "concat": _concat(fields[f"{name}_concat"], f"{name}_concat", where),
        }
        for name in ("normal", "reduce")
    }
    try:
        return CellGenotype.model_validate({"space": "darts", "cells": cells})
    except ValidationError as error:
        raise artifact_error(where, faults_of(error)) from None


def render(genotype: CellGenotype) -> str:
    """The text form of a genotype. Raises UsageError for a node without exactly two picks, which it cannot express."""
    parts = []
    for name, cell in genotype.cells.items():
        for index, node in enumerate(cell.nodes):
            if len(node) != PICKS_PER_NODE:
                raise UsageError(
                    f"DARTS's text form has two inputs per node, but cells.{name}.nodes[{index}] has {len(node)}: "
                    "use JSON"
                )
        picks = ", ".join(f"({pick.op!r}, {pick.input})" for node in cell.nodes for pick in node)
        parts.append(f"{name}=[{picks}], {name}_concat={list(cell.concat)}")
    return f"Genotype({', '.join(parts)})\n"


def _genotype_call(text: str, where: str) -> ast.Call:
    if len(text) > LONGEST_TEXT:
        raise ArtifactError(f"{where}: is not DARTS's text form, and has {len(text):,} characters")
    starts = [match.start() for match in re.finditer(r"\bGenotype\s*\(", text)]
    if len(starts) > 1:
        raise ArtifactError(f"{where}: has {len(starts)} genotypes: keep the line of one")
    if not starts:
        raise ArtifactError(f"{where}: is not DARTS's text form, which looks like {EXAMPLE}")
    (start,) = starts
    end = _closing(text, text.index("(", start))
    if end is None:
        raise ArtifactError(f"{where}: is cut off: a bracket of Genotype( is never closed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a SyntaxWarning about the user's text would only repeat the error below
            value = ast.parse(text[start : end + 1], mode="eval").body
    except SyntaxError as error:
        place = f"line {error.lineno}, character {error.offset} of it" if error.lineno else "its brackets"
        raise ArtifactError(f"{where}: Genotype(…) cannot be parsed at {place}; it looks like {EXAMPLE}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ArtifactError(f"{where}: is not DARTS's text form, which looks like {EXAMPLE}") from None
    assert isinstance(value, ast.Call)
    return value


def _closing(text: str, start: int) -> int | None:
    """Where the bracket that opens at `start` closes; None if it never does. Names of operations have no brackets."""
    depth = 0
    for place, character in enumerate(text[start:], start):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return place
    return None


def _fields(call: ast.Call, where: str) -> dict[str, ast.expr]:
    """The four arguments, given by name or in the order of DARTS's named tuple."""
    if len(call.args) > len(FIELDS):
        raise ArtifactError(f"{where}: Genotype has {len(call.args)} fields; it needs {', '.join(FIELDS)}")
    fields = dict(zip(FIELDS, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg not in FIELDS or keyword.arg in fields:
            raise ArtifactError(
                f"{where}: Genotype: unexpected or repeated field {shorten(keyword.arg)}; it needs {', '.join(FIELDS)}"
            )
        fields[keyword.arg] = keyword.value
    if missing := [name for name in FIELDS if name not in fields]:
        raise ArtifactError(f"{where}: Genotype: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return fields


def _nodes(expression: ast.expr, name: str, where: str) -> list[list[Pick]]:
    if not isinstance(expression, (ast.List, ast.Tuple)):
        raise ArtifactError(f"{where}: {name}: must be a list of ('op', input)")
    picks = []
    for place, item in _pairs(expression, name):
        match item:
            case (
                ast.Tuple(elts=[ast.Constant(value=str(op)), state])
                | ast.List(elts=[ast.Constant(value=str(op)), state])
            ):
                value = _whole(state, place, where)
                if value < 0:
                    raise ArtifactError(f"{where}: {place}: the input {value} is negative")
                picks.append(Pick(op=op, input=value))
            case _:
                raise ArtifactError(f"{where}: {place}: must be ('op', input)")
    if not picks or len(picks) % PICKS_PER_NODE:
        raise ArtifactError(
            f"{where}: {name}: has {len(picks)} pairs; a node takes {PICKS_PER_NODE}, a cell at least one node"
        )
    return [picks[start : start + PICKS_PER_NODE] for start in range(0, len(picks), PICKS_PER_NODE)]


def _pairs(expression: ast.List | ast.Tuple, name: str) -> Iterator[tuple[str, ast.expr]]:
    """The pairs with their places, whether they are given in one list or in a list per node."""
    for index, item in enumerate(expression.elts):
        match item:
            case (
                ast.List(elts=[ast.List() | ast.Tuple(), *_] as pairs)
                | ast.Tuple(elts=[ast.List() | ast.Tuple(), *_] as pairs)
            ):
                yield from ((f"{name}[{index}][{number}]", pair) for number, pair in enumerate(pairs))
            case _:
                yield f"{name}[{index}]", item


def _concat(expression: ast.expr, place: str, where: str) -> list[int]:
    match expression:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_whole(item, f"{place}[{index}]", where) for index, item in enumerate(items)]
        case (
            ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[])
            | ast.Call(
                func=ast.Name(id="list"),
                args=[ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[])],
                keywords=[],
            )
        ) if 1 <= len(bounds) <= 3:
            return _range([_whole(bound, place, where) for bound in bounds], place, where)
        case _:
            raise ArtifactError(f"{where}: {place}: must be a list of states or range(first, last + 1)")


def _range(bounds: list[int], place: str, where: str) -> list[int]:
    try:
        states = range(*bounds)
        if len(states) <= MOST_NODES:
            return list(states)
    except (ValueError, OverflowError):
        pass
    raise ArtifactError(f"{where}: {place}: range{tuple(bounds)} is not a range of at most {MOST_NODES} states")


def _whole(expression: ast.expr, place: str, where: str) -> int:
    match expression:
        case ast.Constant(value=int(value)) if _is_small(value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))) if _is_small(value):
            return -value
        case _:
            raise ArtifactError(f"{where}: {place}: must be a whole number")


def _is_small(value: int) -> bool:
    return not isinstance(value, bool) and value.bit_length() <= 64
