"""Loads any artifact from what a command is given: a path, "-", the name of a published cell, or a genotype as text."""

import difflib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from nascli.artifacts import detector, model, ranking_part
from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.distributions import distribution
from nascli.artifacts.distributions.distribution import Distribution, DistributionFile
from nascli.artifacts.files import formats, tensor_file, tensors
from nascli.artifacts.files.disk import LARGEST_INPUT, PROMISES, display_name, is_pipe, read_bytes, sha256
from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import LARGEST_FILE as LARGEST_GENOTYPE
from nascli.artifacts.genotypes.genotype import GenotypeFile, parse_genotype
from nascli.artifacts.mistakes import is_mistakes_csv
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import LONGEST_DESCENT, Ancestor, ArtifactKind, Provenance
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.errors import ArtifactError, unknown
from nascli.faults import shorten, shorten_name
from nascli.spaces import space_of_text

Artifact: TypeAlias = GenotypeFile | DistributionFile | ModelFile | DetectorFile | RankingPartFile
File = TypeVar("File", bound=Artifact)
_Artifact_co = TypeVar("_Artifact_co", bound=Artifact, covariant=True)

_HOW_TO_MAKE: Mapping[tuple[str, str], str] = {
    ("distribution", "genotype"): "make one with 'nascli derive {source}'",
    ("distribution", "model"): "make one with 'nascli derive {source}', then 'nascli train'",
    ("genotype", "model"): "make one with 'nascli train {source}'",
    ("genotype", "distribution"): "make one with 'nascli search'",
    ("model", "distribution"): "make one with 'nascli search'",
    ("detector", "model"): "it finds boxes; classes come from a model of 'nascli train' without --task detect",
    ("detector", "genotype"): "give the one that it was trained from",
    ("detector", "distribution"): "make one with 'nascli search'",
    ("genotype", "detector"): "make one with 'nascli train {source} --task detect'",
    ("model", "detector"): "make one with 'nascli train --task detect --from {source}'",
    ("ranking part", "genotype"): "put all parts together with 'nascli derive RUN --join PART PART …'",
    ("ranking part", "model"): "put all parts together with 'nascli derive RUN --join PART PART …'",
    ("ranking part", "distribution"): "name the run that is ranked first, then --join and the parts",
    ("distribution", "ranking part"): "make one with 'nascli derive {source} --shard 1/8'",
    ("model", "genotype"): "give the one that it was trained from, or 'nascli train --from {source}'",
}
LONGEST_NAME = 1000
"""The longest path, in characters, that a message prints whole."""
_BINARY_START = 16
_START = 1000
"""Bytes that tell files apart which may be large."""
_ONNX_STARTS = tuple(bytes((0x08, version, tag)) for version in range(1, 32) for tag in (0x12, 0x1A, 0x3A, 0x42))
"""The field of the version of ONNX's format, and the beginning of the field that comes next."""
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class LoadedArtifact(Generic[_Artifact_co]):
    """An artifact with the digest of its file and its name in messages."""

    value: _Artifact_co
    sha256: str
    where: str

    @property
    def kind(self) -> ArtifactKind:
        """What the file holds, as messages call it."""
        return self.value.artifact

    @property
    def provenance(self) -> Provenance:
        """How the artifact came about."""
        return self.value.provenance

    @property
    def distribution(self) -> Distribution:
        """The distribution in the file. Raises ArtifactError for other files."""
        if not isinstance(self.value, DistributionFile):
            raise ArtifactError(f"{self.where} holds a {self.kind}, not a distribution")
        return self.value.distribution

    def holding(self, file: type[File]) -> "LoadedArtifact[File]":
        """The same, typed by the kind of file that it holds. Raises ArtifactError if it holds another."""
        if not isinstance(self.value, file):
            raise _wrong_kind(self, {file.artifact})
        return LoadedArtifact(self.value, self.sha256, self.where)

    def ancestor(self) -> Ancestor:
        """The artifact as the next stage's provenance names it."""
        known = self.provenance.cut(LONGEST_DESCENT)
        return Ancestor(sha256=self.sha256, artifact=self.kind, provenance=known)


LoadedGenotype: TypeAlias = LoadedArtifact[GenotypeFile]
LoadedDistribution: TypeAlias = LoadedArtifact[DistributionFile]
LoadedModel: TypeAlias = LoadedArtifact[ModelFile]
LoadedDetector: TypeAlias = LoadedArtifact[DetectorFile]
LoadedRankingPart: TypeAlias = LoadedArtifact[RankingPartFile]


def load_artifact(source: str | Path, *, expect: Collection[ArtifactKind] | None = None) -> LoadedArtifact[Artifact]:
    """Read what a path, "-" or the name of a published cell stands for, or a genotype as text.

    A file takes precedence over a name, and a name over a text.

    Raises ArtifactError if nothing is found, if the content is malformed or of a newer version, and, with `expect`, if
    it is of another kind. The message then names the command that makes the right one.
    """
    loaded = read_artifact(*read_source(source))
    if expect is not None and loaded.kind not in expect:
        raise _wrong_kind(loaded, expect)
    return loaded


