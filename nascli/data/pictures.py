"""Pictures without labels: where they are, and batches of them as a model sees its test images."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.data.augmentation import Normalization
from nascli.data.decoding import UnreadableImage
from nascli.data.feed import Request
from nascli.data.format import format_of
from nascli.data.images import FileImages
from nascli.data.sources.walking import files, is_image
from nascli.data.workers import WorkerFeed
from nascli.errors import DataError, UsageError

Answered = tuple[Tensor, np.ndarray, dict[int, UnreadableImage]]
"""Images [B, C, H, W], normalised; the places of their pictures in the list, int64 [B]; errors of others, by place."""


def find_pictures(places: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The pictures in files and folders; those in a folder, at any depth, in the order of their names.

    A file counts whatever its name is, and even if it is not there: reading it tells. Raises DataError for a folder
    without a picture; UsageError where nothing is named.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if not place.is_dir():
            found.append(place)
            continue
        inside = sorted(name for name in files(place, ".") if is_image(name))
        if not inside:
            raise DataError(f"no picture in {place}: name a folder that holds some, at any depth")
        found += [place / name for name in inside]
    if not found:
        raise UsageError("no picture is given: name files or folders")
    return found


class Pictures:
    """Batches of pictures as a model sees its test images.

    seen: the images of the model. workers: processes that load them; None: as a training would.
    """

    def __init__(self, paths: Sequence[Path], seen: DataInfo, device: torch.device, workers: int | None) -> None:
        names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        images = FileImages(Path(), names, np.arange(len(paths)), ())
        self._feed = WorkerFeed(images, format_of(seen), workers, device)
        self._normalize = Normalization(seen.mean, seen.std, device)

    def batches(self, batch_size: int, memory_format: torch.memory_format) -> Iterator[Answered]:
        """One pass over all pictures, in order. A batch has those of `batch_size` pictures that can be read."""
        count = len(self._feed.images)
        indices = [np.arange(k, min(k + batch_size, count)) for k in range(0, count, batch_size)]
        answers = self._feed.answers([Request(asked) for asked in indices])
        for asked, (images, kept, errors) in zip(indices, answers, strict=True):
            places = kept.cpu().numpy()
            lost = np.setdiff1d(asked, places).tolist()
            yield self._normalize(images, memory_format), places, dict(zip(lost, errors, strict=True))
