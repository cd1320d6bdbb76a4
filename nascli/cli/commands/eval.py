"""`nascli eval`: from models to figures."""

from typing import Annotated, Any

import typer

from nascli.cli.options.of_config import options, resolve
from nascli.cli.options.shared import ConfigFile, Json
from nascli.cli.session import Session, command
from nascli.config import EvalConfig


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
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Measure a trained model, or an ensemble, on the test images.

    By default these are the test images of the data that the models were trained on.

    An ensemble answers with the mean of its members' probabilities. The members need the same classes and may differ
    in everything else.
    """
    resolved = resolve(EvalConfig, given, file=config)

    from nascli.cli.output.evaluation_table import ensemble_table, table
    from nascli.cli.output.printing import print_json
    from nascli.cli.output.progress import progress
    from nascli.core.engine.ensemble import evaluate_ensemble
    from nascli.core.engine.evaluate import evaluate as evaluate_one

    if len(sources) == 1:
        with progress(session) as reporter:
            alone = evaluate_one(sources[0], resolved, reporter)
        print_json(alone.model_dump(mode="json")) if json else print(table(alone))
        return
    with progress(session) as reporter:
        result = evaluate_ensemble(sources, resolved, reporter)
    print_json(result.model_dump(mode="json")) if json else print(ensemble_table(result))
