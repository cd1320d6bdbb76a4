"""How a run ends: on one rank, and what it means for all of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self

from nascli.errors import Interrupted, LostRanks, NascliError

TIMED_OUT = "imed out"
"""In the messages of exchanges that nobody has answered in time; of gloo and of nccl."""


@dataclass(frozen=True)
class Outcome:
    """An exit code and a message, which is empty where all went well.

    kind: a failure of the rank's "own", one that a signal "stopped", or one that has "lost" another rank.
    """

    code: int = 0
    message: str = ""
    kind: Literal["own", "stopped", "lost"] = "own"

    @property
    def failed(self) -> bool:
        """Whether the rank did not do its work."""
        return self.code != 0

    @classmethod
    def of_error(cls, error: NascliError) -> Self:
        """That of an error."""
        kind: Literal["own", "stopped", "lost"] = "own"
        if isinstance(error, Interrupted):
            kind = "stopped"
        elif isinstance(error, LostRanks):
            kind = "lost"
        return cls(error.exit_code, str(error), kind)

    def as_text(self) -> str:
        """For the others to read."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: bytes | str) -> Self:
        """The inverse of `as_text`."""
        return cls(**json.loads(text))


def verdict(ends: Mapping[int, Outcome], count: int) -> Outcome:
    """What all ranks end with, from what each has said of its end; those that are killed, or hang, have said nothing.

    A failure of some rank's own counts most, then a silent rank, then a signal.
    """
    failed = {rank: end for rank, end in sorted(ends.items()) if end.failed}
    own = {rank: end for rank, end in failed.items() if end.kind == "own"}
    if own:
        rank, first = next(iter(own.items()))
        alike = sum(end == first for end in own.values())
        if alike == count:
            return first
        others = f" ({count - 1} other ranks ended with it)" if len(own) == 1 and count > 2 else ""
        where = (
            f"rank {rank}: " if rank else ""
        )  # what only the first rank does, such as writing, is no matter of ranks
        return Outcome(first.code, f"{where}{first.message}{others if rank else ''}", "own")
    if silent := [rank for rank in range(count) if rank not in ends]:
        late = any(TIMED_OUT in end.message for end in failed.values())
        names = f"rank {silent[0]}" if len(silent) == 1 else f"ranks {', '.join(map(str, silent))}"
        how = "did not answer in time (--dist-timeout)" if late else "ended without a word: killed, or out of memory"
        return Outcome(1, f"{names} of {count} {how}; go on from the last checkpoint with --resume", "lost")
    stopped = [end for end in failed.values() if end.kind == "stopped"]
    # One that could still write a checkpoint says more than one that was stopped elsewhere.
    if stopped:
        return max(stopped, key=lambda end: len(end.message))
    first = next(iter(failed.values()))
    return Outcome(1, f"the processes have lost each other: {first.message}; go on with --resume", "lost")
