"""How much a command says, and the way from its function to the command line."""

import inspect
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, get_type_hints

from nascli.cli.failures import explained
from nascli.cli.options.shared import Debug, Quiet, StageOptions, Verbose
from nascli.errors import NascliError


@dataclass(frozen=True)
class Session:
    """How much to say: `quiet` nothing but errors and the result, `verbose` more lines, `debug` tracebacks too."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A keyword parameter for a signature that is put together here."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_SESSION = (parameter("quiet", Quiet, False), parameter("verbose", Verbose, False), parameter("debug", Debug, False))


def _stage_parameters(output: str) -> list[inspect.Parameter]:
    """The fields of StageOptions, with a default for the output."""
    hints = get_type_hints(StageOptions, include_extras=True)
    return [
        parameter(field.name, hints[field.name], Path(output) if field.name == "output" else field.default)
        for field in fields(StageOptions)
    ]


def command(
    *options: inspect.Parameter, output: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command.

    The command's options are the function's own parameters, `options` and -q, -v, --debug. The function is called with
    its own parameters, with `session` and, if it has `options`, with `given`: those of them that were given, by name.
    With `output`, the file that is written where none is named, it has the StageOptions too and is called with `stage`.
    Whatever it raises leaves as a NascliError.
    """
    staged = _stage_parameters(output) if output is not None else []

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = [
            row.replace(annotation=hints[row.name])
            for row in inspect.signature(function).parameters.values()
            if row.name not in ("session", "given", "stage")
        ]
        names = [option.name for option in options]

        @wraps(function)
        def invoke(**values: Any) -> None:
            session = Session(*(values.pop(option.name) for option in _SESSION))
            given = {name: value for name in names if (value := values.pop(name)) is not None}
            if names:
                values["given"] = given
            if staged:
                values["stage"] = StageOptions(**{row.name: values.pop(row.name) for row in staged})
            try:
                with warnings.catch_warnings():
                    if not (session.verbose or session.debug):
                        warnings.simplefilter("ignore")
                    function(session=session, **values)
            except (Exception, KeyboardInterrupt) as error:
                if session.debug:
                    traceback.print_exc()
                if isinstance(error, NascliError):
                    raise
                raise explained(error) from error

        parameters = [row.replace(kind=inspect.Parameter.KEYWORD_ONLY) for row in (*own, *staged, *options, *_SESSION)]
        vars(invoke)["__signature__"] = inspect.Signature(parameters, return_annotation=None)
        invoke.__annotations__ = {row.name: row.annotation for row in parameters}
        return invoke

    return decorate
