"""How a function becomes a command, and how much a command prints."""

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
    """How much to print: only errors and the result (`quiet`), more lines (`verbose`), tracebacks (`debug`)."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A keyword parameter of a command's signature."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_SESSION = (parameter("quiet", Quiet, False), parameter("verbose", Verbose, False), parameter("debug", Debug, False))


def _stage_parameters(output: str) -> list[inspect.Parameter]:
    """The fields of StageOptions; `output` is the default of the field of that name."""
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
    its own parameters, with `session` and, if there are `options`, with `given`: the values of those that were given,
    by name. `output` is the default name of the result; with it the command also has the StageOptions, and the function
    is called with `stage`. All exceptions leave as a NascliError.

    Each paragraph of the function's docstring becomes one line, since typer keeps line breaks in the help.
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
        invoke.__doc__ = "\n\n".join(" ".join(text.split()) for text in (inspect.getdoc(function) or "").split("\n\n"))
        vars(invoke)["__signature__"] = inspect.Signature(parameters, return_annotation=None)
        invoke.__annotations__ = {row.name: row.annotation for row in parameters}
        return invoke

    return decorate
