"""The distribution over architectures that a search has learnt, and its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.logits import mean_logits
from nascli.artifacts.files import tensors
from nascli.artifacts.files.formats import check_format, validate
from nascli.artifacts.provenance import ArtifactKind, Provenance
from nascli.errors import LONGEST_NAME, ArtifactError, UsageError, unknown
from nascli.faults import shorten
from nascli.registry import DISTRIBUTIONS, load

FORMAT = "nascli-distribution"
VERSION = 1

_SHARED, _COURSE = "shared.", "course."
"""Prefixes of the names of tensors: shared weights, and the distribution after each epoch."""


@runtime_checkable
class Distribution(Protocol):
    """What every kind of distribution offers; some kinds offer more.

    To add a kind, write a class of this shape and its row in `nascli.registry.DISTRIBUTIONS`.
    """

    kind: str
    """Its name in the registry."""

    noun: str
    """What messages call one of them, after "a"."""

    @property
    def data(self) -> DataInfo | None:
        """The images that its weights are for. None: it has no weights and suits any images."""

    def undecided(self) -> Entropy | None:
        """How much is undecided; None for a kind that does not decide gradually."""

    def settings(self) -> dict[str, Any]:
        """What the tensors describe, as JSON."""

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """All that was learnt, under its names in a file."""

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it.

        `origin` is the provenance of its file.
        """

    def facts(self) -> dict[str, Any]:
        """What is worth knowing about it, as JSON."""

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""


@runtime_checkable
class OffersMean(Protocol):
    """A distribution whose tensors are all logits, so that several have a mean."""

    @classmethod
    def mean(cls, several: Sequence[Self]) -> Self:
        """The distribution of the mean logits of several over the same space."""


@dataclass(frozen=True, eq=False)
class DistributionFile:
    """A distribution and where it comes from: the content of `run.safetensors`.

    `weights` are those that the search shared among all cells, by their names in the search network's state; they score
    drawn cells. None if there are none, or if they are part of the distribution. `course` holds the distribution's
    tensors after each epoch, [epochs, …] by name; the last row equals the distribution. None if only the last is known.
    """

    artifact: ClassVar[ArtifactKind] = "distribution"

    distribution: Distribution
    provenance: Provenance
    weights: Mapping[str, NDArray[Any]] | None = None
    course: Mapping[str, NDArray[Any]] | None = None

    @property
    def subject(self) -> Distribution:
        """What pictures and descriptions of the file show."""
        return self.distribution

    def averaged(self, epochs: int) -> Distribution:
        """The distribution of the mean logits of the last `epochs` epochs. Raises UsageError if fewer are known."""
        if self.course is None:
            raise UsageError(f"of a {self.distribution.noun} only the last epoch is known: there is no average")
        known = len(next(iter(self.course.values())))
        if not 1 <= epochs <= known:
            raise UsageError(f"an average can be of 1 to {known} epochs, as many as the search had, not of {epochs}")
        rows = [{name: values[row] for name, values in self.course.items()} for row in range(known - epochs, known)]
        return type(self.distribution).assemble(self.distribution.settings(), mean_logits(rows))


def distribution_bytes(file: DistributionFile) -> bytes:
    """The file's bytes, the same for the same content."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kind": file.distribution.kind,
        "settings": file.distribution.settings(),
        "provenance": file.provenance.model_dump(mode="json"),
    }
    parts = ((_SHARED, file.weights), (_COURSE, file.course))
    extra = {prefix + name: values for prefix, part in parts for name, values in (part or {}).items()}
    return tensors.encode({**file.distribution.tensors(), **extra}, document)


def from_parts(values: Mapping[str, Any], document: Mapping[str, Any], where: str) -> DistributionFile:
    """A distribution from its decoded file. Raises ArtifactError."""
    check_format(document, where, FORMAT, VERSION)
    if document.keys() != {"format", "version", "kind", "settings", "provenance"}:
        raise ArtifactError(f"{where}: the document's fields are not those of a distribution")
    kind, settings = document["kind"], document["settings"]
    if not isinstance(kind, str):
        raise ArtifactError(f"{where}: kind: must be text, not {shorten(kind)}")
    if kind not in DISTRIBUTIONS:
        raise ArtifactError(f"{where}: kind: {unknown('kind of distribution', kind[:60], DISTRIBUTIONS)}")
    if not isinstance(settings, dict):
        raise ArtifactError(f"{where}: settings: must be an object")
    provenance = validate(Provenance, document["provenance"], where, at="provenance")
    shared, course = (
        {name.removeprefix(prefix): array for name, array in values.items() if name.startswith(prefix)}
        for prefix in (_SHARED, _COURSE)
    )
    own = {name: array for name, array in values.items() if not name.startswith((_SHARED, _COURSE))}
    try:
        distribution = load(DISTRIBUTIONS[kind].target).assemble(settings, own)
        _check_course(course, distribution.tensors())
        return DistributionFile(distribution, provenance, shared or None, course or None)
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}") from None


def _check_course(course: Mapping[str, NDArray[Any]], now: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError unless the course is empty or ends in the distribution as it is now."""
    if not course:
        return
    if course.keys() != now.keys():
        raise ValueError(
            f"{_COURSE}{min(course.keys() ^ now.keys())[:LONGEST_NAME]}: is missing, or has no counterpart"
        )
    for name, values in course.items():
        if values.dtype != now[name].dtype or values.shape[1:] != now[name].shape or not np.isfinite(values).all():
            raise ValueError(f"{_COURSE}{name}: does not have the type, the shape and the numbers of {name}")
        if not np.array_equal(values[-1:], now[name][None]):
            raise ValueError(f"{_COURSE}{name}: does not end in {name}")
