"""The training, validation or test images, ready to give batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nascli.artifacts.data_info import Fit
from nascli.data.decoding import UnreadableImage
from nascli.data.feed import Feed
from nascli.data.format import Format
from nascli.data.images import FileImages, Images
from nascli.data.permutation import permutation
from nascli.data.reading import decode_all, find_unreadable
from nascli.data.resident import ResidentFeed
from nascli.data.skipping import or_skip
from nascli.data.statistics import Statistics, statistics
from nascli.data.workers import WorkerFeed
from nascli.errors import DataError

SAMPLED_IMAGES = 1024
"""The number of large images that decide on mean and deviation; it gives the mean to about 1 % of the range."""

_SAMPLE_SEED = 0
_CHUNK_BYTES = 32 * 2**20
"""Pixels that are summed at a time; the order does not change sums of integers."""


MADE_SQUARE: Mapping[Fit, str] = {"crop": "cut to its centre", "pad": "given borders", "squash": "squashed"}


@dataclass(frozen=True)
class Part:
    """Images that can be read: their feed, their labels, int64 [images], and their files, if they are in files."""

    feed: Feed
    labels: np.ndarray
    notices: tuple[str, ...]
    files: FileImages | None


def open_part(images: Images, format: Format, *, device: torch.device, workers: int | None, skip_corrupt: bool) -> Part:
    """Open some images: small ones are decoded now, large ones on demand; with `skip_corrupt`, unreadable ones go.

    Raises DataError for an image that cannot be read unless `skip_corrupt`, and for a class without a readable image.
    """
    notices = []
    if format.resident:
        decoded = decode_all(images, format)
        kept, unreadable = decoded.kept, decoded.unreadable
        if decoded.resized:
            size = f"{format.side}x{format.side}"
            uneven = f"; each of {decoded.uneven} that are not square was {MADE_SQUARE[format.fit]}"
            notices.append(
                f"{decoded.resized} of {len(images)} images were of another size: resized to {size} pixels"
                f"{uneven if decoded.uneven else ''}"
            )
    elif skip_corrupt:
        kept, unreadable = find_unreadable(images)
    else:
        kept, unreadable = np.arange(len(images)), ()
    if unreadable:
        notices.append(_left_out(unreadable, skip_corrupt))
        lost = np.setdiff1d(images.labels, images.labels[kept])
        if len(lost):
            raise DataError(
                f"class {images.classes[lost[0]]!r} has no readable image; {unreadable[0]}: repair some, or remove the "
                "class"
            )
    readable = images.select(kept) if unreadable else images
    labels = readable.labels
    if format.resident:
        feed: Feed = ResidentFeed(decoded.pixels.to(device), torch.from_numpy(labels).to(device))
    else:
        feed = WorkerFeed(readable, format, workers, device, skip_corrupt)
    return Part(feed, labels, tuple(notices), readable if isinstance(readable, FileImages) else None)


def _left_out(unreadable: tuple[UnreadableImage, ...], skip_corrupt: bool) -> str:
    """The notice of images that were skipped; raises DataError if they must not be."""
    more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
    if not skip_corrupt:
        otherwise = or_skip(", or leave such images out with --skip-corrupt")
        raise DataError(f"cannot read {unreadable[0]}{more}; repair or remove it{otherwise}")
    return f"left out {len(unreadable)} image{'s' if more else ''} that cannot be read: {unreadable[0]}{more}"


def part_statistics(part: Part, format: Format) -> Statistics:
    """Mean and deviation of a part: of all its images if they are small, else of a fixed sample."""
    if isinstance(part.feed, ResidentFeed):
        return statistics(part.feed.pixels.split(_chunk(format)))
    assert isinstance(part.feed, WorkerFeed)
    images = part.feed.images
    sample = np.sort(permutation(len(images), _SAMPLE_SEED)[:SAMPLED_IMAGES])
    chunk = _chunk(format)
    return statistics(_sampled(images, sample[k : k + chunk], format) for k in range(0, len(sample), chunk))


def _chunk(format: Format) -> int:
    return max(1, _CHUNK_BYTES // (format.channels * format.side**2))


def _sampled(images: Images, indices: np.ndarray, format: Format) -> torch.Tensor:
    decoded = decode_all(images.select(indices), format)
    if decoded.unreadable:
        _left_out(decoded.unreadable, skip_corrupt=False)
    return decoded.pixels
