"""`nascli predict` with a detector."""

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nascli.artifacts.files.disk import PIPE, make_folder, write_output
from nascli.cli.options.of_config import resolve
from nascli.cli.session import Session
from nascli.config import PredictConfig
from nascli.errors import DataError, UsageError, escaped

if TYPE_CHECKING:
    from nascli.artifacts.load import Artifact, LoadedArtifact
    from nascli.core.engine.detection.predict import PictureBoxes


def predict(
    session: Session,
    given: Mapping[str, Any],
    source: "LoadedArtifact[Artifact]",
    places: Sequence[str],
    config: Path | None,
    *,
    score: float | None,
    draw: Path | None,
    overwrite: bool,
    json: bool,
) -> None:
    """Find boxes in pictures; `source` is the detector, the other arguments are those of `nascli predict`."""
    if "top" in given:
        raise UsageError("--top counts classes: for a detector give --score, the least score of a box")
    resolved = resolve(PredictConfig, given, file=config)

    from nascli.artifacts.detector import DetectorFile
    from nascli.cli.output.progress import progress
    from nascli.core.engine.detection.drawing import drawn
    from nascli.core.engine.detection.predict import SCORE, boxes_in, pictures_in

    detector = source.holding(DetectorFile)
    paths = pictures_in(places)
    drawings = _drawings(draw, paths, overwrite=overwrite)
    if draw is not None:
        make_folder(draw)
    width = max(map(len, detector.value.data.classes))
    unreadable = 0
    shown = session if not sys.stdout.isatty() else replace(session, quiet=True)
    with progress(shown) as reporter:
        reporter.begin(
            "predict", {"pictures": len(paths)}, epochs=1, steps_per_epoch=len(paths), step=0, unit="picture"
        )
        for number, found in enumerate(boxes_in(detector, paths, resolved, SCORE if score is None else score), 1):
            if found.error is not None:
                unreadable += 1
                print(f"cannot read {escaped(found.error)}", file=sys.stderr)
            drawing = drawings[number - 1] if drawings and found.error is None else None
            if drawing is not None:
                write_output(drawing, drawn(detector.value, found), overwrite=overwrite)
            print(_json_line(found, drawing) if json else _lines(found, width), end="", flush=True)
            reporter.step(1, number, {})
        reporter.end(draw)
    if unreadable:
        raise DataError(f"{unreadable:,} of {len(paths):,} pictures cannot be read, as told above")


def _json_line(found: "PictureBoxes", drawing: Path | None) -> str:
    """What there is of a picture as a line of JSON, with the file that it was drawn into, if it was."""
    drawn_into = {} if drawing is None else {"drawing": str(drawing)}
    return json_format.dumps({**found.document(), **drawn_into}) + "\n"


def _lines(found: "PictureBoxes", width: int) -> str:
    """A line for every box: class, score, left, top, right, bottom, picture; none for an unreadable picture."""
    if found.error is not None:
        return ""
    path = escaped(found.path)
    if not found.classes:
        return f"{'-':{width}} {'':6}  {'':31}  {path}\n"
    lines = []
    for name, score, corners in zip(found.classes, found.scores, found.corners, strict=True):
        numbers = " ".join(f"{value:7.1f}" for value in corners)
        lines.append(f"{name:{width}} {score:6.1%}  {numbers}  {path}\n")
    return "".join(lines)


def _drawings(folder: Path | None, paths: Sequence[Path], *, overwrite: bool) -> list[Path]:
    """Where the drawing of each picture goes; empty where none is wanted.

    Raises UsageError for a drawing that exists, unless `overwrite`, and for a place that is no folder.
    """
    if folder is None:
        return []
    if str(folder) == PIPE:
        raise UsageError("--draw needs a folder: several pictures do not fit into standard output")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--draw {folder} is a file: name a folder")
    named: list[Path] = []
    taken: dict[str, int] = {}
    for path in paths:
        taken[path.stem] = count = taken.get(path.stem, 0) + 1
        named.append(folder / f"{path.stem}{'' if count == 1 else f'-{count}'}.png")
    inputs = {path.resolve() for path in paths}
    for path in named:
        if path.resolve() in inputs:
            raise UsageError(f"the drawing {path} would replace the picture itself: name another folder for --draw")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists: replace it with --overwrite, or name another folder for --draw")
    return named
