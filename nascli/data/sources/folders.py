"""Folders of class folders."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from nascli.config import Config
from nascli.data.decoding import SUFFIXES
from nascli.data.images import FileImages
from nascli.data.sources.source import Source
from nascli.data.splits import hold_out
from nascli.errors import DataError, UsageError

CONTENT_HASHED_FILES = 10_000
CONTENT_HASHED_BYTES = 64 * 2**20
"""Folders up to these sizes are fingerprinted by the content of their files, larger ones by the files' sizes."""


@dataclass(frozen=True)
class Listing:
    """The images below one folder of class folders: sorted paths relative to it, and their labels."""

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray

    def images(self) -> FileImages:
        return FileImages(self.root, np.array([os.fsencode(path) for path in self.paths]), self.labels, self.classes)


def folder(config: Config) -> Source:
    """A user's own images: `root/class/image.jpg`, or `root/train/class/…` with `root/test/class/…` or `root/val/…`.

    test/ wins over val/. Without either, a fifth of each class is held out, always the same images. Classes are the
    sorted names of the class folders. Hidden files and files without an image's suffix are ignored; links are followed.
    Raises UsageError without data_dir, DataError for a folder that cannot serve.
    """
    return read_folder(required_folder(config))


def required_folder(config: Config) -> Path:
    """data_dir of data that nobody can download. Raises UsageError without one."""
    if config.data_dir is None:
        raise UsageError(
            f"dataset {config.dataset!r} needs --data-dir: the folder that holds a folder of images per class"
        )
    return config.data_dir.expanduser()


def find_training_part(config: Config) -> FileImages:
    """The images that `folder` would train on and hold out, without the parts for testing. For looking at headers."""
    root = required_folder(config)
    return list_classes(root / "train" if (root / "train").is_dir() else root).images()


def read_folder(root: Path) -> Source:
    """`folder` for a known place."""
    _check_folder(root)
    if not (root / "train").is_dir():
        tests = [name for name in ("test", "val") if (root / name).is_dir()]
        if tests and not any(name not in ("test", "val") for name in _subfolders(root)):
            raise DataError(
                f"{root} has {tests[0]}/ but no train/: put the training images into {root / 'train'}/CLASS/"
            )
        listing = list_classes(root)
        return _with_held_out(listing, ())
    train = list_classes(root / "train")
    found = [name for name in ("test", "val") if (root / name).is_dir()]
    if not found:
        return _with_held_out(
            train, (f"{root} has neither test/ nor val/: a fifth of train/ is held out as test images",)
        )
    test = list_classes(root / found[0])
    _check_agreement(train, test)
    notices = (f"{root / 'val'} is left alone: the test images are those in test/",) if len(found) == 2 else ()
    return Source(
        train=train.images,
        test=test.images,
        train_images=len(train.paths),
        test_images=len(test.paths),
        fingerprint=_fingerprint(train, test),
        notices=notices,
    )


def _with_held_out(listing: Listing, notices: tuple[str, ...]) -> Source:
    train, test = hold_out(listing.labels, listing.paths, listing.classes)
    return Source(
        train=lambda: listing.images().select(train),
        test=lambda: listing.images().select(test),
        train_images=len(train),
        test_images=len(test),
        fingerprint=_fingerprint(listing),
        notices=notices,
    )


def list_classes(root: Path) -> Listing:
    """Find the images below `root/class/`, at any depth. Raises DataError for a folder that cannot serve."""
    _check_folder(root)
    classes = _subfolders(root)
    if not classes:
        loose = any(path.suffix.lower() in SUFFIXES for path in root.iterdir())
        what = "has images, but no class folders" if loose else "is empty: it has no class folders"
        raise DataError(f"{root} {what}; put each image into {root}/CLASS/")
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(_walk(root, name, frozenset()))
        if not found:
            raise DataError(
                f"class folder {root / name} has no image ({' '.join(sorted(SUFFIXES))}); fill or remove it"
            )
        paths += found
        labels += [label] * len(found)
    if len(classes) == 1:
        raise DataError(f"{root} has one class only ({classes[0]!r}); a classifier needs two or more")
    return Listing(root, tuple(classes), tuple(paths), np.array(labels, np.int64))


def _subfolders(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read {root}: {error.strerror}") from None


def _walk(root: Path, below: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Images at any depth, as paths relative to `root` with forward slashes.

    above: device and inode of the folders around this one, so that a loop of links comes to an end.
    """
    try:
        status = (root / below).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        with os.scandir(root / below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    yield from _walk(root, f"{below}/{entry.name}", above | {here})
                elif PurePath(entry.name).suffix.lower() in SUFFIXES:
                    yield f"{below}/{entry.name}"
    except OSError as error:
        raise DataError(f"cannot read {error.filename or root / below}: {error.strerror}") from None


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise DataError(
            f"there is no folder {root}: --data-dir names the folder that holds a folder of images per class"
        )
    if not root.is_dir():
        raise DataError(
            f"{root} is a file, not a folder: --data-dir names the folder that holds a folder of images per class"
        )


def _check_agreement(train: Listing, test: Listing) -> None:
    only_train = sorted(set(train.classes) - set(test.classes))
    only_test = sorted(set(test.classes) - set(train.classes))
    faults = [
        f"{missing[0]!r}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''} only in {where}"
        for missing, where in ((only_train, train.root), (only_test, test.root))
        if missing
    ]
    if faults:
        raise DataError(f"the classes of {train.root} and {test.root} differ: {'; '.join(faults)}")


def _fingerprint(*listings: Listing) -> str:
    """SHA-256 of all relative paths with the contents of the files or, for large folders, their sizes."""
    files = [
        (listing.root.name if len(listings) > 1 else "", path, listing.root / path)
        for listing in listings
        for path in listing.paths
    ]
    try:
        sizes = [file.stat().st_size for _, _, file in files]
        by_content = len(files) <= CONTENT_HASHED_FILES and sum(sizes) <= CONTENT_HASHED_BYTES
        total = hashlib.sha256(b"content" if by_content else b"sizes")
        for (part, path, file), size in zip(files, sizes, strict=True):
            total.update(f"\0{part}\0{path}\0{size}\0".encode("utf-8", "surrogateescape"))
            if by_content:
                total.update(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from None
    return total.hexdigest()
