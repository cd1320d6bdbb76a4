"""The program as a whole: its table of commands, and how failures become one line and an exit code."""

import io
import subprocess
import sys
from inspect import getdoc

import pytest
import typer

from nascli import __version__
from nascli.cli import main
from nascli.cli.main import COMMANDS, Row
from nascli.errors import ArtifactError, DataError, Diverged, Interrupted, MemoryExhausted, NascliError, UsageError
from nascli.registry import load


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_in_help_is_the_first_line_of_the_command(name, nascli):
    assert getdoc(load(COMMANDS[name].target)).splitlines()[0] == COMMANDS[name].summary
    assert COMMANDS[name].summary in nascli("--help").out
    help_text = nascli(name, "--help")
    assert help_text.code == 0
    assert COMMANDS[name].summary.split(".")[0] in " ".join(help_text.out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_leaves_the_wrapping_of_paragraphs_to_the_terminal(name):
    assert not any("\n" in text for text in getdoc(load(COMMANDS[name].target)).split("\n\n"))


def test_version(nascli):
    assert nascli("--version").out == f"nascli {__version__}\n"


def test_no_command_shows_the_help(nascli):
    assert nascli().out == nascli("--help").out


def test_wheel_and_package_agree_on_the_version():
    from importlib.metadata import version

    assert version("nascli") == __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serach"], "No such command 'serach'. Did you mean 'search'? See 'nascli --help'"),
        (["--sed", "1"], "No such option: --sed. See 'nascli --help'"),
        (["search", "--datasets", "x"], "No such option: --datasets (Possible options: --"),
        (["search", "--seed"], "Option '--seed' requires an argument. See 'nascli"),
        (["derive"], "Missing argument 'RUN'. See 'nascli derive --help'"),
        (["list", "method"], "unknown table 'method': did you mean 'methods'?"),
        (["search", "extra"], "Got unexpected extra argument(s) (extra). See 'nascli search --help'"),
    ],
)
def test_usage_errors_are_one_line_with_exit_code_2(arguments, message, nascli):
    done = nascli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nascli: {message}")
    assert done.err.count("\n") == 1


@pytest.fixture
def failing(monkeypatch):
    """A command called `fail` that raises what it is told to."""
    from nascli.cli.session import command

    errors: list[BaseException] = []

    @command()
    def fail(session):
        raise errors[0]

    monkeypatch.setattr(sys.modules[__name__], "fail", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "fail", Row(f"{__name__}:fail", "Fail."))
    return errors.append


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NascliError("it broke"), 1, "it broke"),
        (Diverged("train_loss is no longer finite"), 1, "train_loss is no longer finite"),
        (UsageError("no such thing"), 2, "no such thing"),
        (ArtifactError("cell.json: is empty"), 3, "cell.json: is empty"),
        (DataError("no images"), 4, "no images"),
        (MemoryExhausted("try --batch-size 32"), 5, "try --batch-size 32"),
        (MemoryError(), 5, "out of memory: try a smaller --batch-size or --limit-train"),
        (Interrupted("stopped by SIGTERM", 15), 143, "stopped by SIGTERM"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "run.run"), 1, "run.run: No space left on device; free some space"),
        (BrokenPipeError(32, "Broken pipe"), 1, "standard output was closed before everything was written"),
        (ZeroDivisionError("division\nby zero"), 1, "internal error: ZeroDivisionError: division by zero\n(run with"),
    ],
)
def test_every_failure_has_its_exit_code_and_no_traceback(error, code, message, failing, nascli):
    failing(error)
    done = nascli("fail")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"nascli: {message}")
    assert done.err.count("\n") <= 2
    assert "Traceback" not in done.err


def test_debug_adds_the_traceback(failing, nascli):
    failing(ZeroDivisionError("division by zero"))
    done = nascli("fail", "--debug")
    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last)")
    assert done.err.splitlines()[-2].startswith("nascli: internal error: ZeroDivisionError")


def test_a_command_that_does_not_import_is_an_internal_error(monkeypatch, nascli):
    monkeypatch.setitem(COMMANDS, "broken", Row("nascli.cli.missing:command", "Fail."))
    done = nascli("broken")
    assert done.code == 1
    assert done.err.startswith("nascli: internal error: ModuleNotFoundError")


def test_an_abort_is_an_interruption(monkeypatch, failing, nascli):
    monkeypatch.setattr(main, "command", lambda name: (_ for _ in ()).throw(typer.Abort))
    assert nascli("fail").code == 130


@pytest.mark.parametrize("arguments", [["list", "recipes"], ["list", "recipes", "--json"], ["--help"]])
def test_a_closed_pipe_is_one_line_and_exit_code_1(arguments):
    code = (
        "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); "
        f"from nascli.cli.main import run; sys.exit(run({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "nascli: standard output was closed before everything was written\n"
    assert done.returncode == 1


def test_a_full_disk_behind_standard_output_is_one_line_and_exit_code_1():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code = "import sys; from nascli.cli.main import run; sys.exit(run(['list', 'recipes']))"
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.stderr == "nascli: No space left on device; free some space\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("nascli fine", {"finetune"}),
        ("nascli search --method pc", {"pc-darts"}),
        ("nascli search --dataset cifar", {"cifar10", "cifar100"}),
        ("nascli search --precision ", {"fp32", "bf16", "fp16"}),
        ("nascli search --channel-sampling r", {"random"}),
        ("nascli train --recipe pic", {"pictures", "pictures-inherited", "pictures-nas-bench-201"}),
        ("nascli train darts-", {"darts-v1", "darts-v2"}),
        ("nascli derive --format d", {"darts"}),
        ("nascli derive --format n", {"nas-bench-201"}),
        ("nascli list gen", {"genotypes"}),
        ("nascli list s", {"spaces", "supernets"}),
        ("nascli search --space nas", {"nas-bench-201"}),
        ("nascli search --supernet dens", {"densenet121"}),
        ("nascli visualize --format sv", {"svg"}),
    ],
)
def test_the_shell_completes_commands_and_values(line, offers, monkeypatch, nascli):
    monkeypatch.setenv("_NASCLI_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    assert set(nascli().out.split()) == offers


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("ascii", "└─ café", b"?? caf?"),
        ("cp1252", "└─ café", b"?? caf\xe9"),
        ("utf-8", "└─ caf\udce9", "└─ caf".encode() + b"\xe9"),
    ],
)
def test_output_that_an_encoding_lacks_is_replaced(encoding, text, expected, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert main.run(["--version"]) == 0
    sys.stdout.seek(0)
    sys.stdout.truncate()
    print(text, end="", flush=True)
    assert sys.stdout.buffer.getvalue() == expected
