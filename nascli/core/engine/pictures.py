"""Where a stage keeps large pictures that were decoded once, and what that costs."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from nascli.artifacts.runs.rundir import RunDir
from nascli.config import Config, TrainConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.reporter import Reporter
from nascli.core.memory_guard import available_memory
from nascli.data import DataModule, Keeping, Room
from nascli.distributed import launch


def room(config: Config, run: RunDir | None) -> Room:
    """Where large pictures may be kept, once they are decoded, and what is free there now."""
    free = available_memory()
    return Room(
        config.cache,
        None if run is None else run.path,
        None if free is None else free // launch.on_this_machine(),
    )


def watches_validation(config: Config, there: bool) -> bool:
    """Whether a stage reads the validation images of the data, after every epoch, if they are `there`."""
    return isinstance(config, TrainConfig) and config.validation == 0 and there


def planned_keeping(
    data: DataModule, config: Config, destination: Destination, reporter: Reporter, chosen: np.ndarray | None = None
) -> Keeping | None:
    """What keeping the decoded pictures of a stage would take; None where they are not kept. Tells of it.

    chosen: the training images that it reads, if not all. Raises as `DataModule.kept`.
    """
    path = destination.run_path
    place = room(config, None if path is None else RunDir(path))
    planned = data.plan_keeping(place, validation=watches_validation(config, data.has_validation), chosen=chosen)
    if planned is not None:
        reporter.notice(planned.notice(place))
    return planned if planned is not None and planned.place is not None else None


def as_kept(data: DataModule, planned: Keeping | None) -> AbstractContextManager[None]:
    """Where pictures would be kept, work is timed as if they were: without the time to decode."""
    return nullcontext() if planned is None else data.rehearsed()


def keeping_facts(planned: Keeping | None) -> dict[str, Any]:
    """The part of a plan that tells of the kept pictures; empty where none are."""
    if planned is None:
        return {}
    return {"cache": planned.place, "cache_bytes": planned.size, "cache_seconds": planned.seconds}
