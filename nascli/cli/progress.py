"""How a run is shown while it lasts: a live display on a terminal, plain lines elsewhere, nothing with -q.

Everything goes to standard error; standard output belongs to the result.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nascli.cli.session import Session

if TYPE_CHECKING:
    from nascli.core.engine.reporter import Reporter

LINE_SECONDS = 30.0
"""Long epochs say how far they are this often, where there is no terminal."""

_SHOWN = {
    "train_loss": ("loss", "{:.3f}"),
    "train_accuracy": ("accuracy", "{:.1%}"),
    "search_loss": ("search loss", "{:.3f}"),
    "search_accuracy": ("search accuracy", "{:.1%}"),
    "validation_loss": ("validation loss", "{:.3f}"),
    "validation_accuracy": ("validation accuracy", "{:.1%}"),
    "candidates_done": ("cells done", "{:.0f}"),
    "best_accuracy": ("best", "{:.1%}"),
    "mean_accuracy": ("mean", "{:.1%}"),
    "uniform_best_accuracy": ("best of uniform", "{:.1%}"),
    "uniform_mean_accuracy": ("mean", "{:.1%}"),
    "mode_accuracy": ("mode accuracy", "{:.1%}"),
    "supernet_accuracy": ("held-out accuracy", "{:.1%}"),
    "sampled_accuracy": ("of networks drawn", "{:.1%}"),
    "kept_share": ("kept", "{:.0%}"),
    "entropy": ("entropy", "{:.2f}"),
    "effective_samples": ("effective samples", "{:.1f}"),
    "samples": ("of", "{:.0f}"),
    "edge_entropy/": ("entropy", "{:.3f}"),
    "skip_share": ("skips", "{:.0%}"),
    "true_accuracy": ("true accuracy", "{:.2%}"),
    "lr": ("lr", "{:.2g}"),
    "images_per_second": ("images/s", "{:,.0f}"),
}
"""The metrics that are worth a place on the screen: label and format, in the order in which they are shown.

A name that ends in a slash stands for all that begin with it, whose label ends as they do.
"""


def shown(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Label and text of each metric that is shown, in a fixed order."""
    found = []
    for name, (label, form) in _SHOWN.items():
        keys = [key for key in metrics if key.startswith(name)] if name.endswith("/") else [name]
        labels = [f"{label} {key.removeprefix(name)}" if key != name else label for key in keys]
        found += [(text, form.format(metrics[key])) for key, text in zip(keys, labels, strict=True) if key in metrics]
    return found


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: `1:02:03`, `4:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Clock:
    """Time since a run began, and what is left of it at the pace so far."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._first = self._total = 0

    def start(self, step: int, total: int) -> None:
        """The run begins at `step` of `total`."""
        self._began, self._first, self._total = self._now(), step, total

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._now() - self._began

    def left(self, step: int) -> float | None:
        """Seconds until the last step, after `step` steps; None before there is a pace."""
        done = step - self._first
        return self.elapsed / done * (self._total - step) if done > 0 else None


class Lines:
    """Progress as plain lines: one for the start, one an epoch, and one every `LINE_SECONDS` within long epochs.

    With `verbose`, a line for every step that is reported.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._verbose = verbose
        self._now = now
        self._clock = Clock(now)
        self._said = now()
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
        self._say(f"{stage}: {', '.join(f'{name} {value}' for name, value in facts.items())}{resumed}")

    def step(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        if self._verbose or self._now() - self._said >= LINE_SECONDS:
            self._say(f"  {self._unit} {step}/{self._total}  {self._text(metrics, step)}")

    def epoch(self, metrics: Mapping[str, float]) -> None:
        step = int(metrics["step"])
        self._say(
            f"epoch {int(metrics['epoch']):>{len(str(self._epochs))}}/{self._epochs}  {self._text(metrics, step)}"
        )

    def notice(self, text: str) -> None:
        self._say(f"note: {text}")

    def end(self, path: Path | None) -> None:
        where = f", wrote {path}" if path is not None else ""
        self._say(f"done in {duration(self._clock.elapsed)}{where}")

    def _text(self, metrics: Mapping[str, float], step: int) -> str:
        left = self._clock.left(step)
        parts = [f"{label} {text}" for label, text in shown(metrics)]
        return "  ".join([*parts, *([f"{duration(left)} left"] if left else [])])

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._said = self._now()


@contextmanager
def progress(session: Session) -> "Iterator[Reporter]":
    """The reporter that suits the session and the terminal; a silent one with -q."""
    if session.quiet:
        from nascli.core.engine.reporter import Silent

        yield Silent()
        return
    if session.verbose or not sys.stderr.isatty():
        yield Lines(sys.stderr, verbose=session.verbose)
        return
    from nascli.cli.live import Live, terminal

    console = terminal()
    if console.is_dumb_terminal:
        yield Lines(sys.stderr)
        return
    with Live(console) as live:
        yield live
