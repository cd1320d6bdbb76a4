"""Metrics as TensorBoard events, where the package `tensorboard` is installed."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def available() -> bool:
    """Whether events can be written here. Imports nothing."""
    return find_spec("tensorboard") is not None


class EventLog:
    """One file of events in a folder. From `first_step` on, it replaces what earlier files in the folder say."""

    def __init__(self, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, metrics: Mapping[str, object], step: int) -> None:
        """Write every number among the metrics."""
        for name, value in metrics.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
