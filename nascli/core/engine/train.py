"""Training of one derived network, from random weights or from those of the search that found it."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotypes.genotype import Genotype, GenotypeFile
from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.config import FinetuneConfig, SearchConfig, TrainConfig
from nascli.core.answer import answer
from nascli.core.engine.best_epoch import ACCURACY, LOSS, better
from nascli.core.engine.connection import check_connected
from nascli.core.engine.descent import training_schedule, training_sgd
from nascli.core.engine.destination import Destination, provenance
from nascli.core.engine.evaluate import Tally, count_answers
from nascli.core.engine.frame import complete, learn, working
from nascli.core.engine.inputs import Source, artifact, read_back, refuse_overwriting_artifacts
from nascli.core.engine.replan import earlier_plans
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.same_data import changed_since
from nascli.core.engine.settling import FEW_STEPS, settled_notice
from nascli.core.engine.signals import StopRequest
from nascli.core.engine.sizing import batch_notice, check_batch, derived_network, shape_of, stem_notice, tower_notice
from nascli.core.engine.starting_weights import (
    Inherited,
    Transferred,
    check_data,
    inherited_weights,
    starting_file,
    starting_network,
    told_validation,
    weights_from,
)
from nascli.core.nn import auxiliary
from nascli.core.nn.drop_path import draw_paths, growing_probability
from nascli.core.runtime import (
    Runtime,
    check_maps,
    check_memory,
)
from nascli.data import Augmentation, DataModule, class_weights, open_data
from nascli.errors import UsageError
from nascli.graphs.graph import Graph, Size
from nascli.graphs.operations import Norm
from nascli.seeds import derive_seed
from nascli.spaces.network_settings import DataShape


def train(
    source: Source,
    config: TrainConfig,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    stop: StopRequest | None = None,
    *,
    start: Source | None = None,
) -> LoadedModel:
    """Train the network of a genotype and return the model; write it where `destination` says.

    `start` is the run that the genotype was derived from, or a model, of which what fits is taken: where the training
    starts if `config.weights` is "inherited". `stop` tells the caller of a signal that came too late to interrupt this
    training.

    Raises ArtifactError, UsageError, DataError, MemoryExhausted, Diverged, Interrupted.
    """
    genotype = artifact(source, GenotypeFile)
    origin = None if start is None else starting_file(start)
    inherited = inherited_weights(genotype, origin, config)
    check_connected(genotype, config)
    refuse_overwriting_artifacts([destination.output], genotype, origin)
    made_from, model = genotype.ancestor(), weights_from(origin)
    if done := complete(destination, config, made_from, reporter, ModelFile, model):
        return done
    with working(config) as runtime:
        data = open_images(genotype, config, runtime, reporter)
        job, graph = open_training(genotype, inherited, config, data, runtime, reporter)
        rows = learn(
            job,
            config,
            destination,
            reporter,
            data=data,
            made_from=made_from,
            facts=facts(genotype.value.genotype.in_words(job.settings), config, data, graph.size, runtime),
            runtime=runtime,
            genotype=genotype.value,
            weights_from=model,
            stop=stop,
        )
        kept = job.take_best(rows) if config.keep == "best" else rows[-1]
        if config.keep == "best":
            reporter.notice(
                f"the model has the weights of epoch {kept['epoch']} of {rows[-1]['epoch']}, the best on the "
                f"validation images ({kept[ACCURACY]:.1%})"
            )
        if (trained := kept["step"]) < FEW_STEPS:
            job.settle()
            text = settled_notice(trained, "model", watched=ACCURACY in kept)
            reporter.notice(text + (", but not the choice of the epoch" if config.keep == "best" else ""))
            kept = {**kept, **job.watched()}  # of the network that is written
        weights = {
            k: v.detach().cpu() for k, v in job.network.state_dict().items() if not k.startswith(auxiliary.PREFIX)
        }
        content = model_bytes(
            ModelFile(
                weights=weights,
                genotype=genotype.value.genotype,
                network=job.settings.model_copy(update={"auxiliary": False}),
                data=data.info,
                metrics=_measured(kept, rows[-1]) if config.keep == "best" else _measured(kept),
                provenance=provenance(config, data.info, made_from, earlier_plans(destination.run_path), model),
            )
        )
        path = destination.write(content)
        reporter.end(path)
    return read_back(content, path, ModelFile)


def _measured(kept: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a model's file says of the epoch that its weights are of and, if they need not be the last, how many
    epochs there were. A loss that is not finite has no place in a file.
    """
    count = {} if last is None else {"epochs_done": last["epoch"]}
    measured = {k: v for k, v in kept.items() if k not in ("seconds", "images_per_second")}
    return {**{k: v for k, v in measured.items() if v is not None and isfinite(v)}, **count}


