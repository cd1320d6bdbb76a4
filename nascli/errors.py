"""The errors that a user can meet, one class per exit code.

Every message is one or two lines: what is wrong, where, and what to do. Any code may raise these errors; only
`nascli.cli` turns them into an exit code.
"""

import difflib
from collections.abc import Iterable

LONGEST_NAME = 60
"""Characters of an unknown name that a message shows."""


class NascliError(Exception):
    """Something failed through no fault of the user. The base of all errors that nascli raises on purpose."""

    exit_code = 1


class UsageError(NascliError):
    """An option, a setting or a combination of them makes no sense."""

    exit_code = 2


class ArtifactError(NascliError):
    """A file between stages is malformed, of the wrong kind or of another version."""

    exit_code = 3


class DataError(NascliError):
    """Images are missing or unusable."""

    exit_code = 4


class MemoryExhausted(NascliError):
    """The device or the machine ran out of memory; the message names the batch size to try."""

    exit_code = 5


class Diverged(NascliError):
    """The loss is no longer a finite number; the message names the step, the learning rate and the last checkpoint."""


class LostRanks(NascliError):
    """Another process of the same run has ended, or does not answer in time."""


class Interrupted(NascliError):
    """SIGINT or SIGTERM ended the run after it wrote a checkpoint."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def unknown(what: str, value: object, known: Iterable[str]) -> str:
    """The message for an unknown value: the value, the closest known one, and all known ones.

    >>> unknown("dataset", "cifar01", ["cifar10", "digits"])
    "unknown dataset 'cifar01': did you mean 'cifar10'? Known: cifar10, digits"
    """
    names, name = sorted(known), str(value)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "."
    shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return f"unknown {what} {shown!r}{hint} Known: {', '.join(names)}"


def escaped(name: str) -> str:
    r"""A file name for a message, with bytes that are not UTF-8 escaped.

    >>> escaped("caf\udce9")
    'caf\\xe9'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
