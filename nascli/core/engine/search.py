"""Search and finetune: a method, its streams, the loop, and the distribution that comes out."""

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.distribution import DistributionFile, OffersMean, distribution_bytes
from nascli.artifacts.genotypes.genotype import Genotype, as_text
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.runs.rundir import RunDir
from nascli.config import FinetuneConfig, SearchConfig
from nascli.core.engine.destination import Destination, provenance
from nascli.core.engine.frame import complete, learn, working
from nascli.core.engine.health import health
from nascli.core.engine.inputs import Source, artifact, read_back, refuse_overwriting_artifacts
from nascli.core.engine.offers import OffersMode
from nascli.core.engine.replan import earlier_plans
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.signals import StopRequest
from nascli.core.engine.sizing import batch_notice, check_batch, drawing_limits, shape_of, stem_notice
from nascli.core.engine.truth import Truth, check_truth, search_by_table
from nascli.core.methods.protocol import Plan, SearchMethod
from nascli.core.nn.measure import count_parameters
from nascli.core.runtime import Runtime, check_maps
from nascli.data import Augmentation, DataModule, open_data
from nascli.data.stream import Stream
from nascli.metrics import GENOTYPE, TRUE_ACCURACY
from nascli.registry import METHODS, load
from nascli.seeds import derive_seed
from nascli.settings.groups import HELD_OUT


def search(
    config: SearchConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    truth: Truth | None = None,
    stop: StopRequest | None = None,
) -> LoadedDistribution:
    """Search, and return the distribution; write it where `destination` says.

    `truth` gives the true accuracy of the cells that the search would derive, after every epoch. Nothing learns from
    it, except that random search chooses by it and trains nothing. `stop` tells the caller of a signal that came too
    late to interrupt this search. Raises UsageError, DataError, MemoryExhausted, Diverged, Interrupted.
    """
    if truth is not None and METHODS[config.method].by_table:
        return search_by_table(config, truth, destination, reporter)
    return _run(config, None, destination, reporter, truth, stop)


def finetune(
    start: Source,
    config: FinetuneConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    truth: Truth | None = None,
) -> LoadedDistribution:
    """Go on with a distribution, in a network of another size or on other data. Raises as `search`."""
    return _run(config, artifact(start, DistributionFile), destination, reporter, truth)


def _run(
    config: SearchConfig,
    start: LoadedDistribution | None,
    destination: Destination,
    reporter: Reporter,
    truth: Truth | None,
    stop: StopRequest | None = None,
) -> LoadedDistribution:
    made_from = start.ancestor() if start else None
    refuse_overwriting_artifacts([destination.output], start)
    if truth is not None:
        check_truth(truth, config, destination)
    if done := complete(destination, config, made_from, reporter, DistributionFile):
        return done
    with working(config) as runtime:
        data, job = open_search(config, start, runtime, truth)
        method = job.method
        tell_before(config, data, method, runtime, reporter)
        if truth is None and destination.resume and _used_a_table(destination):
            reporter.notice("earlier epochs have accuracies from a table: give --table to go on with them")
        known = facts(config, method, data.info, runtime)
        rows = learn(
            job,
            config,
            destination,
            reporter,
            data=data,
            made_from=made_from,
            facts=known,
            runtime=runtime,
            stop=stop,
        )
        learnt, origin = (
            method.distribution(),
            provenance(config, data.info, made_from, earlier_plans(destination.run_path)),
        )
        content = distribution_bytes(DistributionFile(learnt, origin, method.weights(), job.course()))
        path = destination.write(content)
        if end := health(rows, learnt):
            reporter.notice(f"health: {end}")
            if end.advice:
                reporter.notice(end.advice)
        if truth is not None and (found := job.derived()):
            reporter.notice(f"what it derives is worth: {truth.tell(found)}")
        reporter.end(path)
    return read_back(content, path, DistributionFile)


def _used_a_table(destination: Destination) -> bool:
    """Whether the run that is resumed recorded true accuracies."""
    run = destination.run_path
    return run is not None and any(TRUE_ACCURACY in row for row in RunDir(run).read_metrics())


def open_search(
    config: SearchConfig, start: LoadedDistribution | None, runtime: Runtime, truth: Truth | None = None
) -> tuple[DataModule, "SearchJob"]:
    """The images of a search, and the search before its first step: from the distribution `start`, if there is one."""
    if config.batch_size == 1:
        check_batch(1, [1])  # in a search's cells and its tower, maps of one pixel are common
    if config.image_size is not None:  # before any image is enlarged
        largest = config.settings.largest_map(config.space, config.image_size)
        check_maps(config.batch_size, largest, config.image_size, runtime, config.settings.known_stem)
    data = open_data(config, device=runtime.device)
    earlier = sum(one.stage == FinetuneConfig.stage for one in start.provenance.descent()) if start else 0
    streams = open_streams(config, data, runtime, earlier)
    method = build_method(config, data.info, streams, runtime, earlier)
    if start:
        method.start_from(start.value)
    return data, SearchJob(config, method, streams, runtime, truth)


def tell_before(
    config: SearchConfig, data: DataModule, method: SearchMethod, runtime: Runtime, reporter: Reporter
) -> None:
    """What the user should know before the first step."""
    few = batch_notice(config, data.info.train_images)
    stem = stem_notice(config.settings.known_stem, data.info.image_size)
    for notice in filter(None, (*data.notices, *method.notices, few, stem, *runtime.notices)):
        reporter.notice(notice)


