"""Pictures that were decoded once, kept as training reads them: in memory, or in a file without a name.

The file has no name, so it can be neither shared nor left behind, and no later run can take it for its own: however the
process ends, the system frees the space. Reading it back and checking it would take about as long as decoding anew.
"""

import errno
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from nascli.artifacts.files.disk import DISK_FULL
from nascli.data.decoding import UnreadableImage, read_header
from nascli.data.format import Format
from nascli.data.images import FileImages
from nascli.data.reading import decoding_threads
from nascli.data.room import Keeping, Place, Room, estimate
from nascli.data.workers import WorkerFeed

Decoding = tuple[WorkerFeed, FileImages, np.ndarray]
"""A feed that decodes pictures anew each time, its pictures, and the indices of those that will be read. int64"""

_AT_A_TIME = 8
"""Pictures that a thread decodes before it is asked whether to go on."""

_STAND_INS = 8


def plan(decoding: Sequence[Decoding], room: Room) -> Keeping | None:
    """What `keep` would do, by a sample of the pictures; None where nothing is to be kept. Raises as `Room.place`."""
    if room.wanted == "none" or not decoding:
        return None
    needs = [estimate(images, feed.format, len(indices)) for feed, images, indices in decoding]
    size, seconds = sum(size for size, _ in needs), sum(seconds for _, seconds in needs)
    return Keeping(room.place(size), sum(len(indices) for _, _, indices in decoding), size, seconds)


@contextmanager
def keep(decoding: Sequence[Decoding], room: Room, tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block, feeds read pictures from where they are kept, decoded once, if there is room for them.

    tell: gets a line about it. Raises as `Room.place` and `keeping`.
    """
    planned = plan(decoding, room)
    sizes: list[np.ndarray] = []
    if planned is not None and planned.place is not None:
        sizes = [kept_bytes(images, feed.format, indices) for feed, images, indices in decoding]
        total = sum(int(own.sum()) for own in sizes)
        planned = replace(planned, size=total, place=room.place(total))
    if planned is not None:
        tell(planned.notice(room))
    with ExitStack() as stack:
        if planned is not None and planned.place is not None:
            for (feed, images, indices), own in zip(decoding, sizes, strict=True):
                kept = keeping(images, feed.format, indices, own, planned.place, room, feed.lose)
                stack.enter_context(feed.reading(stack.enter_context(kept)))
        yield


@contextmanager
def rehearse(decoding: Sequence[Decoding]) -> Iterator[None]:
    """Within the block, pictures are read as fast as if they were kept: a few stand in for all of them."""
    with ExitStack() as stack:
        for feed, images, _ in decoding:
            stack.enter_context(feed.reading(StandIns(feed, images)))
        yield


class KeptPictures:
    """Pictures in a mapped file, which worker processes share; those that are not there are read from their files.

    starts: the first byte of each picture, int64 [images]. sizes: height and width, int32 [images, 2]; 0 for a picture
    that is not kept.
    """

    def __init__(self, images: FileImages, pixels: mmap.mmap, starts: np.ndarray, sizes: np.ndarray) -> None:
        self._images, self._starts, self._sizes = images, starts, sizes
        self._pixels = torch.frombuffer(pixels, dtype=torch.uint8)

    def load(self, index: int, format: Format) -> Tensor:
        height, width = self._sizes[index].tolist()
        if height == 0:
            return self._images.load(index, format)
        start = int(self._starts[index])
        flat = self._pixels[start : start + format.channels * height * width]
        return flat.view(height, width, format.channels).permute(2, 0, 1)


class StandIns:
    """A few pictures in place of all, to see how fast they are read when they are kept. Raises DataError."""

    def __init__(self, feed: WorkerFeed, images: FileImages) -> None:
        self._pictures: list[Tensor] = []
        for index in np.linspace(0, len(images) - 1, min(len(images), _STAND_INS)).astype(int).tolist():
            try:
                self._pictures.append(images.load(index, feed.format))
            except UnreadableImage as error:
                feed.lose([error], others=bool(self._pictures))

    def load(self, index: int, format: Format) -> Tensor:
        return self._pictures[index % len(self._pictures)]


def kept_bytes(images: FileImages, format: Format, indices: np.ndarray) -> np.ndarray:
    """The bytes that pictures take when they are kept, by their headers. int64 [indices]; 0 for an unreadable one."""

    def size(index: int) -> int:
        try:
            header = read_header(images.path(index))
        except UnreadableImage:
            return 0  # reported when the picture is decoded
        height, width = format.reduced(header.height, header.width)
        return format.channels * height * width

    with ThreadPoolExecutor(decoding_threads(images)) as threads:
        return np.fromiter(threads.map(size, indices.tolist(), chunksize=_AT_A_TIME), np.int64, len(indices))


@contextmanager
def keeping(
    images: FileImages,
    format: Format,
    indices: np.ndarray,
    sizes: np.ndarray,
    place: Place,
    room: Room,
    lose: Callable[[list[UnreadableImage]], None],
) -> Iterator[KeptPictures]:
    """Decode these pictures and keep them until the end of the block. sizes: their `kept_bytes`.

    lose: gets the errors of unreadable pictures, and raises for those that must not be left out.
    Raises MemoryExhausted, or NascliError where the disk is full.
    """
    starts, shapes = np.zeros(len(images), np.int64), np.zeros((len(images), 2), np.int32)
    starts[indices] = np.cumsum(sizes) - sizes
    expected = dict(zip(indices.tolist(), sizes.tolist(), strict=True))

    def decode(some: list[int]) -> list[UnreadableImage]:
        unreadable = []
        for index in some:
            try:
                pixels = images.load(index, format)
            except UnreadableImage as error:
                unreadable.append(error)
                continue
            if pixels.numel() == expected[index]:  # otherwise the file has just been replaced by another
                _write(file.fileno(), pixels.permute(1, 2, 0).contiguous().numpy().tobytes(), int(starts[index]))
                shapes[index] = pixels.shape[1:]
        return unreadable

    total = max(1, int(sizes.sum()))  # the system makes no empty mapping
    with _full_means(room.too_small(place, total)), _nameless(place, room.folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, total)
        else:
            file.truncate(total)
        chunks = [indices[k : k + _AT_A_TIME].tolist() for k in range(0, len(indices), _AT_A_TIME)]
        with ThreadPoolExecutor(decoding_threads(images)) as threads:
            for unreadable in threads.map(decode, chunks):
                if unreadable:
                    lose(unreadable)
        # A private mapping counts as memory of the process, so that what guards against running out of it knows of it.
        access = mmap.ACCESS_COPY if place == "ram" else mmap.ACCESS_WRITE
        pixels = mmap.mmap(file.fileno(), total, access=access)
    yield KeptPictures(images, pixels, starts, shapes)


@contextmanager
def _full_means(error: Exception) -> Iterator[None]:
    """Raise this error where there is no space left."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in {*DISK_FULL, errno.ENOMEM}:
            raise
        raise error from None


def _nameless(place: Place, folder: Path | None) -> IO[bytes]:
    """An empty file without a name, in memory or in a folder (None: the system's for temporary files)."""
    if place == "ram" and hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pictures"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0, dir=folder if place == "disk" else None)


def _write(file: int, data: bytes, start: int) -> None:
    """Write all bytes from a place in a file on, from any thread."""
    while data:
        written = os.pwrite(file, data, start)
        data, start = data[written:], start + written
