"""The classes of pictures: lines for a person, a line of JSON each, or a table for other programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nascli.errors import escaped

if TYPE_CHECKING:
    from nascli.core.engine.predict import Prediction


class Table:
    """Classes with their probabilities in columns, and the picture after them. `classes`: those of the model."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._width = max(map(len, classes))

    def add(self, prediction: "Prediction") -> None:
        """Print a line; none for an unreadable picture."""
        if prediction.error is None:
            answers = zip(prediction.classes, prediction.probabilities, strict=True)
            columns = [f"{name:{self._width}} {share:7.2%}" for name, share in answers]
            print("  ".join([*columns, escaped(prediction.path)]))


class JsonLines:
    """A line of JSON for every picture."""

    def add(self, prediction: "Prediction") -> None:
        """Print it."""
        print(json.dumps(prediction.document()), flush=True)


class Csv:
    """A row for every picture, with columns for the `top` most probable classes; empty for an unreadable picture."""

    def __init__(self, top: int) -> None:
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        ranks = ["", *(f"_{rank}" for rank in range(2, top + 1))]
        self._columns = ["path", *(f"{name}{rank}" for rank in ranks for name in ("class", "probability"))]
        self._writer.writerow(self._columns)

    def add(self, prediction: "Prediction") -> None:
        """Add a row."""
        row: list[object] = [prediction.path]
        for name, share in zip(prediction.classes, prediction.probabilities, strict=True):
            row += [name, share]
        self._writer.writerow(row + [""] * (len(self._columns) - len(row)))

    def content(self) -> bytes:
        """The whole file, in UTF-8; a path keeps its bytes."""
        return self._text.getvalue().encode("utf-8", "surrogateescape")
