"""How the networks of a ranking are shared out, so that each is scored as one process would score it."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def share(items: Sequence[Item], together: int, place: int, places: int) -> list[Item]:
    """The share of `place`, from 0, of `places`: every `places`-th group of `together` neighbours, in order.

    A group is never split, since which networks share a forward pass decides their scores' last bits; the last group
    may be smaller. The shares hold every item once, and differ by one group at most. They are empty where there are
    fewer groups than places.
    """
    groups = [items[first : first + together] for first in range(0, len(items), together)]
    return [item for group in groups[place::places] for item in group]
