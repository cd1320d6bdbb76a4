"""The outside of a run: what may be overwritten, where its directory lies, and whether it continues an earlier one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nascli import __version__
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files import check_output, is_pipe, write_output
from nascli.artifacts.load import LoadedArtifact, load_artifact
from nascli.artifacts.provenance import Ancestor, Provenance
from nascli.artifacts.rundir import RunDir
from nascli.config import UNBOUND, FinetuneConfig, SearchConfig, TrainConfig
from nascli.errors import UsageError

Output = str | Path | None
Stage = SearchConfig | FinetuneConfig | TrainConfig


@dataclass(frozen=True)
class Destination:
    """Where a stage writes. `output` None: nowhere; the result is only returned. `run_dir` None: beside the output."""

    output: Output = None
    run_dir: str | Path | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def is_pipe(self) -> bool:
        """Whether the result goes to standard output."""
        return self.output is not None and is_pipe(self.output)

    @property
    def run_path(self) -> Path | None:
        """The run directory, if there is one: none for a result that goes to a pipe, unless it is named."""
        if self.run_dir is not None:
            return Path(self.run_dir)
        return None if self.output is None else RunDir.for_output(self.output)

    def write(self, data: bytes) -> Path | None:
        """Write the result. Returns where to, None for a pipe or nowhere."""
        if self.output is None:
            return None
        write_output(self.output, data, overwrite=self.overwrite or self.resume)
        return None if self.is_pipe else Path(self.output)


def stored_config(destination: Destination) -> dict[str, Any]:
    """The configuration of the run that `destination` would resume; empty where there is none."""
    path = destination.run_path
    saved = RunDir(path).read_config() if path is not None else None
    return dict(saved["config"]) if saved else {}


def finished(destination: Destination, config: Stage, made_from: Ancestor | None) -> LoadedArtifact | None:
    """The result of a run that is to be resumed and was completed before; None where there is still work."""
    output, path = destination.output, destination.run_path
    if not destination.resume or output is None or destination.is_pipe or path is None or not Path(output).exists():
        return None
    run = RunDir(path)
    saved = run.read_config()
    if saved is None:
        raise UsageError(f"{output} exists and no run lies in {path}: choose another --output or give --overwrite")
    _same_run(run, saved, config, made_from)
    return load_artifact(str(output))


def check_destination(destination: Destination, config: Stage, made_from: Ancestor | None) -> None:
    """Raise UsageError for whatever would keep the result from being written, before any work is done for it."""
    replace = destination.overwrite or destination.resume
    if destination.output is not None:
        check_output(destination.output, replace, binary=True)
    if destination.run_path is None:
        if destination.resume:
            raise UsageError("--resume needs the run directory: give --run-dir")
        return
    run = RunDir(destination.run_path)
    saved = run.read_config()
    if saved is not None and destination.resume:
        _same_run(run, saved, config, made_from)
    elif run.checkpoint.exists() and not replace:
        raise UsageError(f"{run.path} holds a run already: continue it with --resume or replace it with --overwrite")


@contextmanager
def open_run(destination: Destination, config: Stage, made_from: Ancestor | None) -> Iterator[RunDir | None]:
    """Hold the run directory, which is made only now that there is something to put in it. Raises UsageError."""
    if destination.run_path is None:
        yield None
        return
    run = RunDir(destination.run_path)
    with run.locked():
        check_destination(destination, config, made_from)  # another process may have been here since the first time
        if not destination.resume or run.read_config() is None:
            run.clear()
            run.write_config(_description(config, made_from))
        yield run


def _description(config: Stage, made_from: Ancestor | None) -> dict[str, Any]:
    return {
        "nascli": __version__,
        "stage": config.stage,
        "made_from": made_from.sha256 if made_from else None,
        "config": config.model_dump(mode="json"),
    }


def _same_run(run: RunDir, saved: dict[str, Any], config: Stage, made_from: Ancestor | None) -> None:
    """Raise UsageError where resuming would mix two runs."""
    mine = _description(config, made_from)
    if saved["stage"] != mine["stage"]:
        raise UsageError(f"{run.path} holds a {saved['stage']} run: choose another --run-dir")
    if saved["made_from"] != mine["made_from"]:
        raise UsageError(f"the run in {run.path} was started from another file: give that one, or --overwrite")
    before, now = _flat(saved["config"]), _flat(mine["config"])
    changed = sorted(
        key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and key not in UNBOUND
    )
    if changed:
        faults = "; ".join(f"{key} was {before.get(key)!r} and is {now.get(key)!r}" for key in changed)
        raise UsageError(f"cannot resume {run.path} with other settings: {faults}")


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in config.items() if k != "settings"}, **config.get("settings", {})}


def provenance(config: Stage, data: DataInfo, made_from: Ancestor | None) -> Provenance:
    """What the result of a stage says of its origin; the same for two runs of one configuration."""
    return Provenance(
        nascli=__version__,
        stage=config.stage,
        method=config.method,
        seed=config.seed,
        config=config.model_dump(mode="json"),
        data=data.description(),
        made_from=made_from,
    )
