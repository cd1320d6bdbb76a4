"""The pictures of wrong answers, read from their files."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from nascli.artifacts.mistakes import Mistake, Mistakes
from nascli.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

MOST_PICTURES = 24
LONGEST_SIDE = 500
"""Pixels of a picture's longer side; larger ones are reduced."""


@dataclass(frozen=True)
class Sheet:
    """Wrong answers, in the order of their table, of which the first pictures are shown that can be read."""

    mistakes: Mistakes

    def __post_init__(self) -> None:
        """Raises UsageError where there is nothing to show."""
        if not self.mistakes.rows:
            raise UsageError("the table has no wrong answer: there is nothing to draw")

    @property
    def pictures(self) -> "tuple[tuple[Mistake, np.ndarray], ...]":
        """Mistakes with their pictures, uint8 [h, w, 3] of the file's own aspect; `MOST_PICTURES` at most.

        Raises DataError if no picture can be read, or the data are not in files.
        """
        return self._read[0]

    @property
    def unreadable(self) -> str:
        """What to tell about pictures that would be shown if they could be read; empty if there are none."""
        lost = self._read[1]
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        return f"left out, as it cannot be read: {lost[0]}{more}" if lost else ""

    @cached_property
    def _read(self) -> "tuple[tuple[tuple[Mistake, np.ndarray], ...], tuple[str, ...]]":
        from nascli.data.decoding import UnreadableImage, decode

        if not self.mistakes.in_files:
            raise DataError(
                "the table has numbers of test images and no paths, since the data are not in files: there is no "
                "picture to show (--format txt lists the answers)"
            )
        found: list[tuple[Mistake, np.ndarray]] = []
        lost: list[str] = []
        for mistake in self.mistakes.rows:
            try:
                pixels = decode(Path(mistake.place), 3, sizing=partial(_reduced, LONGEST_SIDE))
            except UnreadableImage as error:
                lost.append(str(error))
                continue
            found.append((mistake, pixels.permute(1, 2, 0).numpy()))
            if len(found) == MOST_PICTURES:
                break
        if not found:
            raise DataError(
                f"none of the {len(lost):,} pictures can be read; {lost[0]}: put them back, or make the table again"
            )
        return tuple(found), tuple(lost)


def _reduced(longest: int, height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
