"""`nascli eval`: from a model to figures."""

from typing import Annotated, Any

import typer

from nascli.cli.configuration import options, resolve
from nascli.cli.options import ConfigFile, Json
from nascli.cli.session import Session, command
from nascli.config import EvalConfig


@command(*options(EvalConfig))
def evaluate(
    session: Session,
    given: dict[str, Any],
    source: Annotated[str, typer.Argument(metavar="MODEL", help="the result of a training; '-': standard input")],
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Measure a trained model on the test images.

    By default those of the data that it was trained on.
    """
    resolved = resolve(EvalConfig, given, file=config)

    from nascli.cli.evaluation_table import table
    from nascli.cli.printing import print_json
    from nascli.cli.progress import progress
    from nascli.core.engine import evaluate as engine

    with progress(session) as reporter:
        result = engine.evaluate(source, resolved, reporter)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print(table(result))
