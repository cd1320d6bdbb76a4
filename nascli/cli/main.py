"""The `nascli` program: the table of its commands, and how a failure becomes a message and an exit code."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nascli import __version__
from nascli.cli.failures import CLOSED_PIPE, explained
from nascli.distributed import launch
from nascli.distributed.outcome import Outcome
from nascli.distributed.signals import Signals
from nascli.errors import NascliError, UsageError
from nascli.registry import load

SPIN_COUNT = "10000"
"""How long an idle thread of torch's pool spins before it sleeps, unless the environment says otherwise.

libgomp's own default spins for milliseconds. While another process kept one of two cores busy, a search step on 32x32
images took 30 s instead of 0.6 s; with this setting it takes 2.4 s, and 0.66 s on an idle machine.
"""


@dataclass(frozen=True)
class Row:
    """A command: `target` is "module:function", imported when the command runs; `summary` is its line in `--help`."""

    target: str
    summary: str
    together: bool = False
    """Whether several processes under torchrun may share the work."""


COMMANDS: Mapping[str, Row] = {
    "search": Row("nascli.cli.commands.search:search", "Search for a network and write what was learnt.", True),
    "finetune": Row(
        "nascli.cli.commands.finetune:finetune", "Continue a search at another size or on other data.", True
    ),
    "derive": Row(
        "nascli.cli.commands.derive:derive", "Write the best network of a search, or several, as genotypes.", True
    ),
    "train": Row("nascli.cli.commands.train:train", "Train the networks of genotypes and write the models.", True),
    "eval": Row(
        "nascli.cli.commands.eval:evaluate", "Measure a trained model, or an ensemble, on the test images.", True
    ),
    "predict": Row(
        "nascli.cli.commands.predict:predict",
        "Name the classes of pictures, or find things in them.",
    ),
    "export": Row("nascli.cli.commands.export:export", "Write a model for use elsewhere: ONNX, torch.export, code."),
    "visualize": Row(
        "nascli.cli.commands.visualize:visualize",
        "Draw a genotype, a distribution, a run or wrong answers.",
    ),
    "list": Row("nascli.cli.commands.list:show", "List methods, spaces, data sets, cells or recipes."),
    "info": Row("nascli.cli.commands.info:info", "Show what a file is, what it was made from and how big it is."),
    "env": Row("nascli.cli.commands.env:env", "Show versions, devices and load, as a bug report needs them."),
}


def command(name: str) -> TyperCommand:
    """The command called `name`, with its module imported and its options declared."""
    row = COMMANDS[name]
    if launch.count() > 1 and not row.together:
        raise UsageError(f"'nascli {name}' is for one process: start it without torchrun")
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    single.command(name)(load(row.target))
    made = get_command(single)
    assert isinstance(made, TyperCommand)
    return made


@contextmanager
def _closed_pipe_reported() -> Iterator[None]:
    """Report a closed pipe; typer alone would end the program without a word when the help's reader is gone."""
    try:
        yield
    except BrokenPipeError:
        _silence(sys.stdout)
        raise NascliError(CLOSED_PIPE) from None


class Commands(TyperGroup):
    """All commands. Help and completion see their names and summaries; only the one that runs is imported."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, row in COMMANDS.items():
            self.add_command(TyperCommand(name, help=row.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, TyperCommand | None, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, command(name) if name is not None and found is not None else None, rest

    def invoke(self, ctx: Any) -> Any:
        with _closed_pipe_reported():
            return super().invoke(ctx)

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        with _closed_pipe_reported():
            return super().make_context(*arguments, **settings)


app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"nascli {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def nascli(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Neural architecture search on images: search, derive, train, evaluate.

    'nascli search' alone searches on the built-in digits in under two minutes.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run nascli with `arguments` (by default the program's own), print any failure, and return the exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    for stream in (sys.stdout, sys.stderr):
        _replace_unprintable(stream)
    if launch.count() > 1:
        with Signals() as signals:
            from nascli.distributed.torchrun import work_together

            # Bound to the stream that a rank has when it starts: the message is that of all ranks.
            return work_together(partial(_outcome, arguments), partial(_say, stream=sys.stderr), signals)
    end = _outcome(arguments)
    if end.failed:
        _say(end.message, sys.stderr)
    return end.code


def _outcome(arguments: Sequence[str] | None) -> Outcome:
    """How a command ends."""
    try:
        code = get_command(app).main(arguments, prog_name="nascli", standalone_mode=False)
        sys.stdout.flush()
    except NascliError as error:
        return Outcome.of_error(error)
    except typer.TyperException as error:
        return Outcome(error.exit_code, _one_line(error))
    except typer.Abort:
        return Outcome(130, "aborted")
    except Exception as error:  # outside every command: the last flush, or a module that does not import
        if isinstance(error, OSError):
            _silence(sys.stdout)
        return Outcome.of_error(explained(error))
    return Outcome(code if isinstance(code, int) else 0)


def _replace_unprintable(stream: Any) -> None:
    """Let a stream replace characters that its encoding lacks, such as the lines of a tree on a Windows code page.

    A UTF-8 stream writes a file name that is not valid UTF-8 with its original bytes.
    """
    if hasattr(stream, "reconfigure"):
        known = (stream.encoding or "").lower().replace("-", "") == "utf8"
        stream.reconfigure(errors="surrogateescape" if known else "replace")


def _one_line(error: typer.TyperException) -> str:
    """A parser's complaint in the style of all messages, with a pointer to the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nascli"
    message = error.format_message().rstrip(".")
    return f"{message}{'' if message.endswith('?') else '.'} See '{path} --help'"


def _say(message: str, stream: Any) -> None:
    try:
        print(f"nascli: {message}", file=stream, flush=True)
    except OSError:  # standard error is closed as well: the exit code is all that is left to say
        _silence(stream)


def _silence(stream: Any) -> None:
    """Send what is still buffered for a closed pipe to nowhere, so that the interpreter's last flush cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
