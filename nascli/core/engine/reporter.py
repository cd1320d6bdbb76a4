"""How a run reports its progress; the command line shows it, a program may ignore it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Reporter(Protocol):
    """Receives the progress of one run. Every method returns at once and never fails the run."""

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
        """A run starts, at `step` (0, or where it was interrupted). `facts` are worth a line: data, sizes, device.

        unit: what is counted. Candidates have no epochs and no images per second.
        """

    def step(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """`step` steps are done in all; `metrics` are the running means of this epoch (counted from 1)."""

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """An epoch is done; `metrics` is its row of metrics.jsonl."""

    def notice(self, text: str) -> None:
        """Something that the user should know and that does not stop the run."""

    def end(self, path: Path | None) -> None:
        """The run is done and its result written to `path` (None: standard output, or nowhere)."""


class Silent:
    """A reporter that shows nothing."""

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
        pass

    def step(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def epoch(self, metrics: Mapping[str, float]) -> None:
        pass

    def notice(self, text: str) -> None:
        pass

    def end(self, path: Path | None) -> None:
        pass
