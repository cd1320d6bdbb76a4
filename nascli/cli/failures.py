"""The message for an exception that is not an error of nascli's own."""

import errno
import signal
from importlib import metadata

from nascli.errors import Interrupted, MemoryExhausted, NascliError, UsageError

CLOSED_PIPE = "standard output was closed before everything was written"
_FULL = {errno.ENOSPC, errno.EDQUOT}


def explained(error: BaseException) -> NascliError:
    """The one-line error, with its exit code, for any exception."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", signal.SIGINT)
    if isinstance(error, MemoryError):
        return MemoryExhausted("out of memory: try a smaller --batch-size or --limit-train")
    if isinstance(error, BrokenPipeError):
        return NascliError(CLOSED_PIPE)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        advice = "; free some space" if error.errno in _FULL else ""
        return NascliError(f"{place}{error.strerror or error}{advice}")
    name, text = type(error).__name__, " ".join(str(error).split())
    if old := outdated():
        return UsageError(f"{old} ({name}: {text})")
    return NascliError(
        f"internal error: {name}: {text}\n(run with --debug for the traceback; report it with what 'nascli env' prints)"
    )


def outdated() -> str:
    """The message about installed packages whose versions nascli does not support; empty if there are none."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return "packaging is not installed: pip install packaging"
    try:
        needed = [Requirement(text) for text in metadata.requires("nascli") or ()]
    except metadata.PackageNotFoundError:  # nascli runs from its source
        return ""
    wrong = []
    for one in needed:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            version = "not installed"
        if version == "not installed" or not one.specifier.contains(version, prereleases=True):
            wrong.append((one, version))
    if not wrong:
        return ""
    found = ", ".join(f"{one.name} is {version}, not {one.specifier}" for one, version in wrong)
    return f"{found}: pip install {' '.join(repr(str(one)) for one, _ in wrong)}"
