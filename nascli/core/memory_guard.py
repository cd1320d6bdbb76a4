"""Memory that runs out as an error, not as the end of the process.

Linux grants memory that is not there, and ends a process that then uses it, without a word. A limit on what the process
may ask for makes the allocator fail instead, and that can be told.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KIB = 1024


@contextmanager
def guarded_memory() -> Iterator[None]:
    """While active, this process may allocate as much as is available now, and no more. Does nothing but on Linux."""
    available = available_memory()
    if available is None:
        yield
        return
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _allocated() + available
    known = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limit, *known) if known else limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def available_memory() -> int | None:
    """Bytes that can be had without swapping, by the system and by the container's limit; None where nobody says."""
    try:
        left = _kib(Path("/proc/meminfo"), "MemAvailable") + _kib(Path("/proc/meminfo"), "SwapFree")
    except (OSError, LookupError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        return min(left, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no container, or "max": no limit
        return left


def _allocated() -> int:
    """Bytes that count against RLIMIT_DATA."""
    return _kib(Path("/proc/self/status"), "VmData")


def _kib(path: Path, name: str) -> int:
    """The value of a line such as `MemAvailable:   23521372 kB`, in bytes."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * KIB
    raise LookupError(name)
