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

from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.artifacts.runs.rundir import RunDir
from nascli.core.engine.best_epoch import told_without_gain, without_gain
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.signals import StoppedAtOnce, StopRequest, stop_on_signals
from nascli.core.optimization import Schedule
from nascli.distributed.ranks import Ranks, world
from nascli.errors import Diverged, Interrupted

CHECKPOINT_SECONDS = 300.0
"""Long epochs write a checkpoint this often; every epoch writes one at its end."""

READ_EVERY = 20
"""On a GPU, metrics are read once in this many steps: reading them waits for the device."""


class Job(Protocol):
    """Something that learns step by step."""

    device: torch.device
    batch_size: int
    steps_per_epoch: int
    epochs: int
    schedule: Schedule
    """The learning rate of each step."""

    @property
    def steps_done(self) -> int:
        """Where the loop is; a job that goes on over another number of ranks may be elsewhere than it was."""

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
    # Checked one by one, the thousands of tensors of a search would keep a GPU waiting for a second.
    answers: dict[torch.device, list[Tensor]] = defaultdict(list)
    for tensor in tensors_in(state):
        answers[tensor.device].append(tensor.isfinite().all())
    return all(bool(torch.stack(own).all()) for own in answers.values())


def tensors_in(state: Any) -> Iterator[Tensor]:
    """All tensors in a nesting of dicts, lists and tuples."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping | list | tuple):
        for part in state.values() if isinstance(state, Mapping) else state:
            yield from tensors_in(part)


def running_statistics(state: Any) -> Iterator[Tensor]:
    """Those of the batch norms in a nesting of state_dicts; they share the memory of the modules."""
    for name, part in state.items() if isinstance(state, Mapping) else enumerate(state):
        if isinstance(part, Tensor):
            if str(name).endswith(("running_mean", "running_var")):
                yield part
        elif isinstance(part, Mapping | list | tuple):
            yield from running_statistics(part)


class _Progress:
    """How far a run has come: its step, the means of the present epoch, the rows of those that are done."""

    def __init__(self, job: Job, run: RunDir | None, reporter: Reporter, steps_per_epoch: int) -> None:
        self._job, self._run, self._reporter, self._steps_per_epoch = job, run, reporter, steps_per_epoch
        self._ranks = world()
        self.keeps = self._ranks.from_first(lambda: run is not None)
        self.step = 0
        self.rows: list[dict[str, Any]] = []
        self._means = _Means()
        self.start_clocks()

    def resume(self, run: RunDir | None) -> None:
        """Go on from the checkpoint in `run`, which only the first rank has, if there is one yet."""
        saved = self._ranks.bytes_from_first((run and run.read_checkpoint()) or b"", "checkpoints")
        where = "the run directory" if run is None else str(run.path)
        if not saved:
            self._reporter.notice(f"there is no checkpoint in {where} yet: starting from the beginning")
        else:
            state = load_checkpoint(saved, where if run is None else str(run.checkpoint))
            self._job.load_state_dict(state["job"])
            self.step = self._job.steps_done
            if self.step == state["step"]:
                self._means.sums = {name: value.to(self._job.device) for name, value in state["sums"].items()}
                self._means.counts = dict(state["counts"])
        if run is not None:
            run.truncate_metrics(self.step // self._steps_per_epoch if self.step else -1)
        self.rows = self._ranks.from_first(lambda: [] if run is None else run.read_metrics(), "checkpoints")

    def record_start(self) -> None:
        """Keep what is worth knowing before the first step."""
        if start := self._job.start_metrics():
            self.rows = [{"epoch": 0, "step": 0, **start}]
            if self._run is not None:
                self._run.append_metrics(self.rows[0])

    def start_clocks(self) -> None:
        """Start the clocks of the epoch and of the checkpoints, just before the first step."""
        self._epoch_began = self._saved = time.monotonic()
        self._first_of_epoch = self.step

    def ended(self, total: int, patience: int) -> bool:
        """Whether all steps are done, or accuracy has not risen for `patience` epochs. 0: that doesn't matter."""
        return self.step >= total or 0 < patience <= without_gain(self.rows)

    @property
    def checkpoint_is_due(self) -> bool:
        """Whether the last checkpoint is old; the first rank says so."""
        return self._run is not None and time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def count(self, metrics: Mapping[str, Tensor], *, due: bool) -> None:
        """Count a finished step, and write a checkpoint after an epoch, or where one is `due`."""
        self._means.add(metrics)
        self.step += 1
        ends_epoch = self.step % self._steps_per_epoch == 0
        saving = ends_epoch or due
        if saving or self._job.device.type == "cpu" or self.step % READ_EVERY == 0:
            values = self._finite_means(with_weights=saving)
            seconds = time.monotonic() - self._epoch_began
            rate = self._job.batch_size * (self.step - self._first_of_epoch) / seconds
            epoch = (self.step - 1) // self._steps_per_epoch + 1
            told = {**values, "lr": self._job.learning_rate(), "images_per_second": rate}
            self._reporter.step(epoch, self.step, told)
            if ends_epoch:
                self._end_epoch(epoch, values, rate)
        if saving:
            self._save()

    def _finite_means(self, *, with_weights: bool) -> dict[str, float]:
        """The means of the epoch so far. Raises Diverged where one, or a weight of the job, is not finite."""
        values = self._means.read()
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if not bad and with_weights and not all_finite(self._job.state_dict()):
            bad = ["a weight"]
        if bad:
            told = f"{', '.join(bad)} {'is' if len(bad) == 1 else 'are'}"
            kept = "no checkpoint was written yet"
            if self._run is not None and self._run.checkpoint.exists():
                kept = f"the last good checkpoint is {self._run.checkpoint}"
            elif self._run is None and self.keeps:  # on a rank that does not write
                kept = "the last good checkpoint is in the run directory"
            rate = f"learning rate {self._job.learning_rate():.3g}"
            raise Diverged(f"{told} no longer finite at step {self.step} ({rate}); {kept}. Try a lower --lr.")
        return values

    def _end_epoch(self, epoch: int, means: Mapping[str, float], rate: float) -> None:
        if self._ranks.count > 1:
            self._compare_ranks()
        seconds = time.monotonic() - self._epoch_began
        row = {"epoch": epoch, "step": self.step, "lr": self._job.learning_rate(), **means}
        row |= {**self._job.epoch_metrics(), "seconds": round(seconds, 3), "images_per_second": round(rate, 1)}
        self.rows.append(row)
        self._means = _Means()
        self._epoch_began, self._first_of_epoch = time.monotonic(), self.step
        if self._run is not None:
            self._run.append_metrics(row)
        self._reporter.epoch(row)

    def _compare_ranks(self) -> None:
        """Raise NascliError where the ranks no longer have the same weights and architecture.

        Where each has its own running statistics of batch norms, all take those of the first rank before they measure
        anything. It alone keeps its own, also over a checkpoint, so that a resumed run ends in the same bytes.
        """
        state = self._job.state_dict()
        self._ranks.take_from_first_(list(running_statistics(state)), "statistics")
        named = {str(number): tensor for number, tensor in enumerate(tensors_in(state))}
        self._ranks.check_alike(named, "weights and architecture")

    def _save(self) -> None:
        if self.keeps:
            means = {"sums": self._means.sums, "counts": self._means.counts}
            state = {"step": self.step, **means, "job": self._job.state_dict()}
            if self._run is not None:
                self._run.write_checkpoint(checkpoint_bytes(state))
        self._saved = time.monotonic()


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
    patience: int = 0,
) -> list[dict[str, Any]]:
    """Run `job` to its end and return the rows of metrics.jsonl. `facts` are shown when the run starts.

    `stop` tells the caller of a signal that came during the last step, too late to interrupt this run. `compiles`: the
    first step compiles the network, perhaps for minutes, and a signal ends it at once. `patience`: the run ends early
    after so many epochs without a better validation accuracy; 0: never.

    Raises Diverged when a metric stops being finite, Interrupted after SIGINT or SIGTERM; both leave the last good
    checkpoint in `run`.
    """
    ranks = world()
    course = _Progress(job, run, reporter, steps_per_epoch)
    if course.keeps and resume:
        course.resume(run)
    if course.step == 0:
        course.record_start()
    began, total = course.step, epochs * steps_per_epoch
    reporter.begin(stage, facts, epochs=epochs, steps_per_epoch=steps_per_epoch, step=began)
    course.start_clocks()
    with stop_on_signals(stop or StopRequest()) as stop:
        while not course.ended(total, patience):
            first = compiles and course.step == began
            metrics = _interruptible_step(job, stop) if first else job.step()
            stopped_by = _signal_of_all(stop, ranks)
            course.count(metrics, due=stopped_by is not None or ranks.any(course.checkpoint_is_due))
            if stopped_by is not None and not course.ended(total, patience):
                ranks.meet()  # not before the first rank has written the checkpoint
                kept = "no run directory, so nothing is kept"
                if course.keeps:
                    kept = f"checkpoint in {'the run directory' if run is None else run.path}; continue with --resume"
                name = signal.Signals(stopped_by).name
                raise Interrupted(f"stopped by {name} after step {course.step} of {total}: {kept}", stopped_by)
    if course.step < total:
        reporter.notice(f"stopped after epoch {course.rows[-1]['epoch']} of {epochs}: {told_without_gain(course.rows)}")
    return course.rows


def _signal_of_all(stop: StopRequest, ranks: Ranks) -> int | None:
    """The signal that ends the run after this step, on whichever rank it has arrived. All must stop at one step."""
    if ranks.any(stop.signal_number is not None):
        return stop.signal_number or signal.SIGTERM
    return None


def _interruptible_step(job: Job, stop: StopRequest) -> Mapping[str, Tensor]:
    """A step that a signal ends at once, for a step that compiles the network. Raises Interrupted."""
    stop.at_once = True
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
