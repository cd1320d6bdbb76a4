"""Reading many images at once."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nascli.config import LARGEST_SMALL_IMAGE
from nascli.data.decoding import UnreadableImage
from nascli.data.format import Format
from nascli.data.images import ArrayImages, Images


@dataclass(frozen=True)
class Decoded:
    """All images of a list at one size.

    pixels: uint8 [kept, C, side, side]. kept: the indices in the list of the images that could be read.
    unreadable: one error for each other image. resized: how many had another size; uneven: how many of these were not
    square.
    """

    pixels: Tensor
    kept: np.ndarray
    unreadable: tuple[UnreadableImage, ...]
    resized: int
    uneven: int


def decode_all(images: Images, format: Format) -> Decoded:
    """Read every image as evaluation sees it."""
    count, channels, side = len(images), format.channels, format.side
    if isinstance(images, ArrayImages) and images.pixels.shape[1:] == (channels, side, side) and format.resident:
        return Decoded(torch.from_numpy(images.pixels), np.arange(count), (), 0, 0)
    pixels = torch.empty((count, channels, side, side), dtype=torch.uint8)

    def decode_some(indices: range) -> tuple[list[tuple[int, UnreadableImage]], int, int]:
        unreadable, resized, uneven = [], 0, 0
        for index in indices:
            try:
                image = images.load(index, format)
            except UnreadableImage as error:
                unreadable.append((index, error))
                continue
            resized += image.shape[1:] != (side, side)
            uneven += image.shape[1] != image.shape[2]
            pixels[index] = format.evaluated(image)
        return unreadable, resized, uneven

    with ThreadPoolExecutor(decoding_threads(images)) as threads:
        parts = list(threads.map(decode_some, (range(k, min(k + 32, count)) for k in range(0, count, 32))))
    unreadable = dict(entry for part, _, _ in parts for entry in part)
    kept = np.setdiff1d(np.arange(count), np.fromiter(unreadable, np.int64))
    return Decoded(
        pixels[torch.from_numpy(kept)] if unreadable else pixels,
        kept,
        tuple(unreadable.values()),
        sum(resized for _, resized, _ in parts),
        sum(uneven for _, _, uneven in parts),
    )


def find_unreadable(images: Images) -> tuple[np.ndarray, tuple[UnreadableImage, ...]]:
    """Read every image without keeping its pixels. -> (indices of the readable ones, errors of the others)"""

    def check(index: int) -> UnreadableImage | None:
        try:
            images.check(index)
        except UnreadableImage as error:
            return error
        return None

    with ThreadPoolExecutor(decoding_threads(images)) as threads:
        errors = list(threads.map(check, range(len(images))))
    kept = np.array([index for index, error in enumerate(errors) if error is None], np.int64)
    return kept, tuple(error for error in errors if error is not None)


def decoding_threads(images: Images) -> int:
    """Threads to decode with. Pillow releases Python's lock while it decodes; small files mostly wait for that lock."""
    return 1 if images.side() <= LARGEST_SMALL_IMAGE else cores()


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
