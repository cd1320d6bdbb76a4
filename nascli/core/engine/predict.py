"""The classes of pictures without labels, as one trained model or several see them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedModel
from nascli.artifacts.model import ModelFile
from nascli.config import PredictConfig
from nascli.core.engine.ensemble import check_members, preprocessing
from nascli.core.engine.evaluate import network_for
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Source, artifacts
from nascli.core.runtime import Runtime, fitting_threads
from nascli.data import Pictures, find_pictures

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of a picture, the best first, and their probabilities; none if it cannot be read.

    `error`: what is wrong with an unreadable picture, with its path.
    """

    path: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """What there is of it, as JSON has it."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        return {"path": self.path, "classes": list(self.classes), "probabilities": list(self.probabilities)}


def predict(
    models: Source | Sequence[Source], pictures: Place | Iterable[Place], config: PredictConfig | None = None
) -> list[Prediction]:
    """The classes of pictures: files, and those in folders at any depth, in this order.

    Of several models the mean of their probabilities is taken, in the first one's classes. A picture that cannot be
    read has an `error`. Raises ArtifactError, UsageError, MemoryExhausted, and DataError for a folder without pictures.
    """
    sources = models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    places = [pictures] if isinstance(pictures, (str, os.PathLike)) else pictures
    return list(predictions(*models_and_pictures(sources, places), config or PredictConfig()))


def models_and_pictures(
    sources: Sequence[Source], places: Iterable[Place]
) -> tuple[tuple[LoadedModel, ...], list[Path]]:
    """Models that can answer together, and the pictures in files and folders. Raises as `predict`."""
    models = artifacts(sources, ModelFile)
    check_members(models)
    return models, find_pictures(places)


def predictions(models: Sequence[LoadedModel], paths: Sequence[Path], config: PredictConfig) -> Iterator[Prediction]:
    """The classes of these pictures, as they are read, in this order; both as `models_and_pictures` returns them.

    Raises MemoryExhausted.
    """
    classes = models[0].value.data.classes
    top = min(config.top, len(classes))
    with working(config) as runtime:
        views = [_View(seen, members, classes, runtime) for seen, members in _of_one_view(models)]
        passes = [view.probabilities(paths, config) for view in views]
        largest = max(model.value.data.image_size for model in models)
        with fitting_threads(runtime, config.batch_size * largest**2):
            for batches in zip(*passes, strict=True):
                best = (sum(batch.sums for batch in batches) / len(models)).topk(top, dim=1)
                found = {
                    place: Prediction(str(paths[place]), tuple(classes[index] for index in indices), tuple(shares))
                    for place, indices, shares in zip(
                        batches[0].places, best.indices.tolist(), best.values.tolist(), strict=True
                    )
                }
                found |= {place: Prediction(str(paths[place]), error=text) for place, text in batches[0].errors.items()}
                yield from (found[place] for place in sorted(found))


@dataclass(frozen=True)
class _Batch:
    """The sums over networks of their probabilities, float64 [readable, classes]; places in the list of pictures."""

    sums: Tensor
    places: list[int]
    errors: dict[int, str]


class _View:
    """Models that see pictures alike."""

    def __init__(self, seen: DataInfo, members: list[LoadedModel], classes: tuple[str, ...], runtime: Runtime) -> None:
        self._seen, self._runtime = seen, runtime
        self._networks = [runtime.runnable(network_for(model, classes, runtime.device)) for model in members]

    def probabilities(self, paths: Sequence[Path], config: PredictConfig) -> Iterator[_Batch]:
        runtime = self._runtime
        pictures = Pictures(paths, self._seen, runtime.device, config.workers)
        for images, places, errors in pictures.batches(config.batch_size, runtime.memory_format):
            sums = images.new_zeros((len(images), len(self._seen.classes)), dtype=torch.float64)
            if len(images):
                sums = sum((self._answers(network, images) for network in self._networks), sums)
            yield _Batch(sums, places.tolist(), {place: str(error) for place, error in errors.items()})

    def _answers(self, network: nn.Module, images: Tensor) -> Tensor:
        with torch.inference_mode(), self._runtime.autocast():
            logits: Tensor = network(images)
        return logits.double().softmax(dim=1)


def _of_one_view(models: Sequence[LoadedModel]) -> list[tuple[DataInfo, list[LoadedModel]]]:
    """The models, grouped by how they see pictures, with what they see."""
    groups: dict[tuple[object, ...], list[LoadedModel]] = {}
    for model in models:
        groups.setdefault(preprocessing(model.value.data), []).append(model)
    return [(members[0].value.data, members) for members in groups.values()]
