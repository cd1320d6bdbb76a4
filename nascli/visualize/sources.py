"""What to draw, given by a file, a published cell's name, or a run's folder."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nascli.artifacts.files.disk import check_output, read_once, refuse_overwriting, write_output
from nascli.artifacts.load import Artifact, LoadedArtifact, read_artifact, read_source
from nascli.artifacts.mistakes import is_mistakes_csv, read_mistakes
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.artifacts.runs.rundir import RunDir
from nascli.artifacts.runs.scores import Scored
from nascli.artifacts.truth import TruthTable, load_table
from nascli.errors import UsageError, unknown
from nascli.registry import GENOTYPES
from nascli.visualize import FORMATS, PICTURES, visualize
from nascli.visualize.mistakes.sheet import Sheet
from nascli.visualize.runs.judged import Judged
from nascli.visualize.runs.scored import Candidates


def drawable(*sources: str | Path | LoadedArtifact[Artifact]) -> Any:
    """What `visualize` draws for these sources.

    It is one artifact, the metrics of one or more run directories, the candidates that a derivation has scored, in its
    directory or in the file of a part, or the wrong answers of an evaluation. Raises ArtifactError for what cannot be
    read, UsageError for sources that don't fit into one picture.
    """
    # A source may be a genotype as text, longer than any path: os.path.isdir says no, Path.is_dir would raise.
    named = [source for source in sources if not isinstance(source, LoadedArtifact)]
    folders = [Path(source) for source in named if os.path.isdir(source)]  # noqa: PTH112
    if folders and len(folders) == len(sources):
        if scored := [folder for folder in folders if _scores(folder)]:
            if len(folders) > 1:
                raise UsageError(f"{scored[0]} holds the candidates of a posterior: draw it alone")
            return Candidates.of(_scores(scored[0]))
        return {name: RunDir(folder).read_metrics() for name, folder in zip(_names(folders), folders, strict=True)}
    if len(sources) != 1:
        raise UsageError("draw one file at a time, or several run directories")
    (source,) = sources
    if isinstance(source, LoadedArtifact):
        return _subject(source)
    content, where = read_source(source)
    if is_mistakes_csv(content) or str(source).endswith(".csv"):
        return Sheet(read_mistakes(content, where))
    return _subject(read_artifact(content, where))


def _subject(found: LoadedArtifact[Artifact]) -> Any:
    return Candidates.of(found.value.scores) if isinstance(found.value, RankingPartFile) else found.value.subject


def _scores(folder: Path) -> list[Scored]:
    """The candidates that a derivation has scored in a folder; of two rounds, those of the last that has begun."""
    run = RunDir(folder)
    rows = run.read_candidates() or run.read_candidates(shortlist=True)
    return [Scored.of(row, str(folder)) for row in rows]


def _named_format(output: str | Path) -> str | None:
    """The format that a file's ending stands for, if any."""
    return next((name for name, ending in FORMATS.items() if Path(output).suffix == ending), None)


def _format(output: str | Path, asked: str | None) -> str:
    """The format to draw in. Raises UsageError."""
    named = _named_format(output)
    if asked is not None and asked not in FORMATS:
        raise UsageError(unknown("format", asked, FORMATS))
    if asked and named and asked != named:
        raise UsageError(
            f"{output} ends like {named}, but {asked} is asked for: leave --format out, or change the ending"
        )
    if chosen := asked or named:
        return chosen
    raise UsageError(
        f"{output} does not say what kind of picture: end it in {', '.join(FORMATS.values())}, or name the format"
    )


def draw(
    *sources: str | Path | LoadedArtifact[Artifact],
    output: str | Path,
    format: str | None = None,
    title: str | None = None,
    overwrite: bool = False,
    table: str | Path | None = None,
    column: str | None = None,
    tell: Callable[[str], object] = lambda text: None,
) -> Path:
    """Draw a cell, a distribution, the course of runs or a sheet of wrong answers into a file. Returns its path.

    format: by default that of the file's ending. table: a file of true accuracies (`nascli.artifacts.truth`), of which
    `column` is drawn over the epochs of searches or written in the heading of a genotype. tell: gets a line about
    pictures that cannot be read, where others can. Raises UsageError, ArtifactError, DataError.
    """
    chosen = _format(output, format)
    read_once(table, *(one for one in sources if not isinstance(one, LoadedArtifact)))
    refuse_overwriting([output], [table, *(one.where if isinstance(one, LoadedArtifact) else one for one in sources)])
    check_output(output, overwrite)
    what = drawable(*sources)
    if table is not None:
        what, title = _with_truth(what, load_table(table), column, title)
    content = visualize(what, format=chosen, title=title)
    if isinstance(what, Sheet) and chosen in PICTURES and what.unreadable:
        tell(what.unreadable)
    write_output(output, content, overwrite)
    return Path(output)


def _with_truth(what: Any, table: TruthTable, column: str | None, title: str | None) -> tuple[Any, str | None]:
    """What is drawn and its heading, with what a table says about it. Raises UsageError if it says nothing."""
    name = table.column(column, "test")
    if getattr(what, "kind", None) in GENOTYPES:
        worth = table.worth(what, name)
        words = f"{name} {worth.accuracy:.2f} %, rank {worth.rank:,} of {len(table):,}"
        return what, f"{title}: {words}" if title else words
    if isinstance(what, Mapping):
        return Judged.of(what, table, name), title
    raise UsageError(
        "a table goes with a genotype, a model, or the run directories of searches, such as run.run beside "
        "run.safetensors: give one of these, or leave --table out"
    )


def _names(folders: list[Path]) -> list[str]:
    """Short names that differ: those of the folders, with as many of their parents' as it takes."""
    for parts in range(1, 1 + max(len(folder.resolve().parts) for folder in folders)):
        names = ["/".join(folder.resolve().parts[-parts:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    paths = [folder.resolve() for folder in folders]
    repeated = next(folder for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1)
    raise UsageError(f"the run directory {repeated} is given twice")
