"""SIGTERM and SIGINT of one of several processes: always noted, raised only while there is work to interrupt.

torchrun sends them for two reasons: someone wants the job to end, or another rank has ended. Only the ranks together
can tell which, so none may simply die of it. Needs no torch, whose import takes seconds in which signals may come.
"""

import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from nascli.errors import Interrupted

NUMBERS = (signal.SIGTERM, signal.SIGINT)
WAKING = 0


class Signals:
    """Notes them within its own block, and raises Interrupted within that of `raised`, unless a stage notes them.

    number: the last that has come; None until one has.
    """

    number: int | None = None
    _raises = False

    def __enter__(self) -> Self:
        # Python calls a handler only between two of its own instructions, perhaps not for minutes while torch waits for
        # another rank. Through a socket a thread hears of a signal at once.
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        self._mouth_before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._mouth_before)
        self._mouth.close()
        self._ear.close()

    def heard(self, seconds: float) -> bool:
        """Whether one has come, or comes within so many seconds, even while the main thread waits for something.

        Others, such as SIGCHLD of a process that has loaded pictures, don't count.
        """
        deadline = time.monotonic() + seconds
        while select.select([self._ear], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if any(number in (WAKING, *NUMBERS) for number in self._ear.recv(4096)):
                return True
        return False

    def wake(self) -> None:
        """Let who waits to hear of one wait no longer."""
        self._mouth.send(bytes([WAKING]))

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Within the block a signal raises Interrupted; so does one that came before."""
        self._raises = True
        try:
            if self.number is not None:
                raise stopped(self.number)
            yield
        finally:
            self._raises = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        if self._raises:
            raise stopped(number)


def stopped(number: int) -> Interrupted:
    """The error of a signal that came when there was nothing to keep."""
    return Interrupted(f"stopped by {signal.Signals(number).name}", number)
