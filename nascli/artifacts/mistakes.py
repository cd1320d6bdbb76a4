"""The wrong answers of an evaluation, as a table in CSV: the most confident ones first."""

import csv
import io
from dataclasses import dataclass

from nascli.errors import ArtifactError
from nascli.faults import shorten

PATH, NUMBER = "path", "index"
COLUMNS = ("truth", "answer", "probability", "truth_probability")
_LONGEST_HEADER = 1000


@dataclass(frozen=True)
class Mistake:
    """A picture that was taken for another class, and the probabilities of that answer and of the true class.

    place: the absolute path of its file or, for data that are not in files, its number among the test images, from 0.
    """

    place: str
    truth: str
    answer: str
    probability: float
    truth_probability: float


@dataclass(frozen=True)
class Mistakes:
    """The rows of a table. in_files: whether pictures have paths; if not, they have numbers."""

    rows: tuple[Mistake, ...]
    in_files: bool


def mistakes_csv(mistakes: Mistakes) -> bytes:
    """The table as a file, in UTF-8; a path keeps its bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((PATH if mistakes.in_files else NUMBER, *COLUMNS))
    for row in mistakes.rows:
        writer.writerow((row.place, row.truth, row.answer, row.probability, row.truth_probability))
    return text.getvalue().encode("utf-8", "surrogateescape")


def is_mistakes_csv(data: bytes) -> bool:
    """Whether a file begins with the columns of such a table, in any order and among others."""
    return {*COLUMNS} <= {*_header(data)}


def read_mistakes(data: bytes, where: str) -> Mistakes:
    """The table in a file, with its rows in their order. Raises ArtifactError."""
    header = _header(data)
    missing = [name for name in COLUMNS if name not in header]
    place = next((name for name in (PATH, NUMBER) if name in header), None)
    if missing or place is None:
        named = ", ".join([*missing, *([] if place else [f"{PATH} (or {NUMBER})"])])
        raise ArtifactError(
            f"{where}: is not a table of wrong answers, as 'nascli eval --errors' writes it: it has no column {named}"
        )
    reader = csv.DictReader(io.StringIO(_text(data), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            at = f"{where}: line {reader.line_num}"
            if not all(row[name] for name in (place, *COLUMNS)):
                raise ArtifactError(f"{at}: a value is missing")
            probabilities = (_probability(row[name], at) for name in COLUMNS[2:])
            rows.append(Mistake(row[place], row["truth"], row["answer"], *probabilities))
    except csv.Error as error:
        raise ArtifactError(f"{where}: after line {reader.line_num}: {error}") from None
    return Mistakes(tuple(rows), place == PATH)


def _text(data: bytes) -> str:
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _header(data: bytes) -> list[str]:
    first, _, _ = data[:_LONGEST_HEADER].partition(b"\n")
    return next(csv.reader([_text(first).rstrip("\r")]), [])


def _probability(text: str, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArtifactError(f"{at}: {shorten(text)} is no probability: it must be a number from 0 to 1")
    return value
