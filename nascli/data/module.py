"""A data set as the engine sees it: its facts, and batches on the device."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.data_info import DataInfo
from nascli.config import Config
from nascli.data import splits
from nascli.data.augmentation import Augmentation, Normalization
from nascli.data.feed import Request
from nascli.data.format import ELONGATED, Format, colour, format_of
from nascli.data.images import FileImages, Images
from nascli.data.kept import Decoding, keep, plan, rehearse
from nascli.data.part import Part, open_part, part_statistics
from nascli.data.room import Keeping, Room
from nascli.data.sources.source import Source
from nascli.data.stream import Stream
from nascli.data.workers import WorkerFeed
from nascli.distributed.share import WHOLE, Share
from nascli.errors import UsageError
from nascli.registry import DATASETS, load, lookup
from nascli.seeds import derive_seed

Batches = Iterator[tuple[Tensor, Tensor]]

SHOWN = 5
"""The most classes that a message names."""


class DataModule:
    """Batches of a data set on a device; make one with `open_data`.

    Images come as float32 [B, C, H, W], with mean 0 and deviation 1 per channel over the training images; labels as
    int64 [B].
    Training images are decoded when they are first needed, test and validation images when their batches are asked for.
    """

    info: DataInfo

    def __init__(
        self,
        source: Source,
        config: Config,
        device: torch.device,
        classes: tuple[str, ...] | None = None,
        like: DataInfo | None = None,
    ) -> None:
        self._source = source
        self._config = config
        self._device = device
        self._classes = classes
        self._notices = list(source.notices)
        self._parts: list[Part] = []
        self._streams: list[Stream] = []
        self._format = self._own_format() if like is None else format_of(like)
        mean, std = part_statistics(self._train, self._format) if like is None else (like.mean, like.std)
        self._normalize = Normalization(mean, std, device)
        self.info = DataInfo(
            dataset=config.dataset,
            classes=classes or self._all_train_images.classes,
            channels=self._format.channels,
            image_size=self._format.side,
            mean=mean,
            std=std,
            train_images=min(source.train_images, config.limit_train or source.train_images)
            if like
            else len(self._train.labels),
            test_images=source.test_images,
            fingerprint=source.fingerprint,
            fit=self._format.fit,
            background=config.background if like is None else like.background,
        )

    def _own_format(self) -> Format:
        """The format that the configuration gives or, by default, one that suits the training images."""
        images, config = self._all_train_images, self._config
        background = colour(config.background)
        fit, longer = config.fit, images.elongation()
        if fit is None:
            fit = "squash" if longer > ELONGATED else "crop"
            if fit == "squash":
                self._notices.append(
                    f"the median picture is {longer:.1f} times as long as wide: pictures are squashed to squares, "
                    "since their centre would be too little (--fit crop cuts it out, --fit pad adds borders)"
                )
        return Format(images.channels(background), config.image_size or images.side(), fit, background)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the images that have been read so far."""
        return tuple(self._notices)

    @property
    def lost(self) -> str:
        """The message about pictures that became unreadable and were left out later; empty if there are none."""
        feeds = [part.feed for part in self._parts if isinstance(part.feed, WorkerFeed)]
        lost = [text for feed in feeds for text in feed.lost]
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        return f"left out since the beginning, as they can no longer be read: {lost[0]}{more}" if lost else ""

    @property
    def train_labels(self) -> np.ndarray:
        """The labels of the training images. int64 [train_images]"""
        return self._train.labels

    def split(self, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
        """Disjoint, stratified parts of the training images, as sorted indices; see `nascli.data.splits.split`."""
        return splits.split(self.train_labels, fractions, seed)

    def stream(
        self,
        indices: np.ndarray,
        batch_size: int,
        *,
        seed: int,
        name: str,
        augmentation: Augmentation,
        memory_format: torch.memory_format = torch.contiguous_format,
        balanced: bool = False,
    ) -> Stream:
        """Endless augmented batches of some training images; `balanced`: each class equally often.

        Raises UsageError for a batch larger than their number.
        """
        stream = Stream(
            self._train.feed,
            indices,
            batch_size,
            seed=seed,
            name=name,
            augmentation=augmentation,
            normalize=self._normalize,
            memory_format=memory_format,
            labels=self.train_labels[indices] if balanced else None,
        )
        self._streams.append(stream)
        return stream

    @contextmanager
    def kept(
        self,
        room: Room,
        tell: Callable[[str], None],
        *,
        validation: bool = False,
        chosen: np.ndarray | None = None,
    ) -> Iterator[None]:
        """Within the block, large pictures are read from where they are kept, decoded once, if there is room for them.

        They are the training images, or those that are `chosen`, and with `validation` the validation images. tell:
        gets a line about it. At its end, streams end their worker processes. Raises DataError for a picture that cannot
        be read; MemoryExhausted or NascliError where they do not fit into the place that is asked for.
        """
        with keep(self._decoding(validation, chosen), room, tell):
            try:
                yield
            finally:
                for stream in self._streams:
                    stream.close()

    def plan_keeping(self, room: Room, *, validation: bool = False, chosen: np.ndarray | None = None) -> Keeping | None:
        """What `kept` would do, judged by a sample of the pictures; None where nothing is to be kept. Raises as it."""
        return plan(self._decoding(validation, chosen), room)

    def rehearsed(self) -> AbstractContextManager[None]:
        """Within the context, training images are read as fast as if they were kept: a few stand in for all of them."""
        return rehearse(self._decoding(validation=False))

    def _decoding(self, validation: bool, chosen: np.ndarray | None = None) -> list[Decoding]:
        parts = [(self._train, chosen), *([(self._validation, None)] if validation else [])]
        return [
            (part.feed, part.feed.images, np.arange(len(part.labels)) if indices is None else indices)
            for part, indices in parts
            if isinstance(part.feed, WorkerFeed) and isinstance(part.feed.images, FileImages)
        ]

    def batches(
        self,
        indices: np.ndarray | None,
        batch_size: int,
        memory_format: torch.memory_format = torch.contiguous_format,
        share: Share = WHOLE,
    ) -> Batches:
        """One pass over these training images (None: all), unchanged and in order; the last batch may be smaller.

        share: its batches alone.
        """
        chosen = np.arange(len(self._train.labels)) if indices is None else indices
        return self._pass(self._train, chosen, batch_size, memory_format, share)

    def test_batches(
        self, batch_size: int, memory_format: torch.memory_format = torch.contiguous_format, share: Share = WHOLE
    ) -> Batches:
        """One pass over the test images, unchanged; the last batch may be smaller. `share` as in `batches`."""
        return self._pass(self._test, np.arange(len(self._test.labels)), batch_size, memory_format, share)

    def test_paths(self) -> list[Path] | None:
        """The files of the images that `test_batches` has given, in that order; None where they are not in files."""
        files, feed = self._test.files, self._test.feed
        if files is None:
            return None
        paths = [files.path(index) for index in range(len(files))]
        lost = feed.lost if isinstance(feed, WorkerFeed) else {}
        return [path for path in paths if not any(text.startswith(f"{path}: ") for text in lost)]

    @property
    def has_validation(self) -> bool:
        """Whether the data set has validation images besides those for training and testing."""
        return self._source.validation is not None

    def validation_batches(
        self, batch_size: int, memory_format: torch.memory_format = torch.contiguous_format, share: Share = WHOLE
    ) -> Batches:
        """One pass over the validation images, unchanged; the last batch may be smaller. `share` as in `batches`."""
        part = self._validation
        return self._pass(part, np.arange(len(part.labels)), batch_size, memory_format, share)

    def _pass(
        self, part: Part, indices: np.ndarray, batch_size: int, memory_format: torch.memory_format, share: Share
    ) -> Batches:
        requests = [Request(indices[k : k + batch_size]) for k in range(0, len(indices), batch_size)]
        for images, labels in part.feed.read(share.turns(requests)):
            yield self._normalize(images, memory_format), labels

    @cached_property
    def _all_train_images(self) -> Images:
        """The images that decide on size, channels and classes, which thus don't depend on limit_train or the seed."""
        return self._ordered(self._source.train())

    @cached_property
    def _train(self) -> Part:
        """The training images in use."""
        images, limit = self._all_train_images, self._config.limit_train
        if limit is not None:
            images = images.select(splits.sample(images.labels, limit, derive_seed(self._config.seed, "limit_train")))
        return self._open(images)

    @cached_property
    def _test(self) -> Part:
        images = self._source.test()
        if missing := [name for name in self._classes or () if name not in images.classes]:
            named = ", ".join(map(repr, missing[:SHOWN])) + (" …" if len(missing) > SHOWN else "")
            self._notices.append(f"no image is of {len(missing)} of the {len(self._classes or ())} classes: {named}")
        return self._open(self._ordered(images))

    @cached_property
    def _validation(self) -> Part:
        assert self._source.validation is not None
        return self._open(self._ordered(self._source.validation()))

    def _ordered(self, images: Images) -> Images:
        return images.in_order_of(self._classes) if self._classes else images

    def _open(self, images: Images) -> Part:
        part = open_part(
            images,
            self._format,
            device=self._device,
            workers=self._config.workers,
            skip_corrupt=self._config.skip_corrupt,
        )
        self._notices += part.notices
        self._parts.append(part)
        return part


def open_data(
    config: Config,
    *,
    device: torch.device,
    classes: tuple[str, ...] | None = None,
    like: DataInfo | None = None,
    trained_at: Path | None = None,
) -> DataModule:
    """Find the data set of a configuration.

    classes, like, trained_at are for the evaluation of a model. classes: those of the model, into which labels are then
    indices. like: the images that it was trained on; the images here are made square and normalised like those, and no
    training image is decoded unless it is asked for. trained_at: the folder of the training's images.

    Raises DataError for images that are missing or unusable, UsageError for settings that don't fit them.
    """
    row = lookup(DATASETS, "dataset", config.dataset)
    if row.built_in and config.data_dir is not None:
        raise UsageError(
            f"--data-dir {config.data_dir} does not go with {config.dataset}, which is built in: for own pictures give "
            "--dataset folder (or csv, or npz), too"
        )
    if like is not None and row.labelled is not None:
        source = load(row.labelled)(config, like.fingerprint, trained_at)
    else:
        source = load(row.target)(config)
    return DataModule(source, config, device, classes, like)
