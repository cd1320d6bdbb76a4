"""Data sets whose parts are told by a file: from these parts to what a training or an evaluation reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from nascli.config import Config
from nascli.data.images import Images
from nascli.data.sources.source import Source
from nascli.data.splits import hold_out
from nascli.errors import DataError, UsageError

Part = Literal["train", "test", "val"]

PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Parts:
    """The images of each part that there is, all with the same classes.

    file: where they are told. names: of the training images, by which a fifth is held out if there are no others.
    fingerprint: as in `Source`.
    """

    file: Path
    images: Mapping[Part, Images]
    names: Sequence[str]
    fingerprint: str
    notices: tuple[str, ...] = field(default=())

    @property
    def testing(self) -> Images | None:
        """The test images or, without these, those for validation."""
        return self.images.get("test", self.images.get("val"))


def required_file(config: Config, what: str) -> Path:
    """data_dir, where it names a file. Raises UsageError if it is unset, DataError if it names none."""
    if config.data_dir is None:
        raise UsageError(f"dataset {config.dataset!r} needs --data-dir: {what}")
    path = config.data_dir.expanduser()
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {fault}: with --dataset {config.dataset}, --data-dir names {what}")
    return path


def training_part(parts: Parts) -> Images:
    """The images to train on. Raises DataError where there are none, or of too few classes."""
    images = parts.images.get("train")
    if images is None:
        raise DataError(f"{parts.file} has no training images")
    if len(images.classes) == 1:
        raise DataError(f"{parts.file} has one class only ({images.classes[0]!r}); a classifier needs two or more")
    if len(missing := np.setdiff1d(np.arange(len(images.classes)), images.labels)):
        raise DataError(f"{parts.file} has no training image of class {images.classes[missing[0]]!r}")
    return images if parts.testing is not None else images.select(_held_out(parts, images)[0])


def source_of(parts: Parts) -> Source:
    """The source of a search or a training. Without a part for testing, a fifth of each class is held out."""
    train, test = training_part(parts), parts.testing
    if test is None:
        everything = parts.images["train"]
        test = everything.select(_held_out(parts, everything)[1])
    watched = parts.images.get("val") if "test" in parts.images else None
    return Source(
        train=lambda: train,
        test=lambda: test,
        train_images=len(train),
        test_images=len(test),
        fingerprint=parts.fingerprint,
        notices=parts.notices,
        validation=None if watched is None else lambda: watched,
    )


def labelled_source(parts: Parts, fingerprint: str, trained_at: Path | None) -> Source:
    """The source of the evaluation of a model that was trained on images with this fingerprint.

    The test images are those of the part for testing. Without one, all images are, unless the model was trained on
    this file: then the fifth that was held out. trained_at: the file of the training's images.
    """
    train, test = parts.images.get("train"), parts.testing
    if test is not None:
        return _of(parts, train, test)
    everything = parts.images["train"]
    here = trained_at is not None and trained_at.resolve() == parts.file.resolve()
    if parts.fingerprint != fingerprint and not here:
        notice = f"all {len(everything):,} images of {parts.file} count; "
        return _of(
            parts, None, everything, f"{notice}if the model was trained on some of them, their accuracy flatters"
        )
    kept, held_out = _held_out(parts, everything)
    notice = (
        f"{parts.file} has changed since the training: among the {len(held_out):,} images that count, a fifth of each "
        "class, may be some that the model was trained on"
    )
    changed = [notice] if parts.fingerprint != fingerprint else []
    return _of(parts, everything.select(kept), everything.select(held_out), *changed)


def _of(parts: Parts, train: Images | None, test: Images, *notices: str) -> Source:
    """A source to test on. `train` None: there are no images that a model may have been trained on."""
    return Source(
        train=lambda: test if train is None else train,
        test=lambda: test,
        train_images=0 if train is None else len(train),
        test_images=len(test),
        fingerprint=parts.fingerprint,
        notices=(*parts.notices, *notices),
    )


def _held_out(parts: Parts, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and indices to test on."""
    return hold_out(images.labels, parts.names, images.classes)
