"""How a run ends: on one rank, and what it means for all of them."""

import json
from collections.abc import Collection, Mapping, Sequence
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


def named(ranks: Sequence[int]) -> str:
    """For a message: "rank 1", "ranks 0, 2"."""
    return f"rank{'' if len(ranks) == 1 else 's'} {', '.join(map(str, ranks))}"


def verdict(ends: Mapping[int, Outcome], count: int, alive: Collection[int] = ()) -> Outcome:
    """What all ranks end with, from what each has said of its end; those that are killed, or hang, have said nothing.

    alive: those that have said that they still run, after another had failed. A failure of some rank's own counts most,
    then a silent rank, then a signal.
    """
    failed = {rank: end for rank, end in sorted(ends.items()) if end.failed}
    if own := {rank: end for rank, end in failed.items() if end.kind == "own"}:
        return _of_own(own, count)
    missing = [rank for rank in range(count) if rank not in ends]
    late = any(TIMED_OUT in end.message for end in failed.values())
    silent = [rank for rank in missing if rank not in alive] or (missing if late else [])
    if silent:
        how = "did not answer in time (--dist-timeout)" if late else "ended without a word: killed, or out of memory"
        return Outcome(1, f"{named(silent)} of {count} {how}; go on from the last checkpoint with --resume", "lost")
    # The first rank knows where the checkpoint is.
    if stopped := [end for end in failed.values() if end.kind == "stopped"]:
        return stopped[0]
    if lost := list(failed.values()):
        return Outcome(1, f"the processes have lost each other: {lost[0].message}; go on with --resume", "lost")
    return Outcome()


def _of_own(own: Mapping[int, Outcome], count: int) -> Outcome:
    """What all end with where some have failed by themselves."""
    rank, first = next(iter(own.items()))
    # What all say is no matter of ranks, nor is what only the first one does, such as writing.
    if rank == 0 or sum(end == first for end in own.values()) == count:
        return first
    return Outcome(first.code, f"rank {rank}: {first.message}", "own")
