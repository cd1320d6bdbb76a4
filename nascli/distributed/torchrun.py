"""A process that torchrun has started beside others: it joins them, works, and ends as all of them do.

Whatever fails on any rank ends all of them, with one message, which the first rank prints, and one exit code. What a
rank has to say of its end goes through the store that torchrun itself keeps, which outlives any rank. A rank that is
killed says nothing there: that is how the others know which it was.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from nascli.distributed.outcome import Outcome, verdict
from nascli.distributed.ranks import Ranks, joined
from nascli.errors import Interrupted, NascliError

MEETING_SECONDS = 600.0
"""How long a rank waits for the others to start."""

SILENCE_SECONDS = 5.0
"""How long the ranks wait for each other's last word, once one of them has failed."""

GRACE_SECONDS = 10.0
"""How long a rank may go on after another has failed, before it is ended from outside: it may wait for an answer."""

Say = Callable[[str], None]


class _Store:
    """What the ranks leave for each other. Nothing here waits."""

    def __init__(self, store: Store, count: int) -> None:
        self._store, self._count = store, count

    def leave(self, rank: int, outcome: Outcome) -> None:
        self._store.set(f"end/{rank}", outcome.as_text())
        if outcome.failed:
            self._store.add("failures", 1)

    def failures(self) -> int:
        return int(self._store.add("failures", 0))

    def ends(self) -> dict[int, Outcome]:
        """What each rank has left that has left something."""
        ended = [rank for rank in range(self._count) if self._store.check([f"end/{rank}"])]
        return {rank: Outcome.of_text(self._store.get(f"end/{rank}")) for rank in ended}

    def speaks(self) -> bool:
        """Whether the rank that asks first, and no other, is to print the message."""
        return int(self._store.add("speakers", 1)) == 1

    def settle(self, outcome: Outcome) -> None:
        self._store.set("verdict", outcome.as_text())

    def settled(self) -> Outcome | None:
        return Outcome.of_text(self._store.get("verdict")) if self._store.check(["verdict"]) else None


def work_together(work: Callable[[], Outcome], say: Say) -> int:
    """Do `work` as one of the ranks, and return the exit code that all of them end with. say: prints a message.

    A failed rank ends here, at once: threads that wait for lost ranks would keep the interpreter.
    """
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with _silenced(rank > 0), _signals_raised():
        try:
            store = _meet(rank, count)
        except (RuntimeError, ValueError) as error:
            say(f"rank {rank} of {count} did not meet the others: {' '.join(str(error).split())}")
            return 1
        threading.Thread(target=_watch, args=(store, rank, count, say), daemon=True).start()
        with joined(Ranks(rank, count)):
            try:
                outcome = work()
            except NascliError as error:  # a signal between two commands
                outcome = Outcome.of_error(error)
        store.leave(rank, outcome)
        if not outcome.failed:
            dist.destroy_process_group()
            return outcome.code
        _end(store, rank, count, say)
    raise AssertionError("the process has ended")


def _meet(rank: int, count: int) -> _Store:
    """Wait for all ranks. Raises RuntimeError where they don't come, ValueError for a wrong environment."""
    waiting = timedelta(seconds=MEETING_SECONDS)
    store, _, _ = next(rendezvous("env://", timeout=waiting))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=waiting)
    return _Store(store.clone(), count)


def _watch(store: _Store, rank: int, count: int, say: Say) -> None:
    """End this rank where another has failed, and this one waits for it."""
    with contextlib.suppress(RuntimeError):  # the store ends with torchrun
        while not store.failures():
            time.sleep(0.5)
        time.sleep(GRACE_SECONDS)
        if rank not in store.ends():
            store.leave(rank, Outcome(1, "", "lost"))
            _end(store, rank, count, say)


def _end(store: _Store, rank: int, count: int, say: Say) -> None:
    """End with the verdict of all ranks. The first rank that has failed, or in its place another, prints it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # in the watching thread
            signal.signal(number, signal.SIG_IGN)  # torchrun ends the others as soon as one has ended
    deadline = time.monotonic() + SILENCE_SECONDS + (0.0 if rank == 0 else 2.0 + rank / count)
    while time.monotonic() < deadline:
        if (found := store.settled()) is not None:
            os._exit(found.code)
        if rank == 0 and len(store.ends()) == count:
            break
        time.sleep(0.05)
    found = verdict(store.ends(), count)
    if store.speaks():
        say(found.message)
        store.settle(found)
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(0.5)  # for the others to read the verdict before torchrun ends them
    os._exit(found.code)


@contextlib.contextmanager
def _silenced(silent: bool) -> Iterator[None]:
    """Within the block a rank that is not the first prints nothing."""
    if not silent:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


@contextlib.contextmanager
def _signals_raised() -> Iterator[None]:
    """Within the block SIGTERM and SIGINT raise Interrupted, unless a stage notes them."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}", number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
