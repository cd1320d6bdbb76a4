"""The one loop under search, finetune and train: epochs, metrics, checkpoints, resuming, signals, divergence.

It knows nothing of networks. A `Job` does the steps and holds the state; the loop makes sure that a run that is killed
at any moment continues from its last checkpoint and ends in the same bytes.
"""

import math
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from nascli.artifacts.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.artifacts.rundir import RunDir
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.signals import StoppedAtOnce, StopRequest, stop_on_signals
from nascli.errors import Diverged, Interrupted

CHECKPOINT_SECONDS = 300.0
"""Long epochs write a checkpoint this often; every epoch writes one at its end."""

READ_EVERY = 20
"""On a GPU, metrics are read once in so many steps: reading them waits for the device."""


class Job(Protocol):
    """Something that learns step by step."""

    device: torch.device
    batch_size: int

    def step(self) -> Mapping[str, Tensor]:
        """Do one step. Returns scalars whose means over the epoch are worth keeping."""

    def learning_rate(self) -> float:
        """The rate of the last step, for messages and metrics."""

    def start_metrics(self) -> Mapping[str, Any]:
        """What is worth knowing before the first step; the row of epoch 0, where there is any."""

    def epoch_metrics(self) -> Mapping[str, Any]:
        """What is worth knowing at the end of an epoch besides the means: numbers and texts."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""


class _Means:
    """Sums of one epoch's metrics: on the device, in float64, so that their order is that of the steps."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        for name, value in metrics.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}


def all_finite(state: Any) -> bool:
    """Whether every tensor in a nesting of dicts, lists and tuples has finite values only."""
    # Asked one by one, the thousands of tensors of a search keep a GPU waiting for a second.
    answers: dict[torch.device, list[Tensor]] = defaultdict(list)
    for tensor in _tensors(state):
        answers[tensor.device].append(tensor.isfinite().all())
    return all(bool(torch.stack(own).all()) for own in answers.values())


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping | list | tuple):
        for part in state.values() if isinstance(state, Mapping) else state:
            yield from _tensors(part)


def drive(
    job: Job,
    *,
    stage: str,
    facts: Mapping[str, object],
    epochs: int,
    steps_per_epoch: int,
    run: RunDir | None,
    resume: bool,
    reporter: Reporter,
    stop: StopRequest | None = None,
    compiles: bool = False,
) -> list[dict[str, Any]]:
    """Run `job` to its end and return the rows of metrics.jsonl. `facts` are shown when the run starts.

    `stop` tells the caller of a signal that came during the last step, too late to interrupt this run. `compiles`: the
    first step compiles the network, for minutes perhaps, and a signal does not wait for its end.

    Raises Diverged when a metric stops being finite, Interrupted after SIGINT or SIGTERM; both leave the last good
    checkpoint in `run`.
    """
    step = 0
    means = _Means()
    rows: list[dict[str, Any]] = []
    if run is not None and resume:
        saved_bytes = run.read_checkpoint()
        if saved_bytes is not None:
            state = load_checkpoint(saved_bytes, str(run.checkpoint))
            job.load_state_dict(state["job"])
            step = state["step"]
            means.sums = {name: value.to(job.device) for name, value in state["sums"].items()}
            means.counts = dict(state["counts"])
        else:
            reporter.notice(f"there is no checkpoint in {run.path} yet: starting from the beginning")
        run.truncate_metrics(step // steps_per_epoch if step else -1)
        rows = run.read_metrics()

    if step == 0 and (start := job.start_metrics()):
        rows = [{"epoch": 0, "step": 0, **start}]
        if run is not None:
            run.append_metrics(rows[0])

    total = epochs * steps_per_epoch
    reporter.begin(stage, facts, epochs=epochs, steps_per_epoch=steps_per_epoch, step=step)
    epoch_began = saved = time.monotonic()
    first_of_epoch = step

    def save() -> None:
        nonlocal saved
        if run is not None:
            state = {"step": step, "sums": means.sums, "counts": means.counts, "job": job.state_dict()}
            run.write_checkpoint(checkpoint_bytes(state))
        saved = time.monotonic()

    def check_finite(saving: bool) -> dict[str, float]:
        values = means.read()
        bad = ", ".join(name for name, value in values.items() if not math.isfinite(value))
        if not bad and saving and not all_finite(job.state_dict()):
            bad = "a weight"
        if bad:
            kept = "no checkpoint was written yet"
            if run is not None and run.checkpoint.exists():
                kept = f"the last good checkpoint is {run.checkpoint}"
            rate = f"learning rate {job.learning_rate():.3g}"
            raise Diverged(f"{bad} is no longer finite at step {step} ({rate}); {kept}. Try a lower --lr.")
        return values

    def first_step(stop: StopRequest) -> Mapping[str, Tensor]:
        stop.at_once = compiles
        try:
            return job.step()
        except StoppedAtOnce:
            assert stop.signal_number is not None
            name = signal.Signals(stop.signal_number).name
            raise Interrupted(
                f"stopped by {name} while the network was compiled: nothing has been learnt since, nothing is lost",
                stop.signal_number,
            ) from None
        finally:
            stop.at_once = False

    with stop_on_signals(stop or StopRequest()) as stop:
        began = step
        while step < total:
            means.add(first_step(stop) if step == began else job.step())
            step += 1
            epoch, ends_epoch = (step - 1) // steps_per_epoch + 1, step % steps_per_epoch == 0
            due = run is not None and time.monotonic() - saved > CHECKPOINT_SECONDS
            saving = ends_epoch or due or stop.signal_number is not None
            if saving or job.device.type == "cpu" or step % READ_EVERY == 0:
                values = check_finite(saving)
                rate = job.batch_size * (step - first_of_epoch) / (time.monotonic() - epoch_began)
                reporter.step(epoch, step, {**values, "lr": job.learning_rate(), "images_per_second": rate})
            if ends_epoch:
                seconds = time.monotonic() - epoch_began
                row = {"epoch": epoch, "step": step, "lr": job.learning_rate(), **values, **job.epoch_metrics()}
                row |= {"seconds": round(seconds, 3), "images_per_second": round(rate, 1)}
                rows.append(row)
                means = _Means()
                epoch_began, first_of_epoch = time.monotonic(), step
                if run is not None:
                    run.append_metrics(row)
                reporter.epoch(row)
            if saving:
                save()
            if stop.signal_number and step < total:
                name = signal.Signals(stop.signal_number).name
                kept = (
                    f"checkpoint in {run.path}; continue with --resume"
                    if run is not None
                    else "no run directory, so nothing is kept"
                )
                raise Interrupted(f"stopped by {name} after step {step} of {total}: {kept}", stop.signal_number)
    return rows
