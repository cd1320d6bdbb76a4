"""What a stage may be given: a file, `-`, a published name, or the result of the stage before it."""

from pathlib import Path

from nascli.artifacts.load import LoadedArtifact, load_artifact, read_artifact
from nascli.artifacts.provenance import ArtifactKind
from nascli.errors import UsageError

Source = str | Path | LoadedArtifact


def artifact(source: Source, kind: ArtifactKind) -> LoadedArtifact:
    """The artifact behind `source`. Raises ArtifactError for a damaged file or one of another kind."""
    if not isinstance(source, LoadedArtifact):
        return load_artifact(str(source), expect={kind})
    if source.kind != kind:
        raise UsageError(f"a {kind} is needed here, not a {source.kind}")
    return source


def made(content: bytes, path: Path | None) -> LoadedArtifact:
    """A result, read back from the bytes that were written: what the next stage would read is what is returned."""
    return read_artifact(content, str(path) if path else "the result")
