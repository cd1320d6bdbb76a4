"""DARTS's text form of a genotype, `Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), …)`.

The text is Python, but it is never run: it is parsed to a syntax tree, of which a few kinds of node are understood.
"""

import ast
import warnings

from pydantic import ValidationError

from nascli.errors import ArtifactError, UsageError
from nascli.faults import artifact_error, faults_of, shorten
from nascli.spaces.cell_genotype import MOST_NODES, CellGenotype, Pick

PICKS_PER_NODE = 2
LONGEST_TEXT = 1 << 16
"""Characters; the largest cells fit ten times. Python's parser is not made for megabytes of somebody's nesting."""
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
EXAMPLE = "Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=…)"


def parse(text: str, where: str = "the text") -> CellGenotype:
    """Read the text form, with or without `NAME =` in front. Raises ArtifactError."""
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
    """The text form of a genotype. Raises UsageError where the form cannot say it: a node without exactly two picks."""
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a SyntaxWarning about the user's text would only repeat the error below
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "not Python's syntax"
        raise ArtifactError(f"{where}: is not DARTS's text form ({reason})") from None
    if len(statements) != 1:
        raise ArtifactError(f"{where}: needs one genotype, but has {len(statements)} statements")
    statement = statements[0]
    value = statement.value if isinstance(statement, (ast.Expr, ast.Assign)) else None
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Genotype"):
        raise ArtifactError(f"{where}: is not DARTS's text form, which looks like {EXAMPLE}")
    return value


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
    for index, item in enumerate(expression.elts):
        match item:
            case (
                ast.Tuple(elts=[ast.Constant(value=str(op)), state])
                | ast.List(elts=[ast.Constant(value=str(op)), state])
            ):
                place = f"{name}[{index}]"
                value = _whole(state, place, where)
                if value < 0:
                    raise ArtifactError(f"{where}: {place}: the input {value} is negative")
                picks.append(Pick(op=op, input=value))
            case _:
                raise ArtifactError(f"{where}: {name}[{index}]: must be ('op', input)")
    if not picks or len(picks) % PICKS_PER_NODE:
        raise ArtifactError(
            f"{where}: {name}: has {len(picks)} pairs; a node takes {PICKS_PER_NODE}, a cell at least one node"
        )
    return [picks[start : start + PICKS_PER_NODE] for start in range(0, len(picks), PICKS_PER_NODE)]


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
