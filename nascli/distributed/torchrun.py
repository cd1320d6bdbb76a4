"""A process that torchrun has started beside others: it joins them, works, and ends as all of them do.

Whatever fails on any rank ends all of them, with one message and one exit code. The first rank prints the message; in
its place another, if it is lost.
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
from typing import NoReturn

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from nascli.distributed.last_words import LastWords
from nascli.distributed.outcome import TIMED_OUT, Outcome, verdict
from nascli.distributed.ranks import Ranks, joined
from nascli.distributed.report import tell_torchrun
from nascli.distributed.signals import Signals, stopped
from nascli.errors import LostRanks, NascliError

MEETING_SECONDS = 600.0
"""How long a rank waits for the others to start, and to end well."""

SILENCE_SECONDS = 5.0
"""How long the ranks wait for each other's last words, once one of them has failed."""

FIRST_SECONDS = 2.0
"""How much longer the others wait than rank 0, which speaks for all if it can."""

GRACE_SECONDS = 10.0
"""How long a rank may go on after another has failed, before it is ended from outside: it may wait for an answer."""

STOPPING_SECONDS = 20.0
"""How long a rank may go on after a signal. torchrun kills what is left after 30 s."""

POLL_SECONDS = 0.05
"""How often a rank that waits for a word asks for it."""

TORCHRUN_ENDED = "torchrun has ended, and with it this run; go on from the last checkpoint with --resume"

Say = Callable[[str], None]


def work_together(work: Callable[[], Outcome], say: Say, signals: Signals) -> int:
    """Do `work` as one of the ranks, and return the exit code that all of them end with. say: prints a message.

    A failed rank ends here, at once: threads that wait for lost ranks would keep the interpreter, and so might leaving
    their group in good order.
    """
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with _silenced(rank > 0):
        try:
            words, store = LastWords(_store(), rank, count), _store()
        except (RuntimeError, ValueError) as error:
            say(f"rank {rank} of {count} does not find torchrun: {' '.join(str(error).split())}")
            return 1
        watcher = threading.Thread(target=_watch, args=(words, signals, say), daemon=True)
        watcher.start()
        try:
            with signals.raised():
                _meet(words, store)
                with joined(Ranks(rank, count)):
                    outcome = work()
        except NascliError as error:
            outcome = Outcome.of_error(error)
        if (end := _agreed(words, outcome, signals, say)).failed:
            _leave(end)
        signals.wake()
        watcher.join()  # a thread that is still in torch's store when the interpreter ends aborts the process
        dist.destroy_process_group()
        return end.code


def _store() -> Store:
    """A connection of its own to that of torchrun. Raises RuntimeError, ValueError."""
    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=MEETING_SECONDS)))
    # torchrun keeps one for all its attempts: what was said in an earlier one must not count.
    return PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _meet(words: LastWords, store: Store) -> None:
    """Wait for all ranks, and make them a group. Raises LostRanks where they don't come."""
    words.arrive()
    deadline = time.monotonic() + MEETING_SECONDS
    while not words.all_arrived():  # asked again and again, since no signal interrupts torch's own waiting
        if words.failures():
            raise LostRanks("another rank failed at the start")
        if time.monotonic() > deadline:
            raise LostRanks(f"t{TIMED_OUT} while waiting for the others to start")
        time.sleep(POLL_SECONDS)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    waiting = timedelta(seconds=MEETING_SECONDS)
    try:
        dist.init_process_group(backend, store=store, rank=words.rank, world_size=words.count, timeout=waiting)
    except RuntimeError as error:
        raise LostRanks(" ".join(str(error).split())) from error


def _watch(words: LastWords, signals: Signals, say: Say) -> None:
    """End this rank where another has failed, or a signal has come, and it does not end by itself."""
    failed = False
    try:
        while not words.said.is_set() and not failed and not signals.heard(0.5):
            failed = words.failures() > 0
        words.show_life()
        if words.said.wait(GRACE_SECONDS if failed else STOPPING_SECONDS):
            return
        mine = Outcome(1, "", "lost")
        if not failed:
            error = stopped(signals.number or signal.SIGTERM)
            mine = Outcome(error.exit_code, f"{error} before a step was done; go on with --resume", "stopped")
        if words.leave(mine):
            _leave(_agreed(words, mine, signals, say))
    except RuntimeError:
        if not words.said.is_set():
            _leave(_alone(Outcome(1, TORCHRUN_ENDED), say))


def _agreed(words: LastWords, mine: Outcome, signals: Signals, say: Say) -> Outcome:
    """How all ranks end: well once all have said so, otherwise with a message that one of them prints."""
    try:
        words.leave(mine)
        if not (found := words.settled() or _heard(words, mine, signals)).failed:
            return found
        if words.may_speak():
            say(found.message)
            words.settle(found)
            time.sleep(0.5)  # for the others to hear it: torchrun ends with the last rank of this machine
        return words.settled() or found
    except RuntimeError:
        return _alone(Outcome(1, TORCHRUN_ENDED) if mine.kind == "lost" else mine, say)


def _heard(words: LastWords, mine: Outcome, signals: Signals) -> Outcome:
    """The verdict of one rank, from what the others say until the time is up."""
    wait = SILENCE_SECONDS + (0.0 if words.rank == 0 else FIRST_SECONDS + words.rank / words.count)
    deadline = time.monotonic() + (wait if mine.failed else MEETING_SECONDS)
    troubled = mine.failed
    while time.monotonic() < deadline:
        if (found := words.settled()) is not None:
            return found
        if len(words.ends()) == words.count and (words.rank == 0 or not words.failures()):
            break
        if not troubled and (words.failures() or signals.number is not None):
            troubled, deadline = True, time.monotonic() + wait
        time.sleep(POLL_SECONDS)
    return verdict(words.ends(), words.count, words.alive())


def _alone(mine: Outcome, say: Say) -> Outcome:
    """How a rank ends that can no longer hear of the others."""
    if mine.failed and os.environ.get("LOCAL_RANK", "0") == "0":
        say(mine.message)
    return mine


def _leave(end: Outcome) -> NoReturn:
    """End the process now."""
    tell_torchrun(end.message)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(end.code)


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