def open_images(genotype: LoadedGenotype, config: TrainConfig, runtime: Runtime, reporter: Reporter) -> DataModule:
    """The images of a training. Reports how they are read and what has changed. Raises as `train`."""
    if config.image_size is not None and config.stem == "cifar":  # before any image is enlarged
        largest = (config.channels or 1) * config.image_size**2
        check_maps(config.batch_size, largest, config.image_size, runtime, config.stem)
    data = open_data(config, device=runtime.device)
    for notice in data.notices:
        reporter.notice(notice)
    if found := _since_the_search(genotype, config, data.info):
        reporter.notice(f"the images have changed since the search ({found})")
    return data


def _since_the_search(genotype: LoadedGenotype, config: TrainConfig, data: DataInfo) -> str:
    """How the images have changed since the genotype's search, in words; empty if they haven't, or are others."""
    searches = (one for one in genotype.provenance.descent() if one.stage in (SearchConfig.stage, FinetuneConfig.stage))
    last = next(searches, None)
    return changed_since(last, data.description(), config.data_dir) if last else ""


def open_training(
    genotype: LoadedGenotype,
    inherited: Inherited | Transferred | None,
    config: TrainConfig,
    data: DataModule,
    runtime: Runtime,
    reporter: Reporter,
) -> tuple["TrainJob", Graph]:
    """A training before its first step, and its network as data. Raises as `train`."""
    found = genotype.value.genotype
    check_watched(config, data)
    if isinstance(inherited, Inherited):
        check_data(inherited, data.info)
    settings, graph = derived_network(found, config, shape_of(data.info))
    notices = (
        stem_notice(config.stem, data.info.image_size),
        tower_notice(config.auxiliary, settings, graph),
        batch_notice(config, data.info.train_images),
        _balance_notice(config),
        *runtime.notices,
    )
    for text in filter(None, notices):
        reporter.notice(text)
    smaller = "a genotype that keeps less" if config.layers is None else "fewer --channels or --layers"
    tower = graph.tower_parameters if settings.auxiliary else 0
    check_memory(graph.parameters + tower, runtime.device, smaller)
    check_maps(config.batch_size, graph.largest_map, data.info.image_size, runtime, config.stem)
    normed = [graph.shapes[node.name].side for node in graph.nodes if isinstance(node.op, Norm)]
    last_of_tower = [1] if settings.auxiliary and graph.tower is not None and graph.tower.form.last_norm else []
    check_batch(config.batch_size, [*normed, *last_of_tower])
    job = TrainJob(found, graph, settings, config, data, runtime, inherited)
    if inherited is not None and job.transfer is not None:
        reporter.notice(f"inherited from {inherited.where}: {job.transfer}")
    if inherited is not None and (text := told_validation(inherited, data.info, config)):
        reporter.notice(text)
    if config.drop_path > 0 and job.network.path_count == 0:
        reporter.notice("no path is dropped: this network has no path that may be")
    return job, graph


def check_watched(config: TrainConfig, data: DataModule, *, compared: bool = False) -> None:
    """Raise UsageError for a choice by validation images where there are none. compared: cells are chosen by them."""
    choices = {"--keep-best": compared, "--keep best": config.keep == "best", "--patience": config.patience > 0}
    if (wanted := " and ".join(name for name, wanted in choices.items() if wanted)) and not (
        config.validation > 0 or data.has_validation
    ):
        verb = "need" if " and " in wanted else "needs"
        raise UsageError(
            f"{wanted} {verb} validation images, and {data.info.dataset} has none: hold some out with "
            "--validation 0.1, or have val/ beside test/"
        )


def _balance_notice(config: TrainConfig) -> str:
    """A warning where rare classes are favoured twice; else empty."""
    if config.class_weights == config.sampling == "balanced":
        return (
            "--class-weights balanced and --sampling balanced each make up for rare classes: together they favour them"
        )
    return ""


def facts(network: str, config: TrainConfig, data: DataModule, size: Size, runtime: Runtime) -> dict[str, object]:
    """What is worth a line before a training starts."""
    return {
        "data": data.info.in_words(),
        "recipe": config.recipe,
        **({"stem": config.stem} if config.stem else {}),
        "network": network,
        "parameters": size.parameters,
        "multiply-adds": size.multiply_adds,
        "device": str(runtime.device),
        **runtime.ranks_in_words,
        "precision": runtime.precision,
    }


