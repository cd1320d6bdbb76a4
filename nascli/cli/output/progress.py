"""How a run is shown while it lasts: a live display on a terminal, plain lines elsewhere, nothing with -q.

All of it goes to standard error; standard output is for the result.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nascli.cli.output.clock import Clock, duration
from nascli.cli.session import Session
from nascli.metrics import shown

if TYPE_CHECKING:
    from nascli.core.engine.reporter import Reporter

LINE_SECONDS = 30.0
"""Without a terminal, a long epoch reports its progress this often."""


class Lines:
    """Progress as plain lines: one at the start, one per epoch, and one every `LINE_SECONDS` within long epochs.

    With `verbose`, there is a line for every reported step.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._verbose = verbose
        self._now = now
        self._clock = Clock(now)
        self._last_printed = now()
        self._epochs = 0
        self._total = 0
        self._unit = ""

    def begin(
        self,
        stage: str,
        facts: Mapping[str, object],
        *,
        epochs: int,
        steps_per_epoch: int,
        step: int,
        unit: str = "step",
    ) -> None:
        self._epochs, self._total, self._unit = epochs, epochs * steps_per_epoch, unit
        self._clock.start(step, self._total)
        resumed = f", resumed after {unit} {step}" if step else ""
        self._print(f"{stage}: {', '.join(f'{name} {value}' for name, value in facts.items())}{resumed}")

    def step(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        if self._verbose or self._now() - self._last_printed >= LINE_SECONDS:
            self._print(f"  {self._unit} {step}/{self._total}  {self._text(metrics, step)}")

    def epoch(self, metrics: Mapping[str, float]) -> None:
        step = int(metrics["step"])
        self._print(
            f"epoch {int(metrics['epoch']):>{len(str(self._epochs))}}/{self._epochs}  {self._text(metrics, step)}"
        )

    def notice(self, text: str) -> None:
        self._print(f"note: {text}")

    def end(self, path: Path | None) -> None:
        where = f", wrote {path}" if path is not None else ""
        self._print(f"done in {duration(self._clock.elapsed)}{where}")

    def _text(self, metrics: Mapping[str, float], step: int) -> str:
        left = self._clock.left(step)
        parts = [f"{label} {text}" for label, text in shown(metrics)]
        return "  ".join([*parts, *([f"{duration(left)} left"] if left else [])])

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._last_printed = self._now()


@contextmanager
def progress(session: Session) -> "Iterator[Reporter]":
    """The reporter for the session and the terminal; a silent one with -q."""
    if session.quiet:
        from nascli.core.engine.reporter import Silent

        yield Silent()
        return
    if session.verbose or not sys.stderr.isatty():
        yield Lines(sys.stderr, verbose=session.verbose)
        return
    from nascli.cli.output.live import Live, terminal

    console = terminal()
    if console.is_dumb_terminal:
        yield Lines(sys.stderr)
        return
    with Live(console) as live:
        yield live
