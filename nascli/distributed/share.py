"""The part of a batch, or of a pass over images, that one of several processes takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """Number `number`, from 0, of `of` parts."""

    number: int = 0
    of: int = 1

    def rows(self, length: int) -> slice:
        """Its rows of a batch: neighbours, as many as those of any other part or one more.

        >>> [Share(number, 3).rows(10) for number in range(3)]
        [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
        """
        size, more = divmod(length, self.of)
        start = self.number * size + min(self.number, more)
        return slice(start, start + size + (self.number < more))

    def turns(self, items: Sequence[Item]) -> Sequence[Item]:
        """Its items, when the parts take turns.

        >>> Share(1, 3).turns("abcdefgh")
        'beh'
        """
        return items[self.number :: self.of]


WHOLE = Share()
