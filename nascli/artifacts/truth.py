"""A user's table of the true accuracies of all cells of a small space: what a found cell is really worth.

It is a CSV file with a column `architecture`, in the text form of the space, and columns of accuracies in per cent.
"""

import csv
import io
import re
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, isfinite
from pathlib import Path

from nascli.artifacts.files.disk import read_bytes, sha256
from nascli.artifacts.genotypes.genotype import Genotype
from nascli.errors import ArtifactError, UsageError, unknown
from nascli.faults import shorten, shorten_name
from nascli.spaces import space_of_text, text_forms
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.protocol import CellSpace, all_genotypes, cell_count

ARCHITECTURE = "architecture"
MOST_CELLS = 1_000_000
"""The most cells of a space that a table can list."""

LARGEST_TABLE = 1 << 28
TOP = 0.05
"""Pictures mark the least accuracy of this share of the cells, the best ones."""


@dataclass(frozen=True)
class Worth:
    """What a cell is worth by one column of a table, in per cent.

    `rank` counts from 1; cells of equal accuracy share it. `better` is the share of all cells, 0 to 1, that are better;
    `gap` is the distance to the best, in percentage points.
    """

    column: str
    accuracy: float
    rank: int
    better: float
    gap: float


@dataclass(frozen=True, eq=False)
class TruthTable:
    """Every cell of a space with its accuracies, in the order of the file. `sha256` is that of the file."""

    where: str
    sha256: str
    space: CellSpace
    columns: tuple[str, ...]
    genotypes: tuple[CellGenotype, ...]
    accuracies: Mapping[str, tuple[float, ...]]
    """By column."""

    def __len__(self) -> int:
        return len(self.genotypes)

    def column(self, name: str | None, hint: str) -> str:
        """The column called `name`. None: the first with a word that begins with `hint`, or else the first of all.

        Raises UsageError for an unknown name.
        """
        if name is None:
            # Words are split at punctuation: "test" begins one in "Test" and "cifar10_test", but not in "latest".
            words = {column: re.findall(r"[a-z0-9]+", column.lower()) for column in self.columns}
            meant = (column for column in self.columns if any(word.startswith(hint) for word in words[column]))
            return next(meant, self.columns[0])
        if name not in self.columns:
            raise UsageError(f"{self.where}: {unknown('column', name, self.columns)}")
        return name

    def accuracy(self, genotype: Genotype, column: str) -> float:
        """The accuracy of a genotype in per cent. Raises UsageError for a genotype of another space."""
        if genotype.space != self.space.name:
            raise UsageError(
                f"{self.where} knows cells of the space {self.space.name}, not those of {genotype.space}: "
                "leave --table out"
            )
        return self.accuracies[column][self._rows[genotype.network()]]

    def worth(self, genotype: Genotype, column: str) -> Worth:
        """The accuracy of a genotype among those of all. Raises UsageError for one of another space."""
        accuracy, ranked = self.accuracy(genotype, column), self._ranked[column]
        better = len(ranked) - bisect_right(ranked, accuracy)
        return Worth(column, accuracy, better + 1, better / len(ranked), ranked[-1] - accuracy)

    def quantile(self, column: str, share: float) -> float:
        """The least accuracy of the best `share` of all cells, 0 to 1, in per cent."""
        ranked = self._ranked[column]
        return ranked[-max(1, round(share * len(ranked)))]

    def median(self, column: str) -> float:
        """The median accuracy in per cent."""
        ranked, middle = self._ranked[column], len(self) // 2
        return ranked[middle] if len(self) % 2 else (ranked[middle - 1] + ranked[middle]) / 2

    def best(self, column: str) -> float:
        """The best accuracy in per cent."""
        return self._ranked[column][-1]

    def expected(self, probabilities: Sequence[float], column: str) -> float:
        """The mean accuracy in per cent of cells with these probabilities, given in the order of `genotypes`."""
        return fsum(p * accuracy for p, accuracy in zip(probabilities, self.accuracies[column], strict=True))

    @cached_property
    def _rows(self) -> Mapping[Hashable, int]:
        return {genotype.network(): row for row, genotype in enumerate(self.genotypes)}

    @cached_property
    def _ranked(self) -> Mapping[str, list[float]]:
        return {column: sorted(values) for column, values in self.accuracies.items()}


