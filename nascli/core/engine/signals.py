"""Leaving at the next step instead of in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nascli.distributed.ranks import world


class StoppedAtOnce(BaseException):
    """A signal came that must not wait for the next step. Not an Exception, which a compiler would take for its own."""


class StopRequest:
    """Whether SIGINT or SIGTERM has arrived. `signal_number` is None until one has.

    While it is `at_once`, a signal raises StoppedAtOnce.
    """

    signal_number: int | None = None
    at_once: bool = False


@contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[StopRequest]:
    """While active, the first SIGINT or SIGTERM is only noted, in `request`; a second one acts at once.

    Outside the main thread, where Python allows no handlers, nothing is noted and signals act as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal_number = number
        if world().count == 1:  # torchrun gives the signal of a terminal a second time, and ends itself what hangs
            restore()
        if request.at_once:
            raise StoppedAtOnce

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    for number in previous:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
