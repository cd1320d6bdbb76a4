"""The distribution over architectures that a search has learnt, and its file."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from nascli.artifacts import tensors
from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.faults import shorten
from nascli.artifacts.formats import check_format, validate
from nascli.artifacts.mixture import Edge, MixtureDistribution, edges
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.ranking import RankedCell, RankingDistribution
from nascli.errors import ArtifactError, unknown

__all__ = [
    "CategoricalDistribution",
    "Distribution",
    "Edge",
    "MixtureDistribution",
    "PosteriorDistribution",
    "RankedCell",
    "RankingDistribution",
    "distribution_bytes",
    "edges",
    "load_distribution",
]

FORMAT = "nascli-distribution"
VERSION = 1

# A further kind of distribution joins these two lines.
Distribution: TypeAlias = MixtureDistribution | CategoricalDistribution | RankingDistribution | PosteriorDistribution
KINDS: Mapping[str, type[Distribution]] = {
    kind.kind: kind
    for kind in (MixtureDistribution, CategoricalDistribution, RankingDistribution, PosteriorDistribution)
}


def distribution_bytes(distribution: Distribution) -> bytes:
    """The file's bytes, the same for the same distribution."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kind": distribution.kind,
        "settings": distribution.settings(),
        "provenance": distribution.provenance.model_dump(mode="json"),
    }
    return tensors.encode(distribution.tensors(), document)


def load_distribution(data: bytes, where: str) -> Distribution:
    """Read a distribution's file. Raises ArtifactError with the place of the fault."""
    values, document = tensors.decode(data, where)
    return from_parts(values, document, where)


def from_parts(values: Mapping[str, Any], document: Mapping[str, Any], where: str) -> Distribution:
    """A distribution from its decoded file. Raises ArtifactError."""
    check_format(document, where, FORMAT, VERSION)
    if document.keys() != {"format", "version", "kind", "settings", "provenance"}:
        raise ArtifactError(f"{where}: the document's fields are not those of a distribution")
    kind, settings = document["kind"], document["settings"]
    if not isinstance(kind, str):
        raise ArtifactError(f"{where}: kind: must be text, not {shorten(kind)}")
    if kind not in KINDS:
        raise ArtifactError(f"{where}: kind: {unknown('kind of distribution', kind[:60], KINDS)}")
    if not isinstance(settings, dict):
        raise ArtifactError(f"{where}: settings: must be an object")
    provenance = validate(Provenance, document["provenance"], where, at="provenance")
    try:
        return KINDS[kind].assemble(settings, values, provenance)
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}") from None
