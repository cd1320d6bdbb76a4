"""Images that a CSV file lists: a row for each, with its path, its label and, if there are parts, its part."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nascli.config import Config
from nascli.data.images import FileImages, Images
from nascli.data.skipping import or_skip
from nascli.data.sources.folders import fingerprint_of_files
from nascli.data.sources.layout import WORDS
from nascli.data.sources.parts import PARTS, Part, Parts, labelled_source, required_file, source_of, training_part
from nascli.data.sources.source import Source
from nascli.errors import DataError

WHAT = "a CSV file with the columns path, label and, if there are parts, split (train, val or test)"

LONGEST_NUMBER = 18
"""Labels of at most so many digits are numbers, and classes are in their order."""

DELIMITERS = ",;\t"

PART_OF: dict[str, Part] = {word: part for part in PARTS for word in WORDS[part]}
"""The parts by what the column `split` calls them, in lower case."""


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    part: Part


def table(config: Config) -> Source:
    """A user's own images as a CSV file lists them.

    Columns: `path`, relative to the file's folder; `label`; and, if there are parts, `split`. Other columns are
    ignored. Without test images, those for validation are, and without these a fifth of each class is held out, always
    the same images. Raises UsageError without data_dir, DataError for an unusable file.
    """
    return source_of(_read(config))


def labelled_table(config: Config, fingerprint: str, trained_at: Path | None) -> Source:
    """A CSV file for evaluating a model; see `labelled_source`."""
    return labelled_source(_read(config), fingerprint, trained_at)


def find_training_part(config: Config) -> Images:
    """The images that `table` would train on."""
    return training_part(_read(config, fingerprinted=False))


def _read(config: Config, *, fingerprinted: bool = True) -> Parts:
    file = required_file(config, WHAT)
    root = file.parent
    rows, notices = _rows(file, root)
    if not config.skip_corrupt:
        _check_files(file, rows, root)
    labels = sorted({row.label for row in rows})
    numbered = all(label.isdecimal() and len(label) <= LONGEST_NUMBER for label in labels)
    classes = tuple(sorted(labels, key=int) if numbered else labels)  # sorting twice orders "01" and "1", too
    numbers = {label: number for number, label in enumerate(classes)}
    members = {part: [row for row in rows if row.part == part] for part in PARTS}
    images = {
        part: FileImages(
            root,
            np.array([os.fsencode(row.path) for row in own]),
            np.array([numbers[row.label] for row in own], np.int64),
            classes,
        )
        for part, own in members.items()
        if own
    }
    return Parts(
        file,
        images,
        [row.path for row in members["train"]],
        _fingerprint(root, rows, classes) if fingerprinted else "",
        notices,
    )


def _rows(file: Path, root: Path) -> tuple[list[_Row], tuple[str, ...]]:
    """The rows of a file, and notices of empty and of repeated lines. Raises one DataError for all faults."""
    header, *lines = _lines(file)
    columns = {name.strip().lower(): place for place, name in reversed(list(enumerate(header[1])))}
    if missing := [name for name in ("path", "label") if name not in columns]:
        raise DataError(
            f"{file} has no column {' and no column '.join(map(repr, missing))}; its first line is "
            f"{', '.join(header[1]) or 'empty'}: it must name the columns, such as path,label,split"
        )
    rows: list[_Row] = []
    faults: list[str] = []
    seen: dict[str, _Row] = {}
    blank = repeated = 0
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            blank += 1
            continue
        values = {name: cells[place].strip() if place < len(cells) else "" for name, place in columns.items()}
        if empty := [name for name in ("path", "label") if not values[name]]:
            faults.append(f"line {number} has no {empty[0]}")
            continue
        part = PART_OF.get(values.get("split", "train").lower())
        if part is None:
            faults.append(f"line {number}: unknown split {values['split']!r}: train, val or test")
            continue
        row = _Row(number, os.path.normpath(values["path"]), values["label"], part)
        # By its place, since an absolute and a relative path may name one file, which must not be in two parts.
        other = seen.setdefault(os.path.normpath(root.absolute() / row.path), row)
        if (other.label, other.part) != (row.label, row.part):
            faults.append(f"lines {other.line} and {number} give {row.path} another label or split")
        elif other is row:
            rows.append(row)
        else:
            repeated += 1
    if faults:
        raise DataError(f"{file}: {_some(faults)}")
    if not rows:
        raise DataError(f"{file} lists no image")
    told = ((blank, "empty line", "skipped"), (repeated, "repeated line", "counted once"))
    return rows, tuple(
        f"{file}: {count:,} {what}{'s' if count > 1 else ''} {done}" for count, what, done in told if count
    )


def _lines(file: Path) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines of a CSV file as cells, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as text in UTF-8: {error}") from None
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count), strict=True)
    try:
        yield 1, next(reader, [])
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: {error}") from None


def _check_files(file: Path, rows: Iterable[_Row], root: Path) -> None:
    """Raise DataError for rows whose file is not there."""
    absent = [f"line {row.line}: there is no file {root / row.path}" for row in rows if not (root / row.path).is_file()]
    if absent:
        raise DataError(
            f"{file}, {_some(absent)}; paths are relative to the CSV file{or_skip(' (--skip-corrupt leaves them out)')}"
        )


def _some(faults: list[str]) -> str:
    return faults[0] + (f" (and {len(faults) - 1:,} more like it)" if len(faults) > 1 else "")


def _fingerprint(root: Path, rows: Sequence[_Row], classes: Sequence[str]) -> str:
    """SHA-256 of the classes in their order and of all paths, parts and labels, together with the files."""
    listed = [(f"{row.part}\0{row.label}", row.path, root / row.path) for row in rows]
    return hashlib.sha256(f"{classes!r}\0{fingerprint_of_files(root, listed)}".encode()).hexdigest()
