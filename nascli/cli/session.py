"""How much a command says, and the way from its function to the command line."""

import inspect
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_type_hints

from nascli.cli.failures import explained
from nascli.cli.options import Debug, Quiet, Verbose
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


def command(*options: inspect.Parameter) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command.

    The command's options are the function's own parameters, `options` and -q, -v, --debug. The function is called with
    its own parameters, with `session` and, if it has `options`, with `given`: those of them that were given, by name.
    Whatever it raises leaves as a NascliError.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = [
            row.replace(annotation=hints[row.name])
            for row in inspect.signature(function).parameters.values()
            if row.name not in ("session", "given")
        ]
        names = [option.name for option in options]

        @wraps(function)
        def invoke(**values: Any) -> None:
            session = Session(*(values.pop(option.name) for option in _SESSION))
            given = {name: value for name in names if (value := values.pop(name)) is not None}
            if names:
                values["given"] = given
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

        parameters = [row.replace(kind=inspect.Parameter.KEYWORD_ONLY) for row in (*own, *options, *_SESSION)]
        vars(invoke)["__signature__"] = inspect.Signature(parameters, return_annotation=None)
        invoke.__annotations__ = {row.name: row.annotation for row in parameters}
        return invoke

    return decorate
