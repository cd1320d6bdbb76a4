"""`nascli predict`: from a model and pictures to classes and probabilities."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer

from nascli.artifacts.files.disk import BINARY, PIPE, check_output, is_pipe, read_bytes, read_once, write_output
from nascli.cli.options.of_config import options, resolve
from nascli.cli.options.shared import OUTPUT_PANEL, ConfigFile, Json, Overwrite
from nascli.cli.session import Session, command
from nascli.config import PredictConfig
from nascli.errors import DataError, UsageError, escaped
from nascli.registry import load, task_of


@command(*options(PredictConfig))
def predict(
    session: Session,
    given: dict[str, Any],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... PICTURE|FOLDER...",
            help="results of trainings, then pictures and folders of them; '-' after the models: standard input has "
            "the paths, one per line or with a zero byte after each",
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="write a table of all pictures to FILE", rich_help_panel=OUTPUT_PANEL
        ),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            "--score",
            min=0,
            max=1,
            metavar="X",
            help="of a detector: the least score of a box, from 0 to 1; default 0.3",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw",
            metavar="FOLDER",
            help="of a detector: write the pictures with their boxes to FOLDER, as NAME.png, small ones enlarged by a "
            "whole factor; --json tells the file of each",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Name the classes of pictures, or find things in them.

    A detector prints a line for every box: class, score, left, top, right and bottom in pixels.

    Several models answer as an ensemble: with the mean of their probabilities.

    --json prints a line for every picture. A picture that cannot be read is reported, the others go on, and the exit
    code is 4.
    """
    sources, places = _models_and_places(inputs)
    if csv is not None:
        if json:
            raise UsageError("--json and --csv are two forms of the same: give one of them")
        check_output(csv, overwrite, ending=".csv")

    from nascli.artifacts.load import load_artifact

    found = [load_artifact(sources[0])] if len(sources) == 1 else []
    if found and (task := task_of(found[0].kind)) is not None and task.predict:
        if csv is not None:
            raise UsageError("--csv has a row for a picture, and a detector finds several boxes: give --json")
        named = _from_standard_input() if places == [PIPE] else places
        kind = {"score": score, "draw": draw, "overwrite": overwrite, "json": json}
        load(task.predict)(session, given, found[0], named, config, **kind)
        return
    if score is not None or draw is not None:
        raise UsageError("--score and --draw are for the boxes of a detector")
    resolved = resolve(PredictConfig, given, file=config)

    from nascli.artifacts.model import ModelFile
    from nascli.cli.output.predictions import Csv, JsonLines, Table
    from nascli.cli.output.progress import progress
    from nascli.core.engine.predict import models_and_pictures, predictions

    known = [one.holding(ModelFile) for one in found] or sources
    models, paths = models_and_pictures(known, _from_standard_input() if places == [PIPE] else places)
    classes = models[0].value.data.classes
    if csv is not None:
        output: Csv | JsonLines | Table = Csv(min(resolved.top, len(classes)))
    else:
        output = JsonLines() if json else Table(classes)
    shows_progress = csv is not None or not sys.stdout.isatty()  # which lines on the terminal would disturb
    unreadable = 0
    with progress(session if shows_progress else replace(session, quiet=True)) as reporter:
        facts = {"pictures": len(paths), "models": len(models)}
        reporter.begin("predict", facts, epochs=1, steps_per_epoch=len(paths), step=0, unit="picture")
        for number, prediction in enumerate(predictions(models, paths, resolved), 1):
            if prediction.error is not None:
                unreadable += 1
                print(f"cannot read {escaped(prediction.error)}", file=sys.stderr)
            output.add(prediction)
            reporter.step(1, number, {})
        if csv is not None:
            assert isinstance(output, Csv)
            write_output(csv, output.content(), overwrite)
        reporter.end(csv)
    if csv is not None and not is_pipe(csv):
        print(csv)
    if unreadable:
        raise DataError(f"{unreadable:,} of {len(paths):,} pictures cannot be read, as told above")


def _models_and_places(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first argument and those after it that are named as results are models; the rest are pictures.

    Raises UsageError where one of both is missing, or standard input would be read twice.
    """
    models = [inputs[0], *takewhile(lambda name: name.endswith(BINARY), inputs[1:])]
    places = list(inputs[len(models) :])
    if not places:
        raise UsageError(
            "no picture is given: name files or folders after the model, or '-' for paths on standard input"
        )
    if PIPE in places and len(places) > 1:
        raise UsageError("'-' stands for paths on standard input: give it alone, after the models")
    read_once(*models, *places)
    return models, places


def _from_standard_input() -> list[str]:
    """The files named on standard input, as `find` does: one per line or, with `-print0`, before each zero byte."""
    content = read_bytes(PIPE)
    separator = b"\0" if b"\0" in content else b"\n"
    paths = [os.fsdecode(path.removesuffix(b"\r")) for path in content.split(separator) if path.strip()]
    return [path for path in paths if not Path(path).is_dir()]  # `find` names folders beside what is in them
