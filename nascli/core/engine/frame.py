"""What the stages share around their work: device, memory, a run that may be complete, its directory, its threads."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import File, LoadedArtifact
from nascli.artifacts.provenance import Ancestor
from nascli.config import (
    DeriveConfig,
    DetectConfig,
    EvalConfig,
    PredictConfig,
    SceneEvalConfig,
    SearchConfig,
    TrainConfig,
)
from nascli.core.engine.destination import Destination, check_destination, finished, open_run
from nascli.core.engine.loop import Job, drive
from nascli.core.engine.pictures import room, watches_validation
from nascli.core.engine.replan import NewPlan, replan
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.same_data import same_place
from nascli.core.engine.signals import StopRequest
from nascli.core.runtime import Runtime, fitting_threads, memory_errors, open_runtime
from nascli.data import Room
from nascli.distributed.ranks import joined, world
from nascli.errors import UsageError

Learning = SearchConfig | TrainConfig | DetectConfig
Working = Learning | DeriveConfig | EvalConfig | SceneEvalConfig | PredictConfig


class LearntData(Protocol):
    """The images that a job learns from, as far as their frame must know them; see `nascli.data.DataModule`."""

    @property
    def info(self) -> DataInfo:
        """What they are."""

    @property
    def has_validation(self) -> bool:
        """Whether there are others to watch the training with."""

    @property
    def lost(self) -> str:
        """What to say of images that became unreadable; empty if none did."""

    def kept(
        self, room: Room, tell: Callable[[str], None], *, validation: bool = False
    ) -> AbstractContextManager[None]:
        """Within the block they may be kept decoded; at its end they are left alone."""


@contextmanager
def working(config: Working) -> Iterator[Runtime]:
    """The device and the precision that a stage works with.

    Raises UsageError where they are not to be had; MemoryExhausted, which names a smaller batch, where work needs more
    memory than there is.
    """
    if world().count > 1 and isinstance(config, DetectConfig | SceneEvalConfig):
        raise UsageError("detectors are trained and evaluated in one process: start nascli without torchrun")
    with joined(replace(world(), seconds=config.dist_timeout)):
        runtime = open_runtime(config)
        with memory_errors(config.batch_size):
            yield runtime
            runtime.ranks.meet()  # not before the first rank has written the result


def complete(
    destination: Destination,
    config: Learning,
    made_from: Ancestor | None,
    reporter: Reporter,
    file: type[File],
    weights_from: Ancestor | None = None,
) -> LoadedArtifact[File] | None:
    """The result of a run that is to be resumed and was completed before; None where there is work to do.

    Raises UsageError for whatever would keep its result from being written.
    """
    if done := finished(destination, config, made_from, weights_from):
        reporter.notice(f"this run is complete: nothing to resume{_of_others(done, config)}")
        return done.holding(file)
    check_destination(destination, config, made_from, weights_from)
    return None


def _of_others(done: LoadedArtifact[Any], config: Learning) -> str:
    """What to say where a complete run is resumed with images in another place, which nothing needs to read."""
    then = done.provenance.config.get("data_dir")
    if same_place(then, config.data_dir):
        return ""
    return f". It was made with the images in {then or 'the usual place'}; those in {config.data_dir} are not read"


def learn(
    job: Job,
    config: Learning,
    destination: Destination,
    reporter: Reporter,
    *,
    data: LearntData,
    made_from: Ancestor | None,
    facts: Mapping[str, object],
    runtime: Runtime,
    genotype: GenotypeFile | None = None,
    weights_from: Ancestor | None = None,
    stop: StopRequest | None = None,
) -> list[dict[str, Any]]:
    """Run a job to its end in its directory, and return its rows of metrics. Raises as `open_run` and `drive`."""
    threads = fitting_threads(runtime, config.batch_size * data.info.image_size**2)
    runtime.listeners.append(reporter.notice)
    with (
        open_run(destination, config, made_from, data.info, genotype, weights_from) as run,
        threads,
        data.kept(room(config, run), reporter.notice, validation=watches_validation(config, data.has_validation)),
    ):
        if run is not None and destination.resume and (plan := replan(run, config)):
            reporter.notice(_told(plan, job, config))
        rows = drive(
            job,
            stage=config.stage,
            facts=facts,
            epochs=job.epochs,
            steps_per_epoch=job.steps_per_epoch,
            run=run,
            resume=destination.resume,
            reporter=reporter,
            stop=stop,
            compiles=config.compile,
            patience=config.patience if isinstance(config, TrainConfig) else 0,
        )
    if data.lost:
        reporter.notice(data.lost)
    return rows


def _told(plan: NewPlan, job: Job, config: Learning) -> str:
    """How a change of the epochs changes the learning rate of the next step."""
    changed = f"epochs were {plan.before} and are {plan.epochs}"
    if plan.step >= plan.epochs * job.steps_per_epoch:
        return f"{changed}: all of them are done"
    before, now = (replace(job.schedule, epochs=epochs)(plan.step) for epochs in (plan.before, plan.epochs))
    epoch = plan.step // job.steps_per_epoch + 1
    return f"{changed}: epoch {epoch} goes on with a learning rate of {now:.3g}, by the earlier plan {before:.3g}"
