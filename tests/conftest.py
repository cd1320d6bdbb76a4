"""What all tests share: settings of hypothesis, skipped GPU tests, and the command line as a function."""

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time, so that a failure is nobody's luck; time limits belong to the suite, not to an example.
settings.register_profile(
    "nascli", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.load_profile("nascli")

os.environ.setdefault("MPLBACKEND", "agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish() -> None:
    """Leave what has been imported and collected so far to itself: each full collection would look at all of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(autouse=True, scope="session")
def _no_test_cuts_the_power() -> Iterator[None]:
    """Waiting for the disk takes seconds in all, and nothing that a test can see depends on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def _digits_are_read_once() -> None:
    """scikit-learn parses a file of text at every call; nascli copies what it gets. Nothing is imported for this."""
    datasets = sys.modules.get("sklearn.datasets")
    if datasets is not None and not hasattr(datasets.load_digits, "cache_info"):
        datasets.load_digits = cache(datasets.load_digits)


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and the bytes or text of both streams."""

    code: int
    out: str
    err: str
    raw: bytes


_DECLARED: dict[tuple[str, object], object] = {}


def _declared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the options of a command be read from its signature once, as in a process of its own."""
    from nascli.cli import main
    from nascli.distributed import launch
    from nascli.registry import load

    declared = main.command

    def known(name: str) -> object:
        if launch.count() > 1:
            return declared(name)
        key = name, load(main.COMMANDS[name].target)
        if key not in _DECLARED:
            _DECLARED[key] = declared(name)
        return _DECLARED[key]

    monkeypatch.setattr(main, "command", known)


@pytest.fixture
def nascli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """`nascli("derive", "-", stdin=b"…")`: the whole program, in this process, from its arguments to its exit code."""
    from nascli.cli.main import run

    _declared_once(monkeypatch)

    def call(*arguments: object, stdin: bytes = b"") -> Finished:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as exit_:  # completion leaves this way
            code = exit_.code if isinstance(exit_.code, int) else 1
        out, err = capfdbinary.readouterr()
        return Finished(code, out.decode(errors="replace"), err.decode(), out)

    return call
