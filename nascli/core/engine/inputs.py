"""What a stage may be given: a file, `-`, a published name, or the result of the stage before it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from nascli.artifacts.files.disk import read_once, refuse_overwriting
from nascli.artifacts.load import Artifact, File, LoadedArtifact, load_artifact, read_artifact
from nascli.errors import UsageError

Output = str | Path | None
Source = str | Path | LoadedArtifact[Artifact]


def artifact(source: Source, file: type[File]) -> LoadedArtifact[File]:
    """The artifact behind `source`. Raises ArtifactError for a damaged file or one of another kind."""
    if not isinstance(source, LoadedArtifact):
        return load_artifact(source).holding(file)
    if not isinstance(source.value, file):
        raise UsageError(f"a {file.artifact} is needed here, not a {source.kind}")
    return source.holding(file)


def artifacts(sources: Sequence[Source], file: type[File]) -> tuple[LoadedArtifact[File], ...]:
    """The artifacts behind several sources. Raises as `artifact`; UsageError for none, or for standard input twice."""
    if not sources:
        raise UsageError(f"no {file.artifact} is given: name at least one")
    read_once(*(source for source in sources if not isinstance(source, LoadedArtifact)))
    return tuple(artifact(source, file) for source in sources)


def refuse_overwriting_artifacts(outputs: Iterable[Output], *inputs: LoadedArtifact[Artifact] | None) -> None:
    """Raise UsageError for an output that is the file of an input (`refuse_overwriting`)."""
    refuse_overwriting(outputs, [one.where for one in inputs if one is not None])


def given_twice(one: LoadedArtifact[Artifact], other: LoadedArtifact[Artifact]) -> str:
    """What to say of two inputs that are the same artifact: whether it is one file, or a copy."""
    return f"{one.where} is given twice" if one.where == other.where else f"{one.where} and {other.where} are the same"


def read_back(content: bytes, path: Path | None, file: type[File]) -> LoadedArtifact[File]:
    """A result, read back from the bytes that were written, as the next stage would read it."""
    return read_artifact(content, str(path) if path else "the result").holding(file)
