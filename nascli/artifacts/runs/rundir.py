"""The run directory: everything that a search or a training keeps beside its result and needs to resume."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from nascli.artifacts.files import strict_json
from nascli.artifacts.files.disk import folder_errors, is_pipe, read_bytes, write_atomically
from nascli.artifacts.runs import events
from nascli.artifacts.runs.lock import FolderLock
from nascli.errors import ArtifactError, UsageError

CONFIG = "config.json"
METRICS_FILE = "metrics.jsonl"
CANDIDATES = "candidates.jsonl"
SHORTLIST = "shortlist.jsonl"
CHECKPOINT = "checkpoint.safetensors"
LOCK = ".lock"
EVENTS = "events.out.tfevents.*"
UNFINISHED = ".nascli-*.tmp"


class RunDir:
    """One run's folder. Reading needs no lock; writing is possible within `locked()` alone, to one process at a time.

    with RunDir(path).locked() as run:
        run.append_metrics({"epoch": 1, "train_loss": 2.3})
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._is_locked = False
        self._events: events.EventLog | None = None

    @staticmethod
    def for_output(output: str | Path) -> Path | None:
        """The folder beside a result: `run.safetensors` has `run.run`, a ranked `run.json` has `run.ranking`.

        None for standard output.
        """
        if is_pipe(output):
            return None
        path = Path(output)
        return path.with_name(f"{path.stem}.{'ranking' if path.suffix == '.json' else 'run'}")

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Make the folder if needed and lock it until the block or the process ends, even by `kill -9`.

        Raises UsageError if it cannot be made or if a running process holds it.
        """
        with folder_errors(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise UsageError(f"{self.path} is a file: choose another folder with --run-dir")
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self.path / LOCK)
        try:
            self._is_locked = True
            for leftover in self.path.glob(UNFINISHED):
                leftover.unlink(missing_ok=True)
            yield self
        finally:
            if self._events is not None:
                self._events.close()
                self._events = None
            self._is_locked = False
            lock.release()

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint is, or will be."""
        return self.path / CHECKPOINT

    def has_run(self) -> bool:
        """Whether a run has begun here."""
        return (self.path / CONFIG).is_file()

    def has_progress(self) -> bool:
        """Whether a run has made progress here that would be lost with the folder."""
        return any((self.path / name).exists() for name in (CHECKPOINT, CANDIDATES, SHORTLIST))

    def clear(self) -> None:
        """Remove what a run has written here, and nothing else."""
        self._check_locked()
        names = [CONFIG, METRICS_FILE, CANDIDATES, SHORTLIST, CHECKPOINT]
        for path in [*(self.path / name for name in names), *self.path.glob(EVENTS)]:
            with folder_errors(path):
                path.unlink(missing_ok=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        self._check_locked()
        write_atomically(self.path / CONFIG, strict_json.pretty(dict(config)))

    def read_config(self) -> dict[str, Any] | None:
        """The run's configuration; None if there is no run. Raises ArtifactError if it is malformed."""
        path = self.path / CONFIG
        if not path.is_file():
            return None
        return strict_json.parse(strict_json.text(read_bytes(path), str(path)), str(path))

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one epoch's row, durably. A number that is not finite becomes null; "epoch" counts from 1."""
        self._check_locked()
        _append(self.path / METRICS_FILE, [row])
        if events.available():
            if self._events is None:
                self._events = events.EventLog(self.path, first_step=int(row["epoch"]))
            self._events.add(row, int(row["epoch"]))

    def read_metrics(self) -> list[dict[str, Any]]:
        """All rows in order, without a last line that a killed process left half-written.

        Raises ArtifactError naming the line that is malformed.
        """
        return _read(self.path / METRICS_FILE)

    def truncate_metrics(self, epochs: int) -> None:
        """Drop the rows after epoch `epochs`: a resumed run writes them again."""
        self._check_locked()
        rows = self.read_metrics()
        kept = [row for row in rows if _epoch(row, self.path / METRICS_FILE) <= epochs]
        _rewrite(self.path / METRICS_FILE, kept)

    def append_candidates(self, rows: Sequence[Mapping[str, Any]], *, shortlist: bool = False) -> None:
        """Add the scores of ranked candidates, durably; with `shortlist`, those of the first round of two."""
        self._check_locked()
        _append(self._scores(shortlist), rows)

    def read_candidates(self, *, shortlist: bool = False) -> list[dict[str, Any]]:
        """All scores in order, without a last line that a killed process left half-written.

        Raises ArtifactError naming the line that is malformed.
        """
        return _read(self._scores(shortlist))

    def truncate_candidates(self, count: int, *, shortlist: bool = False) -> None:
        """Keep the first `count` scores: a resumed run writes the others again."""
        self._check_locked()
        _rewrite(self._scores(shortlist), self.read_candidates(shortlist=shortlist)[:count])

    def _scores(self, shortlist: bool) -> Path:
        return self.path / (SHORTLIST if shortlist else CANDIDATES)

    def write_checkpoint(self, data: bytes) -> None:
        """Replace the checkpoint; the old one stays until the new one is complete."""
        self._check_locked()
        write_atomically(self.checkpoint, data)

    def read_checkpoint(self) -> bytes | None:
        """The checkpoint's bytes, None if there is none."""
        return read_bytes(self.checkpoint) if self.checkpoint.is_file() else None

    def _check_locked(self) -> None:
        assert self._is_locked, "a run directory is written to within locked()"


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines, none where there is no file."""
    if not path.is_file():
        return []
    # The part after the last newline is empty, or a line that was never finished.
    *lines, _ = read_bytes(path).split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}: line {number}"
        rows.append(strict_json.parse(strict_json.text(line, where), where))
    return rows


def _append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a file of JSON lines, and wait until they are on the disk."""
    with folder_errors(path):
        _drop_partial_line(path)
        with path.open("ab") as stream:
            stream.write(_lines(rows))
            stream.flush()
            os.fsync(stream.fileno())


def _rewrite(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the rows of a file, if there is one."""
    if path.is_file():
        write_atomically(path, _lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    plain = [{key: _json_number(value) for key, value in row.items()} for row in rows]
    return b"".join(strict_json.compact(row).encode() + b"\n" for row in plain)


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _epoch(row: Mapping[str, Any], path: Path) -> int:
    epoch = row.get("epoch")
    if not isinstance(epoch, int):
        raise ArtifactError(f'{path}: a row has no whole number as its "epoch"')
    return epoch


def _drop_partial_line(path: Path) -> None:
    """Cut off what follows the last newline: the beginning of a line whose writer was killed."""
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            with path.open("r+b") as stream:
                stream.truncate(data.rfind(b"\n") + 1)
