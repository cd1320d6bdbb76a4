"""`--seeds`: several seeds in one option."""

import re

from nascli.errors import UsageError

MOST_SEEDS = 1000
LARGEST_SEED = 2**63 - 1

_RANGE = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)


def seeds(text: str) -> tuple[int, ...]:
    """The seeds in a list of numbers and ranges, separated by commas, in the given order. Raises UsageError.

    >>> seeds("7,0-2")
    (7, 0, 1, 2)
    """
    found: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"--seeds: {part.strip()!r} is no seed: give numbers such as 0,1,2 or a range such as 0-4")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            raise UsageError(f"--seeds: the range {part.strip()} runs backwards: write {last}-{first}")
        if last > LARGEST_SEED:
            raise UsageError(f"--seeds: {last} is too large: seeds go up to {LARGEST_SEED}")
        if len(found) + last - first + 1 > MOST_SEEDS:
            raise UsageError(f"--seeds: these are more than {MOST_SEEDS:,} seeds")
        found += range(first, last + 1)
    return tuple(found)
