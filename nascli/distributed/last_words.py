"""What the ranks of a run tell each other about their end, through the store that torchrun keeps.

The store outlives any rank. A rank that is killed says nothing there: that is how the others know which it was.
"""

import threading
from typing import TYPE_CHECKING

from nascli.distributed.outcome import Outcome

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store


class LastWords:
    """Seen from rank number `rank` of `count`. Nothing here waits. RuntimeError where torchrun has ended."""

    def __init__(self, store: "Store", rank: int, count: int) -> None:
        self._store, self.rank, self.count = store, rank, count
        self._leaving = threading.Lock()
        self.said = threading.Event()
        """That this rank has said how it ends."""

    def arrive(self) -> None:
        """Say that this rank has started."""
        self._store.set(f"start/{self.rank}", "")

    def all_arrived(self) -> bool:
        """Whether all have started."""
        return self._store.check([f"start/{rank}" for rank in range(self.count)])

    def leave(self, outcome: Outcome) -> bool:
        """Say how this rank ends, unless it has said so before: then False."""
        with self._leaving:
            if self.said.is_set():
                return False
            self.said.set()
            self._store.set(f"end/{self.rank}", outcome.as_text())
        if outcome.failed:
            self._store.add("failures", 1)
        return True

    def failures(self) -> int:
        """How many ranks have said that they have failed."""
        return self._store.add("failures", 0)

    def show_life(self) -> None:
        """Say that this rank still runs, after another has failed."""
        self._store.set(f"life/{self.rank}", "")

    def alive(self) -> set[int]:
        """Those that have shown life."""
        return {rank for rank in range(self.count) if self._store.check([f"life/{rank}"])}

    def ends(self) -> dict[int, Outcome]:
        """What each rank has said of its end, if it has."""
        said = [rank for rank in range(self.count) if self._store.check([f"end/{rank}"])]
        return {rank: Outcome.of_text(self._store.get(f"end/{rank}")) for rank in said}

    def may_speak(self) -> bool:
        """Whether this rank is the first to ask, and so the one that prints the message."""
        return self._store.add("speakers", 1) == 1

    def settle(self, verdict: Outcome) -> None:
        """Say what all ranks end with."""
        self._store.set("verdict", verdict.as_text())

    def settled(self) -> Outcome | None:
        """What all ranks end with, if that is settled."""
        return Outcome.of_text(self._store.get("verdict")) if self._store.check(["verdict"]) else None