def read_source(source: str | Path) -> tuple[bytes, str]:
    """The bytes that `load_artifact` would read, and what messages call them. Raises ArtifactError as it does."""
    source = str(source)
    where = display_name(source)
    return _bytes_of(source), shorten_name(where) if _is_text(source) else where


def read_artifact(data: bytes, where: str) -> LoadedArtifact[Artifact]:
    """The artifact in the bytes of a file, which messages call `where`. Raises ArtifactError."""
    return LoadedArtifact(_parse(data, where), sha256(data), where)


def _wrong_kind(found: LoadedArtifact[Artifact], wanted: Collection[ArtifactKind]) -> ArtifactError:
    """The error for a file of an unwanted kind, with the command that makes the right one."""
    kinds = sorted(wanted)
    ways = [_HOW_TO_MAKE[found.kind, kind] for kind in kinds if (found.kind, kind) in _HOW_TO_MAKE]
    hint = f": {ways[0].format(source=found.where)}" if ways else ""
    return ArtifactError(f"{found.where} holds a {found.kind}, not {' or '.join(f'a {kind}' for kind in kinds)}{hint}")


def _bytes_of(source: str) -> bytes:
    if is_pipe(source):
        return read_bytes(source)
    if _is_file(source):
        return _read_file(source)
    if source in published.names():
        return published.read(source)
    if _is_text(source):
        return source.encode("utf-8", "surrogateescape")
    with suppress(OSError, ValueError):
        if Path(source).exists():
            return read_bytes(source)
    raise ArtifactError(_not_found(source))


def _is_text(source: str) -> bool:
    """Whether a source is itself a genotype, in JSON or in the text form of a space, and not the name of one."""
    return not _is_file(source) and (source.lstrip().startswith("{") or space_of_text(source) is not None)


def _is_file(source: str) -> bool:
    with suppress(OSError, ValueError):  # a text may be longer than any file's name, or have a null character
        return Path(source).is_file()
    return False


def _read_file(source: str) -> bytes:
    """The bytes of a file. Raises ArtifactError if it is too large for what its first bytes say it is."""
    limit = LARGEST_INPUT
    with suppress(OSError), Path(source).open("rb") as stream:
        start = stream.read(_START)
        if not tensor_file.looks_like_safetensors(start) and not is_mistakes_csv(start):
            _refuse_foreign(start, source)
            limit = LARGEST_GENOTYPE
    return read_bytes(source, limit)


def _refuse_foreign(start: bytes, where: str) -> None:
    """Raise ArtifactError for a file that begins as those of other programs do."""
    if start.startswith(_PICKLE_STARTS):
        raise ArtifactError(
            f"{where}: is a pickle (torch.save) or an archive; a pickle can run code, so nascli reads neither"
        )
    if start.startswith(_ONNX_STARTS):
        raise ArtifactError(f"{where}: is an ONNX file, made for other programs: give the model that it came from")


def _not_found(source: str) -> str:
    """The message for a name that is neither a file nor a published cell, with the closest name that is one."""
    if len(source) > LONGEST_NAME or not source.isprintable():
        return f"no such file: {shorten_name(source)}"
    path = Path(source)
    if path.suffix or path.name != source:
        try:
            # Who names a file, by its ending, does not mean a folder.
            files_only = path.suffix in PROMISES
            neighbours = [item.name for item in path.parent.iterdir() if not files_only or item.is_file()]
        except OSError:
            neighbours = []
        close = difflib.get_close_matches(path.name, neighbours, n=1)
        return f"no such file: {source}" + (f"; did you mean {path.with_name(close[0])}?" if close else "")
    return f"no such file, and {unknown('published genotype', source, published.names())}"


def _parse(data: bytes, where: str) -> Artifact:
    """Tell the kind by the content; a file's name says nothing."""
    if not data:
        raise ArtifactError(f"{where}: is empty")
    # Safetensors come first: the length that such a file begins with may look like the start of a pickle.
    if not tensor_file.looks_like_safetensors(data):
        _refuse_foreign(data, where)
        if b"\0" in data[:_BINARY_START]:
            raise ArtifactError(f"{where}: is damaged, cut short, or not a file of nascli at all")
        return parse_genotype(data, where)
    values, document = tensors.decode(data, where)
    match document.get("format"):
        case distribution.FORMAT:
            return distribution.from_parts(values, document, where)
        case model.FORMAT:
            return model.from_parts(values, document, where)
        case detector.FORMAT:
            return detector.from_parts(values, document, where)
        case ranking_part.FORMAT:
            return ranking_part.from_parts(values, document, where)
        case formats.CHECKPOINT:
            raise ArtifactError(f"{where} is the checkpoint of a run: go on with --resume")
        case None:
            raise ArtifactError(f'{where}: is not a file of nascli: it names no "format"')
        case other:
            raise ArtifactError(f"{where}: format: {shorten(other)} is none of nascli's, or of a newer nascli")
