"""Whether torchrun has started this process beside others, and as which. Needs no torch."""

import os


def count() -> int:
    """How many processes torchrun has started for this run, on all machines; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def on_this_machine() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if count() > 1 else 1


def is_first() -> bool:
    """Whether this process writes files, as the only one."""
    return count() == 1 or os.environ.get("RANK") == "0"
