"""Where decoded pictures are kept: by what they take, and by what is free."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from nascli.config import Cache
from nascli.data.decoding import UnreadableImage
from nascli.data.format import Format
from nascli.data.images import FileImages
from nascli.data.reading import decoding_threads
from nascli.errors import MemoryExhausted, NascliError

Place = Literal["ram", "disk"]

SHARE = 0.5
"""The most of the free memory, or of the free space of a disk, that is taken without being asked for."""

LARGEST_FILE = 100 * 2**30
"""The largest file, in bytes, that is made without being asked for."""

_TIMED = 4
"""Pictures that are decoded to see how long it takes."""


@dataclass(frozen=True)
class Room:
    """What a run may use to keep pictures. wanted: as configured.

    folder: where a file would go, which need not exist yet; None: the system's for temporary files. memory: free bytes;
    None: unknown.
    """

    wanted: Cache
    folder: Path | None
    memory: int | None

    def place(self, size: int) -> Place | None:
        """Where to keep this many bytes; None: nowhere.

        Raises MemoryExhausted or NascliError where they do not fit into the place that is asked for.
        """
        if self.wanted == "none":
            return None
        if self.wanted == "auto":
            if self.memory is not None and size <= SHARE * self.memory:
                return "ram"
            return "disk" if size <= min(LARGEST_FILE, SHARE * self.disk) else None
        free = self.memory if self.wanted == "ram" else self.disk
        if free is not None and size > free:
            raise self.too_small(self.wanted, size)
        return self.wanted

    @property
    def disk(self) -> int:
        """The free bytes where a file would go."""
        folder = Path(tempfile.gettempdir()) if self.folder is None else self.folder.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def too_small(self, place: Place, size: int) -> NascliError:
        """The error of pictures that do not fit into a place."""
        if place == "ram":
            free = "" if self.memory is None else f", and {in_words(self.memory)} are free"
            return MemoryExhausted(
                f"keeping the decoded pictures takes {in_words(size)} of memory{free}: give --cache disk or none, or a "
                "smaller --image-size"
            )
        return NascliError(
            f"keeping the decoded pictures takes {in_words(size)} on the disk, and {in_words(self.disk)} are free in "
            f"{self.folder or tempfile.gettempdir()}: free some space, or give --cache none"
        )


@dataclass(frozen=True)
class Keeping:
    """What keeping pictures takes: how many there are, their bytes when kept, and the seconds to decode them once.

    place: where they are kept; None: nowhere.
    """

    place: Place | None
    pictures: int
    size: int
    seconds: float

    def notice(self, room: Room) -> str:
        """What to tell of it."""
        if self.place is None:
            return (
                f"pictures are decoded in every epoch: kept decoded, {self.pictures:,} would take "
                f"{in_words(self.size)}, more than half of what is free, or than {in_words(LARGEST_FILE)} of disk; "
                "--cache disk keeps them nevertheless"
            )
        where = "in memory" if self.place == "ram" else f"in a file in {room.folder or tempfile.gettempdir()}"
        took = timedelta(seconds=round(self.seconds))
        return f"{self.pictures:,} pictures are decoded once, in about {took}, and kept {where} ({in_words(self.size)})"


def estimate(images: FileImages, format: Format, count: int) -> tuple[int, float]:
    """The bytes that `count` of these pictures take when they are kept, and the seconds to decode them, by a sample."""
    sizes = [np.prod(format.reduced(header.height, header.width)) for header in images.headers]
    size = format.channels * float(np.mean(sizes)) * count
    seconds = []
    for index in np.linspace(0, len(images) - 1, 1 + _TIMED).astype(int).tolist():
        began = time.perf_counter()
        try:
            images.load(index, format)
        except UnreadableImage:
            continue  # reported when all are decoded
        seconds.append(time.perf_counter() - began)
    # The first one waits for libraries to be imported.
    return round(size), float(np.mean(seconds[1:] or [0.0])) * count / decoding_threads(images)


def in_words(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
