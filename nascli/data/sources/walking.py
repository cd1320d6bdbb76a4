"""The contents of folders of pictures. Links are followed; hidden files and leftovers of systems are ignored."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from nascli.data.decoding import SUFFIXES
from nascli.errors import DataError

_LEFT_BEHIND = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
"""Leftovers of macOS in archives, and of Windows, in lower case."""


def subfolders(root: Path) -> list[str]:
    """The names of the folders in a folder, sorted. Raises DataError for one that cannot be read."""
    with reading(root), os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if _counts(entry.name) and _is_folder(entry))


def files(root: Path, below: str) -> Iterator[str]:
    """Files at any depth in `root/below`, as paths relative to `root` with forward slashes. Raises DataError."""
    return _files(root, below, frozenset())


def is_image(name: str) -> bool:
    """Whether a file has the ending of a readable image."""
    return PurePath(name).suffix.lower() in SUFFIXES


def has_images(folder: Path) -> bool:
    """Whether there is an image directly in a folder."""
    return count_images(folder) > 0


def count_images(folder: Path) -> int:
    """How many images are directly in a folder."""
    with reading(folder), os.scandir(folder) as entries:
        return sum(_counts(entry.name) and is_image(entry.name) and not _is_folder(entry) for entry in entries)


def class_folders(folder: Path) -> list[str]:
    """The sub-folders that have an image at any depth."""
    return [name for name in subfolders(folder) if holds_images(folder / name)]


def holds_images(folder: Path) -> bool:
    """Whether there is an image at any depth."""
    return any(map(is_image, files(folder.parent, folder.name)))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error of the system while it reads `path` into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {error.filename or path}: {error.strerror}") from None


def _files(root: Path, below: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """`files`, where `above` has device and inode of the folders around this one, so that a loop of links ends."""
    with reading(root / below):
        status = (root / below).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(root / below) as entries:
            for entry in entries:
                if not _counts(entry.name):
                    continue
                if _is_folder(entry):
                    yield from _files(root, f"{below}/{entry.name}", above | {here})
                else:
                    yield f"{below}/{entry.name}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself is as unreadable as any broken link
            return False
        raise


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _LEFT_BEHIND
