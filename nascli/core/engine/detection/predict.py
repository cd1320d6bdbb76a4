"""The boxes in pictures without annotations."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.load import LoadedDetector
from nascli.config import PredictConfig
from nascli.core.engine.detection.evaluate import load_detector
from nascli.core.engine.detection.found import FoundBoxes, find
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Source, artifact
from nascli.core.runtime import fitting_threads
from nascli.data import find_pictures
from nascli.data.decoding import UnreadableImage, decode
from nascli.data.format import format_of
from nascli.data.scenes.views import Views

BATCH = 32
"""Pictures that a detector sees at a time, if nothing else is asked for."""

SCORE = 0.3
"""The least score of a box that is told, if nothing else is asked for."""


@dataclass(frozen=True)
class PictureBoxes:
    """The boxes in a picture, the surest first: their classes, scores (0 to 1) and corners (left, top, right, bottom).

    Corners are in the picture's pixels. `error`: what is wrong with an unreadable picture, with its path.
    """

    path: str
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    corners: tuple[tuple[float, float, float, float], ...] = ()
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """What there is of it, as JSON has it."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        rows = zip(self.classes, self.scores, self.corners, strict=True)
        boxes = [{"class": name, "score": score, "box": list(corners)} for name, score, corners in rows]
        return {"path": self.path, "boxes": boxes}


def find_boxes(
    source: Source,
    pictures: str | Path | Iterable[str | Path],
    config: PredictConfig | None = None,
    *,
    score: float = SCORE,
) -> list[PictureBoxes]:
    """The boxes of at least this score in pictures: files, and those in folders at any depth, in this order.

    A picture that cannot be read has an `error`. Raises ArtifactError, UsageError, DataError, MemoryExhausted.
    """
    places = [pictures] if isinstance(pictures, str | Path) else pictures
    loaded = artifact(source, DetectorFile)
    return list(boxes_in(loaded, pictures_in(places), config or PredictConfig(), score))


def pictures_in(places: Iterable[str | Path]) -> list[Path]:
    """The pictures in files and folders, as `find_pictures`. Raises as it."""
    return find_pictures(places)


def boxes_in(
    loaded: LoadedDetector, paths: Sequence[Path], config: PredictConfig, score: float
) -> Iterator[PictureBoxes]:
    """The boxes in these pictures, as they are read, in this order. Raises ArtifactError, MemoryExhausted."""
    seen = loaded.value.data
    size = config.batch_size if "batch_size" in config.model_fields_set else BATCH
    with (
        working(config) as runtime,
        ThreadPoolExecutor(4) as threads,
        fitting_threads(runtime, size * seen.image_size**2),
    ):
        network = load_detector(loaded, runtime)
        for first in range(0, len(paths), size):
            chunk = paths[first : first + size]
            read = list(threads.map(_Reader(seen), chunk))
            good = [one for one in read if not isinstance(one, UnreadableImage)]
            found: Iterator[FoundBoxes] = iter(())
            if good:
                images = torch.stack([image for image, _ in good]).to(runtime.device).float() / 255
                found = find(network, [(images, [sizes for _, sizes in good])], runtime)
            for path, one in zip(chunk, read, strict=True):
                if isinstance(one, UnreadableImage):
                    yield PictureBoxes(str(path), error=str(one))
                else:
                    yield _told(path, next(found).surer(score), seen.classes)


class _Reader:
    """Reads a picture as a detector sees it, with its size (width, height), or the error of one that is unreadable."""

    def __init__(self, seen: DataInfo) -> None:
        self._views = Views(seen.image_size, "none", False, ())
        self._channels, self._background = seen.channels, format_of(seen).background

    def __call__(self, path: Path) -> tuple[Tensor, tuple[int, int]] | UnreadableImage:
        try:
            pixels = decode(path, self._channels, self._background)
        except UnreadableImage as error:
            return error
        return self._views.plain(pixels), (pixels.shape[2], pixels.shape[1])


def _told(path: Path, found: FoundBoxes, classes: Sequence[str]) -> PictureBoxes:
    corners = np.round(found.corners.astype(float), 2).tolist()
    return PictureBoxes(
        str(path),
        tuple(classes[label] for label in found.labels),
        tuple(round(float(score), 4) for score in found.scores),
        tuple((box[0], box[1], box[2], box[3]) for box in corners),
    )
