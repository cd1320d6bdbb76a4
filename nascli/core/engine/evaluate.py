"""Evaluation of a trained model on the test images."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from nascli.artifacts.load import LoadedModel
from nascli.artifacts.model import ModelFile
from nascli.config import EvalConfig
from nascli.core.answer import log_probabilities
from nascli.core.engine.calibration import Calibration
from nascli.core.engine.class_scores import ClassScores
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Output, Source, artifact
from nascli.core.engine.mistakes import WrongAnswers, check_table, write_table
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.nn import build
from nascli.core.nn.graph_network import TrainedNetwork
from nascli.core.runtime import Runtime, fitting_threads
from nascli.data import DataModule, open_data
from nascli.distributed.ranks import Ranks
from nascli.errors import UsageError
from nascli.graphs.graph import Size

INHERITED = ("dataset", "data_dir", "skip_corrupt", "workers")
"""Settings that an evaluation takes from the training unless told otherwise."""


class Evaluation(BaseModel):
    """How a model does on the test images. Shares are in [0, 1]; `confusion[i][j]` counts class i taken for class j.

    `loss` is the mean negative log-likelihood, in nats. `top5` is None where there are at most five classes.
    `calibration_error` is the expected calibration error (see `Calibration`). `per_class` is each class's accuracy:
    its recall. `precision`, `recall` and `f1` of each class are None where undefined; they, their means and
    `balanced_accuracy` are as `ClassScores` says. `multiply_adds` counts convolutions and linear layers for one image.
    `images_per_second` is that of the forward pass alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    images: int
    loss: float
    top1: float
    top5: float | None
    balanced_accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    calibration_error: float
    classes: tuple[str, ...]
    per_class: dict[str, float | None]
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    f1: dict[str, float | None]
    confusion: tuple[tuple[int, ...], ...]
    parameters: int
    multiply_adds: int
    images_per_second: float
    device: str


class Count(Protocol):
    """Something that counts over batches, from the network's logits and the labels."""

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """[images, classes], [images]."""


class Tally:
    """Counts over batches of a data set, on the device of the batches."""

    def __init__(self, classes: int) -> None:
        self.images = 0
        self._loss = self._top5 = torch.zeros((), dtype=torch.float64)
        self._confusion = torch.zeros(classes * classes, dtype=torch.int64)
        self._calibration = Calibration()
        self._classes = classes

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count one batch. [images, classes] of logits, or of log-probabilities, which are logits too; [images]."""
        log_p, best = log_probabilities(logits)
        self.images += len(labels)
        self._loss = self._loss.to(log_p.device) - log_p.gather(1, labels[:, None]).sum()
        right = best.indices == labels[:, None]
        self._top5 = self._top5.to(log_p.device) + right.sum()
        pairs = labels * self._classes + best.indices[:, 0]
        self._confusion = self._confusion.to(log_p.device) + torch.bincount(pairs, minlength=self._classes**2)
        self._calibration.add(best.values[:, 0].exp(), right[:, 0])

    def add_up(self, ranks: Ranks) -> None:
        """Add the counts of all ranks."""
        if ranks.count == 1:
            return
        own = (torch.tensor(self.images), self._loss, self._top5, self._confusion, self._calibration.counts())
        flat = torch.cat([part.cpu().double().flatten() for part in own])
        images, loss, top5, confusion, calibration = ranks.summed(flat, "counts").split([part.numel() for part in own])
        self.images, self._loss, self._top5 = int(images), loss[0], top5[0]
        self._confusion = confusion.long()
        self._calibration.take(calibration)

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return float(self._loss) / self.images

    @property
    def confusion(self) -> Tensor:
        """[classes, classes] counts: rows are true classes, columns are answers."""
        return self._confusion.view(self._classes, self._classes).cpu()

    @property
    def top1(self) -> float:
        return int(self.confusion.diagonal().sum()) / self.images

    @property
    def top5(self) -> float | None:
        return float(self._top5) / self.images if self._classes > 5 else None

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, 0 to 1."""
        return self._calibration.error


def count_answers(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], runtime: Runtime, *counts: Count
) -> float:
    """Let `counts` count all batches, with the network in evaluation mode.

    Returns the seconds spent in the network, without the set-up of its first call.
    """
    was_training = network.training
    network.eval()
    seconds = 0.0
    warm = False
    with torch.inference_mode():
        for images, labels in batches:
            with runtime.autocast():
                if not warm:
                    network(images)
                    warm = True
                _wait(runtime)
                began = time.perf_counter()
                logits = network(images)
                _wait(runtime)
                seconds += time.perf_counter() - began
            for count in counts:
                count.add(logits, labels)
    network.train(was_training)
    return seconds


def _wait(runtime: Runtime) -> None:
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)


