"""Jobs of several ranks as torchrun starts them, but forked from a process that has imported everything: one second
each, not ten, and with the exit code of every rank, which torchrun keeps to itself.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore

IMPORTED = (
    "nascli.cli.main nascli.cli.commands.search nascli.core.engine.search nascli.core.methods.spos nascli.data "
    "nascli.distributed.torchrun sklearn.datasets tests.distributed.faults tests.distributed.steps torch._dynamo "
    "torch.utils.tensorboard torch.fx.experimental.symbolic_shapes"
)
LIMIT = 120.0
"""Seconds after which a job is killed: it hangs."""

Fault = Callable[[], None]
Program = Callable[[list[str]], int | None]


@dataclass(frozen=True)
class Ended:
    """What a job leaves: the exit code of every rank and what they have printed to both streams."""

    codes: list[int]
    out: bytes
    err: str
    seconds: float


class Jobs:
    """Starts jobs, whose files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(IMPORTED.split())

    def run(
        self,
        arguments: Sequence[object],
        count: int = 2,
        fault: Fault | None = None,
        rank: int = 0,
        signal_at: str = "",
        number: int = signal.SIGTERM,
        program: Program | None = None,
    ) -> Ended:
        """`fault` is called on one rank before nascli starts there. signal_at: the file in the folder that a fault
        makes when the job is to be sent the signal of that number. program: what runs on each rank, if not nascli.
        """
        self._number += 1
        streams = [self.folder / f"{self._number}.{name}" for name in ("out", "err")]
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=LIMIT))
        texts = [str(argument) for argument in arguments]
        ranks = [
            self._context.Process(
                target=_rank,
                args=(self.folder, one, count, store.port, texts, streams, fault if one == rank else None, program),
            )
            for one in range(count)
        ]
        began = time.monotonic()
        for process in ranks:
            process.start()
        try:
            _see_to(ranks, self.folder / signal_at if signal_at else None, number)
        finally:
            for process in ranks:
                process.kill()
                process.join()
        out, err = (stream.read_bytes() for stream in streams)
        return Ended([process.exitcode for process in ranks], out, err.decode(), time.monotonic() - began)


def _see_to(ranks, signal_at, number):
    """Do as torchrun does: pass a signal on, and send one to the others when a rank has failed; then stop waiting for
    those that are stopped.
    """
    deadline, told = time.monotonic() + LIMIT, False
    while any(process.is_alive() for process in ranks) and time.monotonic() < deadline:
        if signal_at is not None and signal_at.exists():
            signal_at.unlink()
            for process in ranks:
                os.kill(process.pid, number)
        if not told and any(process.exitcode for process in ranks):
            told = True
            for process in ranks:
                process.terminate()
        if told and all(process.exitcode is not None or _is_stopped(process.pid) for process in ranks):
            return
        time.sleep(0.02)
    assert time.monotonic() < deadline, "the job hangs"


def _is_stopped(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return False


def _rank(folder, rank, count, port, arguments, streams, fault, program):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "a test",
        "TORCHELASTIC_ERROR_FILE": str(folder / f"rank-{rank}.json"),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    os.chdir(folder)
    for stream, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    from nascli.cli.main import run
    from nascli.distributed import torchrun

    torchrun.SILENCE_SECONDS, torchrun.FIRST_SECONDS = 1.2, 0.6
    if fault is not None:
        fault()
    sys.exit((program or run)(arguments))
