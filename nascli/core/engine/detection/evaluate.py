"""Evaluation of a detector on test pictures."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torchvision.models.detection.ssd import SSD

from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.load import LoadedDetector
from nascli.config import SceneEvalConfig
from nascli.core.engine.detection.average_precision import AveragePrecisions, average_precisions, check_packages
from nascli.core.engine.detection.found import find
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Source, artifact
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.nn import detector
from nascli.core.runtime import Runtime, fitting_threads
from nascli.data.scenes import SceneData, open_scenes
from nascli.errors import UsageError

INHERITED = ("dataset", "data_dir", "skip_corrupt", "workers")
"""Settings that an evaluation takes from the training unless told otherwise."""


class DetectorEvaluation(BaseModel):
    """How a detector does on test pictures.

    `boxes`: the true ones, crowds apart. Multiply-adds are those of one image. `images_per_second` counts from the
    images on the device to their boxes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    images: int
    boxes: int
    classes: tuple[str, ...]
    precision: AveragePrecisions
    parameters: int
    multiply_adds: int
    backbone_multiply_adds: int
    images_per_second: float
    device: str

    def document(self) -> dict[str, Any]:
        """All of it, the measures among the rest, as JSON."""
        own = self.model_dump(mode="json")
        return {**own.pop("precision"), **own}


def evaluate_detector(
    source: Source, config: SceneEvalConfig | None = None, reporter: Reporter = Silent()
) -> DetectorEvaluation:
    """Evaluate a detector on test pictures: by default those of the data set that it was trained on.

    Raises ArtifactError, UsageError, DataError, MemoryExhausted.
    """
    loaded = artifact(source, DetectorFile)
    check_packages()
    config = resolved(loaded, config)
    file = loaded.value
    with working(config) as runtime:
        data = open_scenes(config, device=runtime.device, like=file.data)
        for notice in data.notices:
            reporter.notice(notice)
        network = load_detector(loaded, runtime)
        clock = _Clock(runtime)
        scenes = data.test
        with fitting_threads(runtime, config.batch_size * file.data.image_size**2):
            found = list(find(network, clock.over(_sized(data, config.batch_size)), runtime))
            clock.stop()
        measured = average_precisions(scenes, found)
    return DetectorEvaluation(
        dataset=config.dataset,
        images=len(scenes),
        boxes=sum(int((~boxes.crowd).sum()) for boxes in scenes.boxes),
        classes=file.data.classes,
        precision=measured,
        parameters=file.layout.size.parameters,
        multiply_adds=file.layout.size.multiply_adds,
        backbone_multiply_adds=file.layout.backbone.graph.multiply_adds,
        images_per_second=len(scenes) / clock.seconds,
        device=str(runtime.device),
    )


def load_detector(loaded: LoadedDetector, runtime: Runtime) -> SSD:
    """The network of a detector on its device, in evaluation mode. Raises ArtifactError for weights that don't fit."""
    file = loaded.value
    network = detector.load_detector(file.layout, file.settings, file.data, file.weights, loaded.where)
    return runtime.place(network).eval()


def _sized(data: SceneData, batch_size: int) -> Iterator[tuple[Tensor, Sequence[tuple[int, int]]]]:
    for images, numbers in data.batches(data.test, batch_size):
        yield images, [data.test.sizes[k] for k in numbers]


class _Clock:
    """The seconds that pass between handing a batch over and being asked for the next one."""

    def __init__(self, runtime: Runtime) -> None:
        self.seconds = 0.0
        self._runtime = runtime
        self._began: float | None = None

    def over(
        self, batches: Iterator[tuple[Tensor, Sequence[tuple[int, int]]]]
    ) -> Iterator[tuple[Tensor, Sequence[tuple[int, int]]]]:
        for batch in batches:
            self.stop()
            self._began = self._now()
            yield batch
            self.stop()

    def stop(self) -> None:
        if self._began is not None:
            self.seconds += self._now() - self._began
            self._began = None

    def _now(self) -> float:
        if self._runtime.device.type == "cuda":
            torch.cuda.synchronize(self._runtime.device)
        return time.perf_counter()


def resolved(loaded: LoadedDetector, config: SceneEvalConfig | None) -> SceneEvalConfig:
    """The training's data settings, with those that were given explicitly on top. Raises UsageError."""
    given: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set} if config else {}
    if given.get("image_size") not in (None, loaded.value.data.image_size):
        raise UsageError(
            f"{loaded.where} is for images of {loaded.value.data.image_size} pixels: leave --image-size out"
        )
    trained = loaded.provenance.config
    inherited = {name: trained[name] for name in INHERITED if name in trained}
    if given.get("dataset") not in (None, inherited.get("dataset")):
        inherited.pop("data_dir", None)
    return SceneEvalConfig(**{**inherited, **given})
