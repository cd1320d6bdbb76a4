"""Several runs in one call: a file and a folder for each seed, and no further run after a signal."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nascli.core.engine.destination import Destination
from nascli.core.engine.signals import StopRequest
from nascli.errors import Interrupted, UsageError


def check_seeds(seeds: Sequence[int], result: str) -> None:
    """Raise UsageError for no seed, or for one that is given twice. result: what each of them makes, in a word."""
    if not seeds:
        raise UsageError("no seed is given: name at least one")
    if repeated := [seed for seed, count in Counter(seeds).items() if count > 1]:
        raise UsageError(f"seed {repeated[0]} is given twice: the second {result} would be the same as the first")


def check_shared(destination: Destination, result: str) -> None:
    """Raise UsageError for a destination that only suits one result. result: what is written there, in a word."""
    if destination.is_pipe:
        raise UsageError(f"several {result}s cannot share standard output: name a file with -o, and they lie beside it")
    if destination.run_dir is not None:
        raise UsageError(f"--run-dir is the folder of one run: leave it out, and each {result} has its own beside it")
    if destination.output is not None and Path(destination.output).is_dir():
        raise UsageError(
            f"{destination.output} is a folder: name a file in it, from which the {result}s' names are made"
        )


def seeded(destination: Destination, seed: int | None) -> Destination:
    """Where the result of one of several seeds goes: the seed stands in the file's name, before the ending."""
    if destination.output is None or seed is None:
        return destination
    path = Path(destination.output)
    return replace(destination, output=path.with_name(f"{path.stem}-seed{seed}{path.suffix}"))


def check_goes_on(stop: StopRequest, done: int, count: int, runs: str) -> None:
    """Raise Interrupted where a signal came during a run's last step: that run is finished, the next does not begin."""
    if stop.signal_number is not None:
        name = signal.Signals(stop.signal_number).name
        raise Interrupted(
            f"stopped by {name} after {done} of {count} {runs}; continue with --resume", stop.signal_number
        )
