"""Labelled images from an array or from files, which are read on demand."""

import hashlib
import heapq
import os
from abc import ABC, abstractmethod
from copy import copy
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Self

import numpy as np
import torch
from torch import Tensor

from nascli.config import LARGEST_SMALL_IMAGE
from nascli.data.decoding import Header, UnreadableImage, check, decode, read_header
from nascli.data.format import Format
from nascli.data.resizing import to_channels
from nascli.errors import DataError

LARGE_SIDE = 224
"""The side to which larger images are resized by default, as is usual on ImageNet."""

GRID = 8
"""The factor by which the stem for large images divides their side."""

PROBED_FILES = 256
"""The number of files whose headers decide on the image size of a folder."""


class Images(ABC):
    """A list of labelled images. labels: int64 [images], indices into `classes`."""

    def __init__(self, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        self.labels = labels
        self.classes = classes

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def select(self, indices: np.ndarray) -> Self:
        """The images at these indices, in this order."""

    def in_order_of(self, classes: tuple[str, ...]) -> Self:
        """The same images, with labels that are indices into `classes`. Raises DataError for other classes."""
        strange = [name for name in self.classes if name not in classes]
        if strange:
            raise DataError(
                f"the images have {len(strange)} of {len(self.classes)} classes that the model does not know, "
                f"{strange[0]!r} for one; it knows {', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}"
            )
        other = copy(self)
        other.labels = np.array([classes.index(name) for name in self.classes], np.int64)[self.labels]
        other.classes = classes
        return other

    @abstractmethod
    def load(self, index: int, format: Format) -> Tensor:
        """One image as `format` reads it, not yet square. -> uint8 [channels, h, w]. Raises UnreadableImage."""

    @abstractmethod
    def check(self, index: int) -> None:
        """Raises UnreadableImage if `load` would."""

    @abstractmethod
    def channels(self, background: tuple[int, int, int]) -> int:
        """1 if every image is grey, and so is any background that shows through, otherwise 3."""

    @abstractmethod
    def side(self) -> int:
        """The side in pixels that suits the images."""

    @abstractmethod
    def elongation(self) -> float:
        """The median ratio of the longer to the shorter side."""


class ArrayImages(Images):
    """Images of one size in memory. pixels: uint8 [images, C, H, W]."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        super().__init__(labels, classes)
        self.pixels = pixels

    def select(self, indices: np.ndarray) -> Self:
        return type(self)(self.pixels[indices], self.labels[indices], self.classes)

    def load(self, index: int, format: Format) -> Tensor:
        return to_channels(torch.from_numpy(self.pixels[index]), format.channels)

    def check(self, index: int) -> None:
        """An array has no unreadable image."""

    def channels(self, background: tuple[int, int, int]) -> int:
        return int(self.pixels.shape[1])

    def side(self) -> int:
        return int(min(self.pixels.shape[2:]))

    def elongation(self) -> float:
        return float(max(self.pixels.shape[2:]) / min(self.pixels.shape[2:]))


class FileImages(Images):
    """Images in files.

    paths: relative to `root`, as bytes. An array of them is one object, whose memory worker processes keep sharing; a
    million strings would be copied bit by bit as their reference counts change.
    """

    def __init__(self, root: Path, paths: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        super().__init__(labels, classes)
        self.root = root
        self.paths = paths

    def select(self, indices: np.ndarray) -> Self:
        return type(self)(self.root, self.paths[indices], self.labels[indices], self.classes)

    def path(self, index: int) -> Path:
        return self.root / os.fsdecode(self.paths[index])

    def load(self, index: int, format: Format) -> Tensor:
        sizing = None if format.resident else format.reduced
        return decode(self.path(index), format.channels, format.background, sizing)

    def check(self, index: int) -> None:
        check(self.path(index))

    def channels(self, background: tuple[int, int, int]) -> int:
        """1 if the headers of all files say so, palettes included, otherwise 3. Stops at the first colour image."""
        return 1 if len(set(background)) == 1 and all(self._is_grey(index) for index in range(len(self))) else 3

    def _is_grey(self, index: int) -> bool:
        try:
            return read_header(self.path(index)).grey
        except UnreadableImage:
            return True  # ignored here; the error is reported when the image is decoded

    def _digest(self, index: int) -> bytes:
        return hashlib.sha256(bytes(self.paths[index])).digest()

    def side(self) -> int:
        """The (lower) median of the shorter sides in a sample of files, which depends only on their names.

        At most LARGE_SIDE; above LARGEST_SMALL_IMAGE rounded down to a multiple of GRID. Thus a few images of another
        size change nothing, and at most half of them are enlarged. Raises DataError for a sample without readable ones.
        """
        side = median_low(min(header.width, header.height) for header in self.headers)
        return side if side <= LARGEST_SMALL_IMAGE else min(LARGE_SIDE, side - side % GRID)

    def elongation(self) -> float:
        """The median ratio of the longer to the shorter side, in the same sample."""
        return median_low(
            max(header.width, header.height) / min(header.width, header.height) for header in self.headers
        )

    @cached_property
    def headers(self) -> list[Header]:
        """The headers of a sample of files, which depends only on their names. Raises DataError if none is readable."""
        found: list[Header] = []
        unreadable: list[UnreadableImage] = []
        for index in heapq.nsmallest(PROBED_FILES, range(len(self)), key=self._digest):
            try:
                found.append(read_header(self.path(index)))
            except UnreadableImage as error:
                unreadable.append(error)
        if not found:
            raise DataError(f"{self.root} has no readable image; {unreadable[0]}")
        return found
