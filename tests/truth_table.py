"""A made-up table of true accuracies of NAS-Bench-201: whatever a cell's n 3x3 convolutions make of it.

Of the 15,625 cells C(6, n) 4^(6 - n) have n of them: 4096, 6144, 3840, 1280, 240, 24 and 1, from none to six. So
the ranks by a column that rises with n are 11530, 5386, 1546, 266, 26, 2 and 1.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from random import Random

import pytest

from nascli.artifacts.truth import TruthTable, load_table
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.nas_bench_201 import NasBench201
from nascli.spaces.protocol import all_genotypes

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELLS = 15_625
RANKS = (11_530, 5_386, 1_546, 266, 26, 2, 1)


def architecture(*operations: str) -> str:
    """The text of the cell with these operations on the edges 0→1, 0→2, 1→2, 0→3, 1→3 and 2→3."""
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def with_convolutions(count: int, other: str = "skip_connect") -> str:
    """The cell whose first edges are `count` 3x3 convolutions, the others `other`."""
    return architecture(*["nor_conv_3x3"] * count, *[other] * (6 - count))


def accuracies(count: int) -> dict[str, int]:
    """By column, in per cent, of a cell with `count` 3x3 convolutions."""
    return {"valid": 20 + 10 * count, "test": 5 + 15 * count, "upside-down": 90 - 10 * count}


@cache
def architectures() -> tuple[str, ...]:
    """All cells as text, in the order of the space: the operation of the last edge changes fastest."""
    return tuple(architecture(*ops) for ops in product(OPERATIONS, repeat=6))


@cache
def genotypes() -> tuple[CellGenotype, ...]:
    """All cells, in the same order, enumerated once a process."""
    return tuple(all_genotypes(cell_space("nas-bench-201")))


@cache
def lines() -> tuple[str, ...]:
    """Of the file: the header, and every cell."""
    rows = [",".join((text, *map(str, accuracies(text.count("nor_conv_3x3")).values()))) for text in architectures()]
    Random(0).shuffle(rows)  # whoever made the file need not have the space's order
    return ",".join(("architecture", *accuracies(0))), *rows


def written(folder: Path) -> Path:
    """The table as a file in a folder."""
    path = folder / "table.csv"
    path.write_text("\n".join(lines()) + "\n")
    return path


def loaded(folder: Path) -> TruthTable:
    """The table, read, once a process."""
    return _known(written(folder))


_READ: dict[bytes, TruthTable] = {}


def _known(path: str | Path) -> TruthTable:
    """The table in a file, from memory if the same bytes were read before."""
    content = Path(path).read_bytes()
    if content not in _READ:
        _READ[content] = load_table(path)
    known = _READ[content]
    table = replace(known, where=str(path))
    table.__dict__.update(_rows=known._rows, _ranked=known._ranked)  # what a table makes of its content at first need
    return table


def read_once(monkeypatch: pytest.MonkeyPatch, *others: str) -> None:
    """Let the commands, and these modules, read a table of known content from memory: 15,625 cells take a second."""

    def known_table(path: str | Path) -> TruthTable:
        if not Path(path).is_file():
            return load_table(path)
        return _known(path)

    for module in ("nascli.artifacts.truth", "nascli.core.engine.truth", "nascli.visualize.sources", *others):
        monkeypatch.setattr(f"{module}.load_table", known_table)


_PARSED: dict[str, CellGenotype] = {}


def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the text of a cell be parsed once a process, for tests of what is around it in a table."""
    parse = NasBench201.parse

    def known(space: NasBench201, text: str, where: str) -> CellGenotype:
        if text not in _PARSED:
            _PARSED[text] = parse(space, text, where)
        return _PARSED[text]

    monkeypatch.setattr(NasBench201, "parse", known)


@cache
def of_the_benchmark() -> TruthTable:
    """The accuracies of the benchmark itself, read once a process."""
    if not (path := os.environ.get("NASCLI_TEST_TABLE")):
        pytest.skip("needs the benchmark's table: its path in NASCLI_TEST_TABLE")
    with pytest.MonkeyPatch.context() as patch:
        parsed_once(patch)
        return load_table(path)


def remember(texts: Iterable[str], cells: Iterable[CellGenotype]) -> None:
    """What these texts were parsed to."""
    _PARSED.update(zip(texts, cells, strict=True))