def load_table(path: str | Path) -> TruthTable:
    """Read a table. Raises ArtifactError that names the line and what is wrong with it."""
    data, where = read_bytes(path, LARGEST_TABLE), str(path)
    try:
        text = data.decode().removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    except UnicodeDecodeError as error:
        number = len((data[: error.start] + b".").splitlines())
        raise ArtifactError(f"{where}: line {number}: is not UTF-8 text") from None
    rows = _rows(text, where)
    number, header = next(rows, (0, []))
    if not number:
        raise ArtifactError(f"{where}: line 1: is empty")
    columns = _columns(header, where)
    place = header.index(ARCHITECTURE)
    space: CellSpace | None = None
    genotypes: list[CellGenotype] = []
    accuracies: dict[str, list[float]] = {column: [] for column in columns}
    seen: dict[Hashable, int] = {}
    for number, row in rows:
        line = f"{where}: line {number}"
        if len(row) != len(header):
            raise ArtifactError(f"{line}: has {len(row)} fields; the header has {len(header)}")
        space = space or _space(row[place], line)
        genotype = space.parse(row[place], line)
        first = seen.setdefault(genotype.network(), number)
        if first != number:
            raise ArtifactError(f"{line}: the architecture {space.format(genotype).strip()} is on line {first} already")
        genotypes.append(genotype)
        for name, value in zip(header, row, strict=True):
            if name != ARCHITECTURE:
                accuracies[name].append(_accuracy(value, f"{line}: {shorten_name(name)}"))
    if space is None:
        raise ArtifactError(f"{where}: line 1: is the only one; a line for every architecture must follow it")
    _check_complete(space, genotypes, where, number)
    if share := next((name for name, values in accuracies.items() if max(values) <= 1), None):
        raise ArtifactError(
            f"{where}: {shorten_name(share)}: has no accuracy above 1: they are in per cent, 93.5 rather than 0.935"
        )
    found = {column: tuple(values) for column, values in accuracies.items()}
    return TruthTable(where, sha256(data), space, columns, tuple(genotypes), found)


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The number and the fields of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    first = 1
    try:
        for row in reader:
            if row:
                yield first, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise ArtifactError(f"{where}: line {first}: is not CSV: {error}") from None


def _columns(header: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns of accuracies."""
    if ARCHITECTURE not in header:
        raise ArtifactError(
            f"{where}: line 1: has no column {ARCHITECTURE!r}, but {', '.join(map(shorten, header[:5]))}"
        )
    if doubled := next((name for place, name in enumerate(header) if name in header[:place]), None):
        raise ArtifactError(f"{where}: line 1: the column {shorten(doubled)} is there twice")
    if not all(header):
        raise ArtifactError(f"{where}: line 1: column {header.index('') + 1} has no name")
    columns = tuple(name for name in header if name != ARCHITECTURE)
    if not columns:
        raise ArtifactError(f"{where}: line 1: has no column of accuracies beside {ARCHITECTURE!r}")
    return columns


def _space(text: str, line: str) -> CellSpace:
    space = space_of_text(text)
    if space is None:
        raise ArtifactError(f"{line}: {shorten(text)} is no architecture, which looks like {text_forms()}")
    if cell_count(space) > MOST_CELLS:
        raise ArtifactError(f"{line}: the space {space.name} has too many cells for a table of all of them")
    return space


def _accuracy(text: str, place: str) -> float:
    try:
        # Python also takes underscores and digits of other scripts, which are mistakes in a table.
        value = float("" if "_" in text or not text.isascii() else text)
    except ValueError:
        raise ArtifactError(f"{place}: {shorten(text)} is not a number") from None
    if not isfinite(value) or not 0 <= value <= 100:
        raise ArtifactError(f"{place}: {value:g} is not an accuracy in per cent, from 0 to 100")
    return value


def _check_complete(space: CellSpace, genotypes: Sequence[CellGenotype], where: str, last: int) -> None:
    """Raise ArtifactError unless every cell of the space is there. None of the `genotypes` may be there twice."""
    missing = cell_count(space) - len(genotypes)
    if missing:
        there = {genotype.network() for genotype in genotypes}
        one = next(genotype for genotype in all_genotypes(space) if genotype.network() not in there)
        raise ArtifactError(
            f"{where}: line {last}: is the last, and {missing:,} of the {cell_count(space):,} architectures of "
            f"{space.name} are missing, for example {space.format(one).strip()}"
        )
