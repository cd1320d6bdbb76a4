"""The file of a part of a ranking: the scores of some of its candidates, and what the other parts must agree on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nascli.artifacts.files import tensors
from nascli.artifacts.files.formats import check_format, validate
from nascli.artifacts.provenance import ArtifactKind, Provenance
from nascli.artifacts.runs.scores import POPULATIONS, Scored
from nascli.errors import ArtifactError, UsageError
from nascli.frozen import Frozen

FORMAT = "nascli-ranking-part"
VERSION = 1

MOST = 100_000
"""The most parts of a ranking: as many as it can have candidates."""

_COLUMNS: Mapping[str, type[np.generic]] = {
    "population": np.uint8,  # its number in POPULATIONS, which the document lists
    "number": np.int64,
    "accuracy": np.float64,
    "loss": np.float64,
    "parameters": np.int64,
    "multiply_adds": np.int64,
}
assert list(_COLUMNS) == [field.name for field in fields(Scored)]


class Shard(Frozen):
    """Part `number`, from 1, of `count`."""

    number: int = Field(ge=1)
    count: int = Field(ge=1, le=MOST)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.number > self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}")
        return self

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The inverse of `str`. Raises UsageError."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            raise UsageError(
                f"--shard {text!r} is no part of a whole: give i/n with i from 1 to n, as 1/8, 2/8 … 8/8 for eight "
                f"parts of at most {MOST:,}"
            )
        return cls(number=number, count=count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class RankingPartFile:
    """The scores of one part of a ranking's networks, in their order.

    `networks`: all of the ranking that differ. `together`: how many of them are in a forward pass, by which they are
    shared out. `images`: how many held-out images they are scored on. The provenance's configuration is the ranking's.
    """

    artifact: ClassVar[ArtifactKind] = "ranking part"

    shard: Shard
    scores: tuple[Scored, ...]
    networks: int
    together: int
    images: int
    provenance: Provenance


class _Document(Frozen):
    format: Literal["nascli-ranking-part"] = "nascli-ranking-part"
    version: Literal[1] = 1
    shard: Shard
    networks: int = Field(ge=1)
    together: int = Field(ge=1)
    images: int = Field(ge=1)
    populations: tuple[str, ...] = POPULATIONS
    provenance: Provenance


def ranking_part_bytes(file: RankingPartFile) -> bytes:
    """The file's bytes, the same for the same content."""
    document = _Document(
        shard=file.shard,
        networks=file.networks,
        together=file.together,
        images=file.images,
        provenance=file.provenance,
    )
    rows = [(POPULATIONS.index(score.population), *astuple(score)[1:]) for score in file.scores]
    columns = {
        name: np.array([row[place] for row in rows], dtype=kind) for place, (name, kind) in enumerate(_COLUMNS.items())
    }
    return tensors.encode(columns, document.model_dump(mode="json"))


def from_parts(values: Mapping[str, NDArray[Any]], document: Mapping[str, Any], where: str) -> RankingPartFile:
    """A part of a ranking from its decoded file. Raises ArtifactError."""
    check_format(document, where, FORMAT, VERSION)
    checked = validate(_Document, dict(document), where)
    scores = tuple(_rows(values, checked, where))
    return RankingPartFile(
        checked.shard, scores, checked.networks, checked.together, checked.images, checked.provenance
    )


def _rows(values: Mapping[str, NDArray[Any]], document: _Document, where: str) -> Iterator[Scored]:
    kinds = {name: (value.dtype, value.ndim) for name, value in values.items()}
    sizes = {value.shape for value in values.values()}
    if kinds != {name: (np.dtype(kind), 1) for name, kind in _COLUMNS.items()} or len(sizes) != 1:
        raise ArtifactError(f"{where}: its columns are not those of the scores of candidates")
    columns = {name: values[name].tolist() for name in _COLUMNS}
    names = document.populations
    for row in zip(*columns.values(), strict=True):
        population = names[row[0]] if row[0] < len(names) else ""
        yield Scored.of(dict(zip(_COLUMNS, (population, *row[1:]), strict=True)), where)
