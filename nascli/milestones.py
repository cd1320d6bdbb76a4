"""The milestones of a learning rate, as text on the command line and in recipes."""

from itertools import pairwise

from nascli.errors import UsageError

MOST_DIGITS = 6


def milestones(text: str) -> tuple[int, ...]:
    """The epochs in "90,140,160", each at least 1 and later than the one before. Raises UsageError for anything else.

    >>> milestones("90,140,160")
    (90, 140, 160)
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    epochs = [int(part) if part.isascii() and part.isdigit() and len(part) <= MOST_DIGITS else 0 for part in parts]
    if any(later <= earlier for earlier, later in pairwise((0, *epochs))):
        raise UsageError(f"lr_milestones: {text!r} is not a list of rising epochs such as 90,140,160")
    return tuple(epochs)
