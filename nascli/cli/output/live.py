"""The live display of a run on a terminal."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nascli.cli.output.clock import Clock, duration
from nascli.metrics import shown

REFRESH_SECONDS = 0.1


def terminal() -> Console:
    """The terminal behind standard error."""
    return Console(stderr=True)


class Live:
    """A reporter that draws: a bar over all steps, the metrics of the epoch, the time left.

    Afterwards one line per epoch and the last state stay on the screen. There is no thread: the display is redrawn when
    a step is reported, at most once in `REFRESH_SECONDS`. Use it as a context, so that the terminal is left in order.
    """

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._live = RichLive(console=console, auto_refresh=False)
        self._now = now
        self._clock = Clock(now)
        self._drawn = float("-inf")
        self._stage = self._unit = ""
        self._epochs = self._steps_per_epoch = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

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
        self._stage, self._epochs, self._steps_per_epoch, self._unit = stage, epochs, steps_per_epoch, unit
        self._clock.start(step, epochs * steps_per_epoch)
        resumed = f"  resumed after {unit} {step}" if step else ""
        described = "  ".join(f"{name} {value}" for name, value in facts.items())
        self._console.print(Text.assemble((stage, "bold"), f"  {described}{resumed}"))
        # A display that has ended would draw over later output; one that still runs would capture standard output.
        self._live.stop()
        self._live = RichLive(console=self._console, auto_refresh=False)
        self._live.start()

    def step(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        if self._now() - self._drawn >= REFRESH_SECONDS:
            self._draw(epoch, step, metrics)

    def epoch(self, metrics: Mapping[str, float]) -> None:
        epoch, step = int(metrics["epoch"]), int(metrics["step"])
        width = len(str(self._epochs))
        figures = "  ".join(f"{label} {text}" for label, text in shown(metrics) if label not in ("lr", "images/s"))
        self._console.print(Text(f"epoch {epoch:>{width}}/{self._epochs}  {figures}"), soft_wrap=True)
        self._draw(epoch, step, metrics)

    def notice(self, text: str) -> None:
        self._console.print(Text.assemble(("note: ", "yellow"), text))

    def end(self, path: Path | None) -> None:
        self._live.stop()
        where = f", wrote {path}" if path is not None else ""
        self._console.print(Text(f"done in {duration(self._clock.elapsed)}{where}"), soft_wrap=True)

    def _draw(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self._live.update(self._picture(epoch, step, metrics), refresh=True)
        self._drawn = self._now()

    def _picture(self, epoch: int, step: int, metrics: Mapping[str, float]) -> RenderableType:
        total = self._epochs * self._steps_per_epoch
        left = self._clock.left(step)
        head = Table.grid(padding=(0, 1))
        within = step - (epoch - 1) * self._steps_per_epoch
        head.add_row(
            Text(self._stage, style="bold"),
            ProgressBar(total=total, completed=step, width=32),
            *([Text(f"epoch {epoch}/{self._epochs}")] if self._unit == "step" else []),
            Text(f"{self._unit} {within}/{self._steps_per_epoch}"),
            *([Text(f"{metrics.get('images_per_second', 0):,.0f} images/s")] if self._unit == "step" else []),
            Text(f"{duration(left)} left" if left is not None else "", style="cyan"),
        )
        rest = [(label, text) for label, text in shown(metrics) if label != "images/s"]
        figures = Text("  ").join(Text.assemble((f"{label} ", "dim"), text) for label, text in rest)
        return Group(head, figures)