def evaluate(
    source: Source,
    config: EvalConfig | None = None,
    reporter: Reporter = Silent(),
    *,
    errors: Output = None,
    overwrite: bool = False,
) -> Evaluation:
    """Evaluate a model on test images: by default those of the data set that it was trained on.

    errors: a file for the table of its wrong answers (see `nascli.artifacts.mistakes`); `overwrite` replaces one.
    Raises ArtifactError, UsageError, DataError, MemoryExhausted.
    """
    loaded = artifact(source, ModelFile)
    check_table(errors, overwrite, [loaded])
    model = loaded.value
    config = resolved(loaded, config)
    with working(config) as runtime:
        data = test_data(model, config, runtime, model.data.classes)
        wrong = WrongAnswers()
        result = evaluate_on(data, loaded, config, runtime, *(() if errors is None else (wrong,)))
        wrong.add_up(runtime.ranks)
        for notice in data.notices:
            reporter.notice(notice)
        write_table(errors, overwrite, wrong, data, reporter)
    return result


def test_data(model: ModelFile, config: EvalConfig, runtime: Runtime, classes: tuple[str, ...]) -> DataModule:
    """The images as the model takes them: of its size, normalised by its statistics. Labels are places in `classes`."""
    return open_data(
        config,
        device=runtime.device,
        classes=classes,
        like=model.data,
        trained_at=_trained_at(model, config),
    )


def _trained_at(model: ModelFile, config: EvalConfig) -> Path | None:
    """The folder of the images that a model was trained on; None for another data set, or one without a folder."""
    then = model.provenance.config
    place = then.get("data_dir")
    return Path(place).expanduser() if then.get("dataset") == config.dataset and isinstance(place, str) else None


def evaluate_on(
    data: DataModule, loaded: LoadedModel, config: EvalConfig, runtime: Runtime, *counts: Count
) -> Evaluation:
    """Evaluate a model on what `test_data` opened. `counts` get its logits, in the order of the data's classes."""
    network = network_for(loaded, data.info.classes, runtime.device)
    tally = Tally(len(data.info.classes))
    batches = data.test_batches(config.batch_size, runtime.memory_format, runtime.ranks.share)
    with fitting_threads(runtime, config.batch_size * data.info.image_size**2):
        seconds = count_answers(runtime.runnable(network), batches, runtime, tally, *counts)
    tally.add_up(runtime.ranks)
    seconds = max(runtime.ranks.gathered(seconds, "counts"))
    return evaluation(tally, data, runtime, loaded.value.graph.size, seconds)


def evaluation(tally: Tally, data: DataModule, runtime: Runtime, size: Size, seconds: float) -> Evaluation:
    """The counts as a result. seconds: spent in the network."""
    classes = data.info.classes
    confusion = tally.confusion.tolist()
    scores = ClassScores.of(confusion)
    recall = dict(zip(classes, scores.recall, strict=True))
    return Evaluation(
        dataset=data.info.dataset,
        images=tally.images,
        loss=tally.loss,
        top1=tally.top1,
        top5=tally.top5,
        balanced_accuracy=scores.balanced_accuracy,
        macro_precision=scores.macro(scores.precision),
        macro_recall=scores.macro(scores.recall),
        macro_f1=scores.macro(scores.f1),
        calibration_error=tally.calibration_error,
        classes=classes,
        per_class=recall,
        precision=dict(zip(classes, scores.precision, strict=True)),
        recall=recall,
        f1=dict(zip(classes, scores.f1, strict=True)),
        confusion=tuple(tuple(row) for row in confusion),
        parameters=size.parameters,
        multiply_adds=size.multiply_adds,
        images_per_second=tally.images / seconds,
        device=str(runtime.device),
    )


def network_for(loaded: LoadedModel, classes: tuple[str, ...], device: torch.device) -> nn.Module:
    """The network of a model, in evaluation mode, with its outputs in the order of `classes`, which are its own."""
    network, own = load_network(loaded, device), loaded.value.data.classes
    return network if classes == own else _Reordered(network, [own.index(name) for name in classes]).eval()


class _Reordered(nn.Module):
    """A network whose outputs are put into another order: output i is the network's output `order[i]`."""

    def __init__(self, network: nn.Module, order: list[int]) -> None:
        super().__init__()
        self._network, self._order = network, order

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, classes]."""
        logits: Tensor = self._network(images)[:, self._order]
        return logits


def load_network(source: Source, device: str | torch.device = "cpu") -> nn.Module:
    """The trained network of a model as a plain module in evaluation mode. Raises ArtifactError.

    It maps images [B, C, H, W], scaled to [0, 1] and normalised by the model's `data.mean` and `data.std`, to logits.
    """
    loaded = artifact(source, ModelFile)
    network = build.load_network(loaded.value.graph, loaded.value.weights, loaded.where, TrainedNetwork)
    return Runtime(torch.device(device)).place(network).eval()


def resolved(loaded: LoadedModel, config: EvalConfig | None) -> EvalConfig:
    """The training's data settings, with those that were given explicitly on top. Raises UsageError."""
    model = loaded.value
    given: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set} if config else {}
    if given.get("image_size") not in (None, model.data.image_size):
        raise UsageError(f"{loaded.where} is for images of {model.data.image_size} pixels: leave --image-size out")
    # A model that was derived with its weights, and not trained, was made with the images of the search.
    trained = next((origin.config for origin in loaded.provenance.descent() if origin.config.get("dataset")), {})
    inherited = {name: trained[name] for name in INHERITED if name in trained}
    if given.get("dataset") not in (None, inherited.get("dataset")):
        inherited.pop("data_dir", None)
    return EvalConfig(**{**inherited, **given})
