"""What every data set provides."""

from collections.abc import Callable
from dataclasses import dataclass

from nascli.data.images import Images


@dataclass(frozen=True)
class Source:
    """A data set that has been found, though perhaps not read yet.

    train, test: functions that read the two parts. train_images, test_images: their sizes, known beforehand.
    fingerprint: SHA-256 that changes if any image or label of either part does.
    notices: what the user should know. validation: reads further images to watch a training with, if there are any.
    """

    train: Callable[[], Images]
    test: Callable[[], Images]
    train_images: int
    test_images: int
    fingerprint: str
    notices: tuple[str, ...] = ()
    validation: Callable[[], Images] | None = None
