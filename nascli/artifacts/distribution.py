"""The distribution over architectures that a search has learnt, and its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from numpy.typing import NDArray

from nascli.artifacts import tensors
from nascli.artifacts.formats import check_format, validate
from nascli.artifacts.provenance import Provenance
from nascli.errors import ArtifactError, unknown
from nascli.faults import shorten
from nascli.registry import DISTRIBUTIONS, load

FORMAT = "nascli-distribution"
VERSION = 1

_SHARED = "shared."
"""What the names of shared weights begin with."""


@runtime_checkable
class Distribution(Protocol):
    """What every kind of distribution is asked; what else it offers is up to its kind.

    A further kind is a class of this shape, with `assemble` besides, and its row in `nascli.registry.DISTRIBUTIONS`.
    """

    kind: str
    """Its name in the registry."""

    def settings(self) -> dict[str, Any]:
        """What the tensors are about, as JSON."""

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """All that was learnt, under the names that it has in a file."""

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """What a search that goes on with this distribution must have in common with it. `origin`: its file's."""

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""


@dataclass(frozen=True, eq=False)
class DistributionFile:
    """A distribution and where it comes from: the content of `run.safetensors`.

    `weights`: those that the search has shared among all cells, by their names in the search network's state, for
    scoring cells that are drawn. None where there are none, or where they are part of what was learnt.
    """

    distribution: Distribution
    provenance: Provenance
    weights: Mapping[str, NDArray[Any]] | None = None


def distribution_bytes(file: DistributionFile) -> bytes:
    """The file's bytes, the same for the same content."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kind": file.distribution.kind,
        "settings": file.distribution.settings(),
        "provenance": file.provenance.model_dump(mode="json"),
    }
    shared = {_SHARED + name: values for name, values in (file.weights or {}).items()}
    return tensors.encode({**file.distribution.tensors(), **shared}, document)


def load_distribution(data: bytes, where: str) -> DistributionFile:
    """Read a distribution's file. Raises ArtifactError with the place of the fault."""
    values, document = tensors.decode(data, where)
    return from_parts(values, document, where)


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
    shared = {name.removeprefix(_SHARED): array for name, array in values.items() if name.startswith(_SHARED)}
    own = {name: array for name, array in values.items() if not name.startswith(_SHARED)}
    try:
        distribution = load(DISTRIBUTIONS[kind].target).assemble(settings, own)
        return DistributionFile(distribution, provenance, shared or None)
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}") from None
