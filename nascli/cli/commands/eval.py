"""`nascli eval`: from models to figures."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nascli.artifacts.files.disk import is_pipe
from nascli.cli.options.of_config import options, resolve
from nascli.cli.options.shared import OUTPUT_PANEL, ConfigFile, Json, Overwrite
from nascli.cli.session import Session, command
from nascli.config import EvalConfig
from nascli.errors import UsageError
from nascli.registry import load, task_of


@command(*options(EvalConfig))
def evaluate(
    session: Session,
    given: dict[str, Any],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="the result of a training; '-': standard input. Several are evaluated singly and as an ensemble",
        ),
    ],
    errors: Annotated[
        Path | None,
        typer.Option(
            "--errors",
            metavar="FILE.csv",
            help="write a table of the wrong answers to FILE, the most confident first; '-': standard output",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Measure a trained model, or an ensemble, on the test images.

    By default these are the test images of the data that the models were trained on.

    An ensemble answers with the mean of its members' probabilities. The members need the same classes and may differ
    in everything else.

    The table of --errors has the path of each picture, its true class, the answer, and the probabilities of both; of
    an ensemble, what all answer together. 'nascli visualize' draws its first pictures.

    Of a detector, the average precision and recall of its boxes are measured, as COCO does.
    """
    if errors is not None and is_pipe(errors) and json:
        raise UsageError("--errors - and --json both write to standard output: name a file for one of them")
    if len(sources) == 1:
        from nascli.artifacts.load import load_artifact

        found = load_artifact(sources[0])
        if (task := task_of(found.kind)) is not None and task.eval:
            load(task.eval)(session, given, found, errors, config, json=json)
            return
    resolved = resolve(EvalConfig, given, file=config)

    from nascli.artifacts.model import ModelFile
    from nascli.cli.output.evaluation_table import ensemble_table, table
    from nascli.cli.output.printing import print_json
    from nascli.cli.output.progress import progress
    from nascli.core.engine.ensemble import evaluate_ensemble
    from nascli.core.engine.evaluate import evaluate as evaluate_one

    figures = sys.stderr if errors is not None and is_pipe(errors) else sys.stdout
    if len(sources) == 1:
        with progress(session) as reporter:
            alone = evaluate_one(found.holding(ModelFile), resolved, reporter, errors=errors, overwrite=overwrite)
        print_json(alone.model_dump(mode="json")) if json else print(table(alone), file=figures)
        return
    with progress(session) as reporter:
        result = evaluate_ensemble(sources, resolved, reporter, errors=errors, overwrite=overwrite)
    print_json(result.model_dump(mode="json")) if json else print(ensemble_table(result), file=figures)