def open_streams(config: SearchConfig, data: DataModule, runtime: Runtime, earlier: int = 0) -> dict[str, Stream]:
    """One endless stream for each disjoint part of the training images that the method draws from.

    earlier: as in `drawing_seed`.
    """
    # Searches for cells do not vary colours, as PC-DARTS on ImageNet; weights that are kept are trained like any other.
    jitter = METHODS[config.method].searches != "cells"
    return {
        name: data.stream(
            indices,
            min(config.batch_size, len(indices)) if name == HELD_OUT else config.batch_size,
            seed=drawing_seed(config, earlier),
            name=name,
            augmentation=Augmentation.for_dataset(data.info, config.settings.cut_side, config.flip, jitter),
            memory_format=runtime.memory_format,
        )
        for name, indices in data.split(config.settings.parts, config.seed).items()
    }


def drawing_seed(config: SearchConfig, earlier: int = 0) -> int:
    """The seed of everything that is drawn in a stage, so that a finetune does not repeat the search's first batches.

    Only the split uses the configuration's seed itself, so images that a search held out are held out in all stages.
    earlier: how many finetunes came before this one.
    """
    if config.stage == SearchConfig.stage:
        return config.seed
    return derive_seed(config.seed, config.stage, *([earlier] if earlier else []))


def build_method(
    config: SearchConfig, data: DataInfo, streams: Mapping[str, Stream], runtime: Runtime, earlier: int = 0
) -> SearchMethod:
    """The method of the configuration, its network freshly initialised. Raises UsageError for impossible settings.

    earlier: as in `drawing_seed`.
    """
    steps, seed = streams["train"].batches_per_pass, drawing_seed(config, earlier)
    limits = drawing_limits(config, shape_of(data))
    plan = Plan(
        config.method,
        config.space,
        data,
        config.epochs,
        steps,
        seed,
        split_seed=config.seed,
        limits=limits,
        batch_size=config.batch_size,
    )
    method: SearchMethod = load(METHODS[config.method].target)(plan, runtime, config.settings)
    return method


def facts(config: SearchConfig, method: SearchMethod, data: DataInfo, runtime: Runtime) -> dict[str, object]:
    """What is worth a line before a search starts."""
    return {
        "method": config.method,
        "data": data.in_words(),
        "recipe": config.recipe,
        **({"stem": config.settings.known_stem} if config.settings.known_stem else {}),
        "parameters": count_parameters(method.network),
        "device": str(runtime.device),
        **runtime.ranks_in_words,
        "precision": runtime.precision,
    }


class SearchJob:
    """A search method and the streams that it draws from, as the loop sees them."""

    def __init__(
        self,
        config: SearchConfig,
        method: SearchMethod,
        streams: Mapping[str, Stream],
        runtime: Runtime,
        truth: Truth | None = None,
    ) -> None:
        self.device, self.batch_size = runtime.device, config.batch_size
        self.method, self.schedule = method, method.schedule
        row = METHODS[config.method]
        self._stands_for_cells, self._truth = row.searches == "cells" and not row.ranks, truth
        self.steps_per_epoch, self.epochs = streams["train"].batches_per_pass, method.epochs
        self._streams = streams
        self._course: dict[str, list[Tensor]] = {}

    @property
    def steps_done(self) -> int:
        """Steps so far."""
        return self.method.steps_done

    def step(self) -> Mapping[str, Tensor]:
        return self.method.step(self._streams)

    def learning_rate(self) -> float:
        return self.method.learning_rate()

    def start_metrics(self) -> Mapping[str, Any]:
        return self._metrics()

    def epoch_metrics(self) -> Mapping[str, Any]:
        now = self.method.distribution()
        if self._stands_for_cells and isinstance(now, OffersMean):
            for name, values in now.tensors().items():
                self._course.setdefault(name, []).append(torch.from_numpy(values.copy()))
        return self._metrics()

    def course(self) -> dict[str, NDArray[Any]] | None:
        """The logits after each epoch, [epochs, …] by name; None where they are not what was learnt."""
        return {name: torch.stack(values).numpy() for name, values in self._course.items()} or None

    def _metrics(self) -> Mapping[str, Any]:
        """The method's own numbers, and the cells that it would derive now, as text."""
        metrics: dict[str, Any] = dict(self.method.health(self._streams))
        if found := self.derived():
            metrics[GENOTYPE] = as_text(found)
            if self._truth is not None:
                metrics[TRUE_ACCURACY] = self._truth.table.accuracy(found, self._truth.column) / 100
        return metrics

    def derived(self) -> Genotype | None:
        """The cells that the search would derive now; None where it derives no cells, or only by ranking some."""
        if not self._stands_for_cells:
            return None
        distribution = self.method.distribution()
        assert isinstance(distribution, OffersMode)
        return distribution.mode()

    def state_dict(self) -> dict[str, Any]:
        positions = {name: stream.position for name, stream in self._streams.items()}
        return {"method": self.method.state_dict(), "streams": positions, "course": self._course}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self._course = {name: list(values) for name, values in state["course"].items()}
        for name, position in state["streams"].items():
            self._streams[name].position = position
