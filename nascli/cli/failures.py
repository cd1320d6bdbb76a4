"""What nascli says of an exception that nobody turned into an error of its own."""

import errno
import signal

from nascli.errors import Interrupted, MemoryExhausted, NascliError

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
    return NascliError(
        f"internal error: {name}: {text}\n(run with --debug for the traceback; report it with what 'nascli env' prints)"
    )
