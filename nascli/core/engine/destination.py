"""Where a run writes: what it may overwrite, where its directory is, and whether it continues an earlier run."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nascli import __version__
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files import strict_json
from nascli.artifacts.files.disk import BINARY, check_name, check_output, is_pipe, write_output
from nascli.artifacts.files.formats import validate
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import Artifact, LoadedArtifact, LoadedGenotype, load_artifact, read_artifact
from nascli.artifacts.provenance import Ancestor, DataDescription, Provenance
from nascli.artifacts.runs.rundir import CONFIG, RunDir
from nascli.config import UNBOUND, DeriveConfig, DetectConfig, FinetuneConfig, SearchConfig, TrainConfig
from nascli.core.engine.inputs import Output
from nascli.core.engine.replan import check_plan, revisable
from nascli.core.engine.same_data import difference
from nascli.distributed.ranks import world
from nascli.errors import ArtifactError, DataError, UsageError
from nascli.registry import TASKS
from nascli.settings import settings_class

Stage = SearchConfig | FinetuneConfig | TrainConfig | DetectConfig | DeriveConfig

GENOTYPE = "genotype"
"""The key of the genotype in the configuration that a training keeps."""


WEIGHTS_FROM = "weights_from"
"""The key of the sha256 of the model that a training started from."""

SHARD = "shard"
"""The key of the part of a ranking that is scored, such as "2/3"; absent where it is scored whole."""


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

    def numbered(self, count: int) -> list["Destination"]:
        """Where `count` results go: one to `output` itself, several to cell-1.json, cell-2.json … beside cell.json.

        The numbers have as many digits as `count`. Raises UsageError where there is no file to number.
        """
        if count == 1 or self.output is None:
            return [self] * count
        if self.is_pipe:
            raise UsageError("standard output takes one genotype: name a file with -o, whose name is then numbered")
        path = Path(self.output)
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a file in it, whose name is then numbered")
        names = (f"{path.stem}-{number:0{len(str(count))}}{path.suffix}" for number in range(1, count + 1))
        return [replace(self, output=path.with_name(name)) for name in names]

    def write(self, data: bytes) -> Path | None:
        """Write the result. Returns its path, None for a pipe or nowhere."""
        if self.output is None:
            return None
        write_output(self.output, data, overwrite=self.overwrite or self.resume)
        return None if self.is_pipe else Path(self.output)


def stored_config(destination: Destination, stage: str, method: str | None = None) -> dict[str, Any]:
    """The configuration of the run that `destination` would resume; empty where there is none.

    Raises UsageError where that run is of another stage, or of another than the given method.
    """
    path, saved = _saved_config(destination)
    if path is None or saved is None:
        return {}
    _same_stage(path, saved, stage)
    config = dict(saved["config"])
    if method not in (None, before := config.get("method")):
        raise _other_settings(path, [_change("method", before, method)])
    return config


def _saved_config(destination: Destination) -> tuple[Path | None, dict[str, Any] | None]:
    """The run directory, if there is one, and what it says of its run, if that has begun; as the first rank sees it."""
    path = destination.run_path
    return path, None if path is None else world().from_first(RunDir(path).read_config)


def task_of_run(destination: Destination, given: str | None = None) -> str | None:
    """What the training that `destination` would resume is for, a row of TASKS; where there is none, the given task.

    Raises UsageError where that is for another task than the given one.
    """
    path, saved = _saved_config(destination)
    if saved is None or saved["stage"] != TrainConfig.stage:
        return given
    stored = str(saved["config"].get("task", next(iter(TASKS))))
    if given not in (None, stored):
        raise UsageError(f"{path} holds a training with --task {stored}: leave --task {given} out")
    return stored


def stored_genotype(destination: Destination) -> LoadedGenotype:
    """The genotype of the training that `destination` would resume. Raises UsageError where there is none."""
    path, saved = _saved_config(destination)
    if path is None or saved is None or not isinstance(saved.get(GENOTYPE), dict):
        raise UsageError(f"no genotype is given, and {path or 'the run'} holds none: name the one to train")
    _same_stage(path, saved, TrainConfig.stage)
    read = read_artifact(strict_json.pretty(saved[GENOTYPE]), str(path / CONFIG)).holding(GenotypeFile)
    # Written anew in the folder, it is still the file that the run was started from.
    return replace(read, sha256=saved["made_from"])


def finished(
    destination: Destination, config: Stage, made_from: Ancestor | None, weights_from: Ancestor | None = None
) -> LoadedArtifact[Artifact] | None:
    """The result of a run that is to be resumed and was completed before; None where there is still work.

    The result itself says which run it came from, so one that `--overwrite` was about to replace does not count.
    The first rank looks, and the others get what it finds.
    """
    ranks = world()
    found = _finished(destination, config, made_from, weights_from) if ranks.first else None
    if ranks.count == 1:
        return found
    content = ranks.bytes_from_first(b"" if found is None else Path(str(destination.output)).read_bytes(), "results")
    return read_artifact(content, str(destination.output)) if content else None


def _finished(
    destination: Destination, config: Stage, made_from: Ancestor | None, weights_from: Ancestor | None
) -> LoadedArtifact[Artifact] | None:
    """As `finished`, in this process."""
    if not destination.resume or destination.output is None or destination.is_pipe:
        return None
    if not Path(destination.output).exists():
        return None
    run_path = destination.run_path
    has_run = run_path is not None and RunDir(run_path).has_run()
    try:
        result = load_artifact(str(destination.output))
    except ArtifactError:
        if has_run:
            return None  # a damaged result is written again from the run's checkpoint
        raise
    origin = result.provenance
    files = (origin.stage, origin.made_from, origin.weights_from)
    same_files = files == (config.stage, made_from, weights_from)
    if same_files and not changed_settings(origin.config, config):
        return result
    if not has_run:
        if same_files and not changed_settings(origin.config, config, apart=revisable(origin.config, config)):
            raise UsageError(
                f"cannot go on with {destination.output}: its run directory {run_path} is gone, with the checkpoint"
            )
        raise UsageError(
            f"{destination.output} is of another run: choose another --output, or replace it with --overwrite"
        )
    return None


def check_destination(
    destination: Destination,
    config: Stage,
    made_from: Ancestor | None,
    weights_from: Ancestor | None = None,
    shard: str | None = None,
) -> None:
    """Raise UsageError for whatever would keep the result from being written, before any work is done for it.

    Only the first rank writes, and looks.
    """
    if not world().first:
        return
    replace = destination.overwrite or destination.resume
    if destination.output is not None:
        check_output(destination.output, replace, ending=BINARY)
    if destination.run_path is None:
        if destination.resume:
            raise UsageError("--resume needs the run directory: give --run-dir")
        return
    check_name(destination.run_path)
    run = RunDir(destination.run_path)
    saved = run.read_config()
    if saved is not None and run.has_progress():
        # Not even by --overwrite: "-o found.json" has the same folder as the "found.safetensors" that it is made from.
        _same_stage(run.path, saved, config.stage)
    if saved is not None and destination.resume:
        _same_run(run, saved, config, made_from, weights_from, shard)
        check_plan(run, config, destination.output)
    elif run.has_progress() and not replace:
        raise UsageError(f"{run.path} holds a run already: continue it with --resume or replace it with --overwrite")


@contextmanager
def open_run(
    destination: Destination,
    config: Stage,
    made_from: Ancestor | None,
    data: DataInfo,
    genotype: GenotypeFile | None = None,
    weights_from: Ancestor | None = None,
    shard: str | None = None,
) -> Iterator[RunDir | None]:
    """Hold the run directory, which is made only now that there is something to put in it. `genotype` is kept there,
    so that a training can be resumed without naming it. `shard`: the part of a ranking that is scored.

    Raises UsageError; DataError where a resumed run would see other images than before.
    """
    if destination.run_path is None or not world().first:
        yield None
        return
    run = RunDir(destination.run_path)
    with run.locked():
        # Once more, since another process may have written since the first check.
        check_destination(destination, config, made_from, weights_from, shard)
        saved = run.read_config() if destination.resume else None
        if saved is None:
            run.clear()
            own = {} if genotype is None else {GENOTYPE: json.loads(genotype_bytes(genotype))}
            seen = data.description().model_dump(mode="json")
            run.write_config({**_description(config, made_from, weights_from, shard), "data": seen, **own})
        elif found := difference(
            validate(DataDescription, saved.get("data"), str(run.path), at="data"), data.description()
        ):
            raise DataError(
                f"cannot resume {run.path}: the images are not those that it began with ({found}); put them back as "
                "they were, or begin again with --overwrite"
            )
        yield run


def _description(
    config: Stage, made_from: Ancestor | None, weights_from: Ancestor | None, shard: str | None
) -> dict[str, Any]:
    return {
        "nascli": __version__,
        "stage": config.stage,
        "made_from": made_from.sha256 if made_from else None,
        **({WEIGHTS_FROM: weights_from.sha256} if weights_from else {}),
        **({SHARD: shard} if shard else {}),
        "config": config.model_dump(mode="json"),
    }


def _same_run(
    run: RunDir,
    saved: dict[str, Any],
    config: Stage,
    made_from: Ancestor | None,
    weights_from: Ancestor | None,
    shard: str | None,
) -> None:
    """Raise UsageError where resuming would mix two runs."""
    mine = _description(config, made_from, weights_from, shard)
    _same_stage(run.path, saved, config.stage)
    if saved["made_from"] != mine["made_from"]:
        raise UsageError(f"the run in {run.path} was started from another file: give that one, or --overwrite")
    if saved.get(WEIGHTS_FROM) != mine.get(WEIGHTS_FROM):
        raise UsageError(
            f"the run in {run.path} began with the weights of another file: give that one to --from, or --overwrite"
        )
    if saved.get(SHARD) != shard:
        then, now = (f"part {part} of a ranking" if part else "a whole ranking" for part in (saved.get(SHARD), shard))
        raise UsageError(f"{run.path} holds {then}, not {now}: choose another --run-dir or --output")
    if changed := changed_settings(saved["config"], config, apart=revisable(saved["config"], config)):
        raise _other_settings(run.path, changed)


def _same_stage(path: Path, saved: Mapping[str, Any], stage: str) -> None:
    if saved["stage"] != stage:
        raise UsageError(f"{path} holds a {saved['stage']} run: choose another --run-dir or --output")


def changed_settings(before: Mapping[str, Any], config: Stage, apart: Collection[str] = ()) -> list[str]:
    """The settings that make two configurations different runs, in words, those of `apart` left out.

    A setting that did not exist when the run began had the value that is its default now.
    """
    new = _flat(config.model_dump(mode="json"))
    defaults = {name: field.default for name, field in type(config).model_fields.items()}
    defaults |= {name: field.default for name, field in settings_class(config.method).model_fields.items()}
    old = {**{name: value for name, value in defaults.items() if name in new}, **_flat(before)}
    names = sorted(name for name in old.keys() | new.keys() if name not in UNBOUND and name not in apart)
    return [_change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _change(name: str, before: object, now: object) -> str:
    return f"{name} was {before!r} and is {now!r}"


def _other_settings(path: Path, changed: Sequence[str]) -> UsageError:
    return UsageError(f"cannot resume {path} with other settings: {'; '.join(changed)}")


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in config.items() if k != "settings"}, **config.get("settings", {})}


def provenance(
    config: Stage,
    data: DataInfo,
    made_from: Ancestor | None,
    note: str = "",
    weights_from: Ancestor | None = None,
) -> Provenance:
    """What the result of a stage says of its origin; the same for two runs of one configuration."""
    return Provenance(
        nascli=__version__,
        stage=config.stage,
        method=config.method,
        seed=config.seed,
        config=config.model_dump(mode="json"),
        data=data.description(),
        made_from=made_from,
        note=note,
        weights_from=weights_from,
    )
