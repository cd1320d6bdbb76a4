"""Other epochs, or more patience, for a run that has begun.

Every method but those that share their epochs out asks for the learning rate of a step by the step's number, so the
steps that are done stay what they were, and the next one has its place in the new schedule.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nascli.artifacts.files.disk import is_pipe
from nascli.artifacts.runs.rundir import RunDir
from nascli.config import DeriveConfig, DetectConfig, SearchConfig, TrainConfig
from nascli.core.engine.best_epoch import told_without_gain, without_gain
from nascli.errors import UsageError
from nascli.registry import METHODS

EARLIER_PLANS = "earlier_plans"
"""The key, in a run's configuration, of rows of how many "epochs" were planned until which "step"."""


@dataclass(frozen=True)
class NewPlan:
    """Other `epochs` for a run that has done `step` steps: it was planned for `before`."""

    before: int
    epochs: int
    step: int


def revisable(
    before: Mapping[str, Any], config: SearchConfig | TrainConfig | DetectConfig | DeriveConfig
) -> frozenset[str]:
    """The fields that may differ from the configuration `before` of the run that `config` resumes.

    A patience may grow, since a run then goes on as if it had always had it.
    """
    if isinstance(config, TrainConfig):
        grows = config.patience == 0 or 0 < before.get("patience", 0) <= config.patience
        return frozenset({"epochs", "patience"} if grows else {"epochs"})
    if isinstance(config, DetectConfig):
        return frozenset({"epochs"})
    if isinstance(config, SearchConfig) and not METHODS[config.method].shares_epochs:
        return frozenset({"epochs"})
    return frozenset()


def check_plan(
    run: RunDir, config: SearchConfig | TrainConfig | DetectConfig | DeriveConfig, output: str | Path | None
) -> None:
    """Raise UsageError for new epochs of the run in `run` that are fewer than it has done, or would not be trained."""
    saved = run.read_config()
    if isinstance(config, DeriveConfig) or saved is None or saved["config"]["epochs"] == config.epochs:
        return
    step = _steps_done(run)
    if step == 0 and output is not None and not is_pipe(output) and Path(output).exists():
        raise UsageError(f"cannot go on with {output}: {run.checkpoint} is gone")
    rows = [row for row in run.read_metrics() if 0 < row["step"] <= step]
    done = math.ceil(step * rows[-1]["epoch"] / rows[-1]["step"]) if rows else 1
    if config.epochs < done:
        raise UsageError(f"the run in {run.path} is in epoch {done} already: give --epochs {done} or more")
    if isinstance(config, TrainConfig) and 0 < config.patience <= without_gain(rows):
        raise UsageError(
            f"the run in {run.path} has stopped after {told_without_gain(rows)}: give a larger --patience too, or 0"
        )


def replan(run: RunDir, config: SearchConfig | TrainConfig | DetectConfig) -> NewPlan | None:
    """Keep in `run`, which is locked and was begun, that it goes on by `config`.

    Returns the change of the epochs, None where there is none.
    """
    saved = run.read_config()
    assert saved is not None, "the run has begun"
    before = saved["config"]
    revised = {name: getattr(config, name) for name in revisable(before, config)}
    if before == before | revised:
        return None
    step, plans = _steps_done(run), saved.pop(EARLIER_PLANS, [])
    # The plan of the last step that was done: one by which no step was done is none.
    followed = plans.pop()["epochs"] if plans and plans[-1]["step"] == step else before["epochs"]
    if step and followed != config.epochs:
        plans.append({"epochs": followed, "step": step})
    run.write_config({**saved, **({EARLIER_PLANS: plans} if plans else {}), "config": before | revised})
    return NewPlan(before["epochs"], config.epochs, step) if before["epochs"] != config.epochs else None


def earlier_plans(path: Path | None) -> str:
    """The plans by which the first steps of the run in a folder were done, if not by its last one, in words."""
    saved = None if path is None else RunDir(path).read_config()
    rows = (saved or {}).get(EARLIER_PLANS, [])
    plans = ((f"{row['epochs']} epoch{'' if row['epochs'] == 1 else 's'}", row["step"]) for row in rows)
    return ", ".join(f"planned for {epochs} until step {step}" for epochs, step in plans)


def _steps_done(run: RunDir) -> int:
    """The steps in the checkpoint of a run."""
    from nascli.artifacts.runs.checkpoint import load_checkpoint  # takes torch, and few runs are planned anew

    saved = run.read_checkpoint()
    return 0 if saved is None else int(load_checkpoint(saved, str(run.checkpoint))["step"])
