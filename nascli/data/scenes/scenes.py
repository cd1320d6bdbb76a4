"""Pictures with boxes, as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from nascli.errors import DataError


@dataclass(frozen=True)
class Boxes:
    """The boxes of one picture, in its pixels.

    corners: float32 [boxes, 4]: left, top, right, bottom. labels: int64 [boxes], from 0. crowd: bool [boxes]: the box
    is around many things at once, and a detector is neither asked for it nor blamed for boxes in it. areas: float64
    [boxes]: of the things themselves where they are known, else of their boxes; they tell small from large.
    """

    corners: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, chosen: np.ndarray) -> "Boxes":
        """Some of them, by indices or a mask."""
        return Boxes(self.corners[chosen], self.labels[chosen], self.crowd[chosen], self.areas[chosen])


@dataclass(frozen=True)
class Scenes:
    """Pictures, each with its name, its size in pixels (width, height) and its boxes.

    read: the pixels of a picture, uint8 [C, height, width]; it raises UnreadableImage.
    """

    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    boxes: Sequence[Boxes]
    classes: tuple[str, ...]
    read: Callable[[int], Tensor]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, chosen: Sequence[int]) -> "Scenes":
        """Some of the pictures, by number."""
        return Scenes(
            [self.names[k] for k in chosen],
            [self.sizes[k] for k in chosen],
            [self.boxes[k] for k in chosen],
            self.classes,
            _Chosen(self.read, chosen),
        )

    def with_classes(self, classes: tuple[str, ...], whose: str) -> "Scenes":
        """The same with labels that are places in `classes`. whose: says in messages what these are the classes of.

        Raises DataError for a box of another class.
        """
        if classes == self.classes:
            return self
        place = np.array([classes.index(name) if name in classes else -1 for name in self.classes] or [-1])
        for name, boxes in zip(self.names, self.boxes, strict=True):
            if len(strange := boxes.labels[place[boxes.labels] < 0]):
                raise DataError(
                    f"{name} has a box of class {self.classes[strange[0]]!r}, which is none of the {len(classes)} "
                    f"classes of {whose}: train with boxes of this class, too, or take them out of these annotations"
                )
        placed = [replace(one, labels=place[one.labels]) for one in self.boxes]
        return replace(self, boxes=placed, classes=classes)

    def used_classes(self) -> tuple[str, ...]:
        """The classes of which there is a box to learn from, in order."""
        found = np.zeros(len(self.classes), bool)
        for one in self.boxes:
            found[one.labels[~one.crowd]] = True
        return tuple(name for name, used in zip(self.classes, found, strict=True) if used)


@dataclass(frozen=True)
class _Chosen:
    """Reads the pictures of a choice."""

    read: Callable[[int], Tensor]
    chosen: Sequence[int]

    def __call__(self, index: int) -> Tensor:
        return self.read(self.chosen[index])


@dataclass(frozen=True)
class SceneSource:
    """Where the pictures of a data set are: those to train on (None: there are none, or nobody asked), to test on, and
    to watch a training with, if there are any.
    """

    train: Scenes | None
    test: Scenes
    validation: Scenes | None
    channels: int
    fingerprint: str
    notices: tuple[str, ...] = ()