class TrainJob:
    """A network, its optimiser and its images, as the loop sees them.

    The network starts from the weights that are `inherited`, or from random ones.
    """

    def __init__(
        self,
        genotype: Genotype,
        graph: Graph,
        settings: DataShape,
        config: TrainConfig,
        data: DataModule,
        runtime: Runtime,
        inherited: Inherited | Transferred | None = None,
    ) -> None:
        self.settings = settings
        self.device, self.batch_size = runtime.device, config.batch_size
        self._config, self._runtime, self._data = config, runtime, data
        parts = data.split({"validation": config.validation, "train": 1 - config.validation}, config.seed)
        self._held_out = parts["validation"]
        self._stream = data.stream(
            parts["train"],
            config.batch_size,
            seed=config.seed,
            name="train",
            augmentation=Augmentation.for_dataset(data.info, config.cutout, config.flip),
            memory_format=runtime.memory_format,
            balanced=config.sampling == "balanced",
        )
        self._class_weights: Tensor | None = None
        if config.class_weights == "balanced":
            weights = class_weights(data.train_labels[parts["train"]], len(data.info.classes))
            self._class_weights = torch.from_numpy(weights).to(runtime.device, torch.float32)
        self.epochs = config.epochs
        self.steps_per_epoch: int = self._stream.batches_per_pass
        seed = derive_seed(config.seed, "weights")
        network, self.transfer = starting_network(inherited, graph, data.info, seed, with_tower=settings.auxiliary)
        self.network = runtime.place(network)
        self._runnable = runtime.runnable(self.network)
        self._auxiliary = settings.auxiliary
        self.schedule = training_schedule(config, self.steps_per_epoch)
        self._weights = training_sgd(self.network.parameters(), config, runtime)
        self.steps_done = 0
        self._best: dict[str, Any] | None = None

    def step(self) -> Mapping[str, Tensor]:
        """One SGD step on the cross-entropy of the network, and of its auxiliary tower, on one batch."""
        batch = self._stream.next(self._runtime.ranks.share)
        with self._runtime.autocast():
            found = answer(
                self._runnable,
                batch,
                self._paths(*self._runtime.rows(self.batch_size, len(batch[1]))),
                auxiliary=self._config.auxiliary if self._auxiliary else 0.0,
                label_smoothing=self._config.label_smoothing,
                class_weights=self._class_weights,
                parts=self._runtime.parts(self.batch_size),
            )
        norm = self._weights.update(found.objective, self.schedule(self.steps_done))
        self.steps_done += 1
        return {"train_loss": found.loss.detach(), "train_accuracy": found.accuracy, "gradient_norm": norm}

    def _paths(self, batch: int, rows: slice = slice(None)) -> Tensor | None:
        """Drop-path multipliers of this step, for these rows of the batch; None where nothing is dropped."""
        epoch = self.steps_done // self.steps_per_epoch
        probability = growing_probability(self._config.drop_path, epoch, self._config.epochs)
        if probability == 0:
            return None
        draw = self._runtime.generator(self._config.seed, "drop_path", self.steps_done)
        return draw_paths(self.network.path_count, batch, probability, draw, self._runtime.device, rows)

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1))

    def start_metrics(self) -> Mapping[str, float]:
        return {}

    def epoch_metrics(self) -> Mapping[str, float]:
        """As `watched`. Remembers the weights if they are the best so far and the model is to have those."""
        row = self.watched()
        if self._config.keep == "best" and better(row, self._best):
            weights = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            self._best = {**row, "epoch": self.steps_done // self.steps_per_epoch, "weights": weights}
        return row

    def watched(self) -> Mapping[str, float]:
        """Loss and accuracy on images that the training does not see, where there are any: held out, or of val/."""
        form, ranks = self._runtime.memory_format, self._runtime.ranks
        if len(self._held_out):
            batches = self._data.batches(self._held_out, self.batch_size, form, ranks.share)
        elif self._data.has_validation:
            batches = self._data.validation_batches(self.batch_size, form, ranks.share)
        else:
            return {}
        tally = Tally(len(self._data.info.classes))
        count_answers(self._runnable, batches, self._runtime, tally)
        tally.add_up(ranks)
        return {LOSS: tally.loss, ACCURACY: tally.top1}

    def take_best(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Give the network the weights of the best epoch. Returns its row."""
        assert self._best is not None, "every epoch has been measured"
        best = self._best
        self.network.load_state_dict(best["weights"])
        return next(row for row in rows if row["epoch"] == best["epoch"])

    def settle(self) -> None:
        """Give batch norms the statistics of the training images, not augmented, under the present weights."""
        with self._runtime.autocast():
            update_bn(self._stream.once(), self.network)

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "optimizer": self._weights.state_dict(),
            "stream": self._stream.position,
            **({} if self._best is None else {"best": self._best}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        self._weights.load_state_dict(state["optimizer"])
        self._stream.position = state["stream"]
        self._best = state.get("best")
