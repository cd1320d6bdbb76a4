"""A lock on a folder that ends with the process that holds it, however that process ends."""

import errno
import fcntl
import os
import time
from pathlib import Path

from nascli.errors import UsageError

ORPHANS_SECONDS = 15.0
"""How long to wait for the worker processes of a killed run: they hold its lock until they notice, within 5 s."""


class FolderLock:
    """An exclusive lock on a folder, through a file in it. Raises UsageError if a running process holds it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._acquire(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Release the folder. The file stays: if it were removed, another process could lock a deleted file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, path: Path) -> None:
        deadline = time.monotonic() + ORPHANS_SECONDS
        while not self._try_lock():
            holder = _holder(path)
            if holder is None or _is_running(holder) or time.monotonic() > deadline:
                who = f"process {holder}" if holder is not None else "another process"
                raise UsageError(
                    f"{path.parent} is in use by {who}: wait for it to end, or choose another folder with --run-dir"
                )
            time.sleep(0.1)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}:
                raise
            return False
        return True


def _holder(path: Path) -> int | None:
    """The process that wrote its number into the lock's file."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
