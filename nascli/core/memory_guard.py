"""Turns memory that runs out into an error, instead of the end of the process.

Linux grants memory that it does not have, and silently kills a process that then uses it. A limit on what the process
may ask for makes the allocator fail instead, which can be reported.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KIB = 1024
CONTAINER = Path("/sys/fs/cgroup")
LEAST = 512 * 2**20
"""Bytes that are always granted: libraries that are imported later hang when almost no memory is left."""


@contextmanager
def guarded_memory() -> Iterator[None]:
    """While active, this process may allocate as much as is available now, and no more.

    Acts only on Linux and in the main thread, since the limit applies to the whole process.
    """
    available, allocated = available_memory(), _allocated()
    if available is None or allocated is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = allocated + max(available, LEAST)
    known = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limit, *known) if known else limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def available_memory() -> int | None:
    """Bytes that can still be used, swap included, by the system and the container's limit; None if unknown."""
    system = _values(Path("/proc/meminfo"))
    if "MemAvailable" not in system:
        return None
    left = KIB * (system["MemAvailable"] + system.get("SwapFree", 0))
    try:
        most, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or "max": no limit
        return left
    # Cached files count as used, but are dropped when memory is needed.
    return min(left, most - used + _values(CONTAINER / "memory.stat").get("inactive_file", 0))


def _allocated() -> int | None:
    """Bytes that count against RLIMIT_DATA."""
    found = _values(Path("/proc/self/status")).get("VmData")
    return None if found is None else KIB * found


def _values(path: Path) -> dict[str, int]:
    """The numbers in lines such as `MemAvailable:   23521372 kB` or `inactive_file 4096`; empty without a file."""
    try:
        lines = [line.replace(":", " ").split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
