"""A data set of pictures with boxes as the engine sees it: its facts, and batches on the device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.config import SceneConfig
from nascli.data.permutation import permutation
from nascli.data.room import Room
from nascli.data.scenes.reading import Request, SceneStream, read
from nascli.data.scenes.scenes import Scenes, SceneSource
from nascli.data.scenes.views import Views
from nascli.data.statistics import Statistics, statistics
from nascli.errors import DataError, UsageError
from nascli.registry import SCENES, load, lookup
from nascli.seeds import derive_seed

SAMPLED_PICTURES = 256
"""The number of pictures that decide on mean and deviation."""


class SceneData:
    """Pictures with boxes; make one with `open_scenes`. Its `info` is that of a detector."""

    lost = ""
    """Pictures that become unreadable end a run, so none is ever left out later."""

    def __init__(
        self, config: SceneConfig, device: torch.device, like: DataInfo | None, normal: DataInfo | None
    ) -> None:
        row = lookup(SCENES, "dataset", config.dataset)
        if row.built_in and config.data_dir is not None:
            raise UsageError(
                f"--data-dir {config.data_dir} does not go with {config.dataset}, which is built in: for own pictures "
                "give --dataset coco, too"
            )
        source: SceneSource = load(row.target)(config, training=like is None)
        self._config, self._device = config, device
        self._flip = row.flip if config.flip is None else config.flip
        self._streams: list[SceneStream] = []
        notices = list(source.notices)
        if like is None:
            assert source.train is not None, "asked for"
            side = config.image_size or row.image_size
            classes = source.train.used_classes()
            if unused := [name for name in source.train.classes if name not in classes]:
                shown = ", ".join(map(repr, unused[:5])) + (" …" if len(unused) > 5 else "")
                notices.append(f"no training picture has a box of {len(unused)} of the categories: {shown}")
            if not classes:
                raise DataError("every training box is around a crowd: there is none to learn from")
            self._train = self._limited(source.train.with_classes(classes, "the training pictures"))
            whose = "the training pictures"
        else:
            side, classes, whose = like.image_size, like.classes, "the detector"
        self._test = source.test.with_classes(classes, whose)
        watched = source.validation
        self._validation = None if watched is None else watched.with_classes(classes, whose)
        if like is None:
            same = normal is not None and normal.channels == source.channels
            mean, std = (normal.mean, normal.std) if same and normal is not None else self._statistics(side)
            self.info = DataInfo(
                dataset=config.dataset,
                classes=classes,
                channels=source.channels,
                image_size=side,
                mean=mean,
                std=std,
                train_images=len(self._train),
                test_images=len(self._test),
                fingerprint=source.fingerprint,
                fit="squash",
                background=config.background,
            )
        else:
            self.info = like
            if source.channels != like.channels:
                raise UsageError(
                    f"the detector is for pictures of {like.channels} channels, {config.dataset} has {source.channels}"
                )
        self.notices = tuple(notices)

    def _limited(self, scenes: Scenes) -> Scenes:
        limit = self._config.limit_train
        if limit is not None and limit < len(scenes):
            order = permutation(len(scenes), derive_seed(self._config.seed, "limit_train"))
            scenes = scenes.select(np.sort(order[:limit]).tolist())
        if len(scenes) < 2:
            raise DataError("a training needs at least two pictures, which batch norm takes its statistics from")
        return scenes

    def _statistics(self, side: int) -> Statistics:
        """Mean and deviation of pixels, of a sample of the training pictures."""
        chosen = np.linspace(0, len(self._train) - 1, min(SAMPLED_PICTURES, len(self._train))).astype(int).tolist()
        requests = (Request([index]) for index in chosen)
        batches = read(self._train, requests, Views(side, "none", False, ()), **self._reading())
        return statistics((images * 255).round().to(torch.uint8) for images, _ in batches)

    def _reading(self) -> dict[str, Any]:
        channels = lookup(SCENES, "dataset", self._config.dataset).image_channels
        workers = self._config.workers
        return {"channels": channels, "workers": workers, "device": self._device}

    @property
    def has_validation(self) -> bool:
        """Whether there are pictures to watch a training with, besides those for testing."""
        return self._validation is not None

    @property
    def validation(self) -> Scenes:
        """The pictures to watch a training with."""
        assert self._validation is not None
        return self._validation

    @property
    def test(self) -> Scenes:
        """The test pictures. Their pixels are read when `batches` asks for them."""
        return self._test

    def stream(self, batch_size: int, augmentation: str) -> SceneStream:
        """Endless batches of random views of the training pictures; at most as large as their number."""
        fill = [255 * shade for shade in self.info.mean]
        views = Views(self.info.image_size, augmentation, self._flip, fill)
        size = min(batch_size, len(self._train))
        stream = SceneStream(self._train, size, views, seed=self._config.seed, **self._reading())
        self._streams.append(stream)
        return stream

    def batches(self, scenes: Scenes, batch_size: int) -> Iterator[tuple[Tensor, range]]:
        """One pass over pictures as evaluation sees them: images [B, C, side, side], and their numbers."""
        parts = [range(k, min(k + batch_size, len(scenes))) for k in range(0, len(scenes), batch_size)]
        views = Views(self.info.image_size, "none", False, ())
        answers = read(scenes, map(Request, parts), views, **self._reading())
        for part, (images, _) in zip(parts, answers, strict=True):
            yield images, part

    @contextmanager
    def kept(self, room: Room, tell: Callable[[str], None], *, validation: bool = False) -> Iterator[None]:
        """At the end of the block, streams end their worker processes. Nothing is kept decoded."""
        try:
            yield
        finally:
            for stream in self._streams:
                stream.close()


def open_scenes(
    config: SceneConfig, *, device: torch.device, like: DataInfo | None = None, normal: DataInfo | None = None
) -> SceneData:
    """Find the pictures of a configuration.

    like: the data of a detector that is to be evaluated; labels are then places in its classes, and no training picture
    is read. normal: the images of a classifier whose weights a training starts from, by whose mean and deviation
    pictures are then normalised. Raises DataError for pictures that are missing or unusable, UsageError.
    """
    return SceneData(config, device, like, normal)
