"""What every data set provides."""

from collections.abc import Callable
from dataclasses import dataclass

from nascli.data.images import Images


@dataclass(frozen=True)
class Source:
    """A data set that has been found, of which nothing need have been read.

    train, test: read the two parts. train_images, test_images: how many they hold, known beforehand.
    fingerprint: SHA-256 that changes when any image or label of either part does.
    notices: what the user should know. validation: further images to watch a training with, where there are any.
    """

    train: Callable[[], Images]
    test: Callable[[], Images]
    train_images: int
    test_images: int
    fingerprint: str
    notices: tuple[str, ...] = ()
    validation: Callable[[], Images] | None = None
