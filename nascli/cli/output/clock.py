"""How long a run has taken, and how long it will take."""

import time
from collections.abc import Callable


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: `1:02:03`, `4:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Clock:
    """The time since a run began, and the time left at the pace so far."""

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
        """Seconds left after `step` steps; None as long as the pace is unknown."""
        done = step - self._first
        return self.elapsed / done * (self._total - step) if done > 0 else None
