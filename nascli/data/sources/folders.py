"""Folders of class folders."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from nascli.config import Config
from nascli.data.decoding import SUFFIXES
from nascli.data.images import FileImages
from nascli.data.sources.layout import read_layout
from nascli.data.sources.source import Source
from nascli.data.sources.walking import (
    class_folders,
    count_images,
    files,
    has_images,
    is_image,
    reading,
    subfolders,
)
from nascli.data.splits import hold_out
from nascli.errors import DataError, UsageError, escaped

CONTENT_HASHED_FILES = 10_000
CONTENT_HASHED_BYTES = 64 * 2**20
"""Folders up to these sizes are fingerprinted by the contents of their files, larger ones by the files' sizes."""

CONVERTIBLE = frozenset(
    {".heic", ".heif", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".jxl", ".tga", ".pdf", ".npy"}
)
"""Endings of pictures that nascli cannot read but other programs can."""

NOTHING = -1
"""Stands for the size of a missing file."""

FOLDER_NEEDED = "--data-dir names the folder that holds a folder of images per class"

SHOWN = 5
"""The most endings that a message names."""


@dataclass(frozen=True)
class Listing:
    """The images below one folder of class folders: sorted paths relative to it, and their labels.

    others: how many files of each ending are not readable images. loose: images beside the class folders.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    others: Mapping[str, int]
    loose: int = 0

    def images(self) -> FileImages:
        return FileImages(self.root, np.array([os.fsencode(path) for path in self.paths]), self.labels, self.classes)


def folder(config: Config) -> Source:
    """A user's own images: `root/class/image.jpg`, or `root/train/class/…` with `root/test/class/…` or `root/val/…`.

    `read_layout` says how a folder is read. Without test/, val/ has the test images; beside test/, it has the images to
    watch a training with. Without either, a fifth of each class is held out, always the same images. Classes are the
    sorted names of the class folders. Hidden files and files without an image's suffix are ignored; links are followed.
    Raises UsageError without data_dir, DataError for an unusable folder.
    """
    return read_folder(required_folder(config))


def required_folder(config: Config) -> Path:
    """data_dir, for data that cannot be downloaded. Raises UsageError if it is unset."""
    if config.data_dir is None:
        raise UsageError(
            f"dataset {config.dataset!r} needs --data-dir: the folder that holds a folder of images per class"
        )
    return config.data_dir.expanduser()


def find_training_part(config: Config) -> FileImages:
    """The images that `folder` would train on, found without computing a fingerprint, to read their headers."""
    root = required_folder(config)
    _check_folder(root)
    layout = read_layout(root)
    listing = list_classes(layout.train, layout.aside)
    return listing.images() if layout.test else listing.images().select(_held_out(listing)[0])


def read_folder(root: Path) -> Source:
    """`folder` for a given path."""
    _check_folder(root)
    layout = read_layout(root)
    train = list_classes(layout.train, layout.aside)
    test, val = (None if part is None else list_classes(part) for part in (layout.test, layout.val))
    parts = [part for part in (train, test, val) if part is not None]
    for other in parts[1:]:
        _check_agreement(train, other)
    notices = (*layout.notices, *filter(None, map(_left_out, parts)))
    fingerprint = _fingerprint(*parts)
    if test is None:
        kept, held_out = _held_out(train)
        return Source(
            train=lambda: train.images().select(kept),
            test=lambda: train.images().select(held_out),
            train_images=len(kept),
            test_images=len(held_out),
            fingerprint=fingerprint,
            notices=notices,
        )
    return Source(
        train=train.images,
        test=test.images,
        train_images=len(train.paths),
        test_images=len(test.paths),
        fingerprint=fingerprint,
        notices=notices,
        validation=None if val is None else val.images,
    )


def labelled_folder(config: Config, fingerprint: str, trained_at: Path | None) -> Source:
    """A folder for evaluating a model that was trained on images with this fingerprint. Its training part is not used.

    The test images are those of test/ or val/, with or without train/. If there are only class folders, all images are
    test images, unless the model was trained on this folder: then the fifth that was held out. trained_at: the folder
    of the training's images. The folder may lack classes. Raises the errors of `folder`.
    """
    root = required_folder(config)
    _check_folder(root)
    layout = read_layout(root, training=False)
    if layout.test is not None:
        test = list_classes(layout.test, several=False)
        if layout.train == layout.test:
            notice = f"{root} has no training images: all {len(test.paths):,} of {test.root.name}/ count"
            return _test_source(test, _fingerprint(test), (*layout.notices, notice))
        train = list_classes(layout.train, layout.aside)
        found = _test_source(test, _fingerprint(train, test), layout.notices)
        return replace(found, train=train.images, train_images=len(train.paths))
    listing = list_classes(layout.train, layout.aside, several=False)
    now, here = _fingerprint(listing), trained_at is not None and trained_at.resolve() == root.resolve()
    if now != fingerprint and not here:
        notice = f"all {len(listing.paths):,} images of {layout.train} count; "
        if trained_at is not None and root.resolve().is_relative_to(trained_at.resolve()):
            notice += f"they lie in {trained_at}, whose images the model was trained on, and may be among these"
        else:
            notice += "if the model was trained on some of them, their accuracy flatters"
        return _test_source(listing, now, (*layout.notices, notice))
    kept, held_out = _held_out(listing)
    notice = (
        f"{layout.train} has changed since the training: among the {len(held_out):,} images that count, a fifth of "
        "each class, may be some that the model was trained on"
    )
    found = _test_source(listing, now, (*layout.notices, *([notice] if now != fingerprint else [])))
    return replace(
        found,
        train=lambda: listing.images().select(kept),
        train_images=len(kept),
        test=lambda: listing.images().select(held_out),
        test_images=len(held_out),
    )


def _test_source(listing: Listing, fingerprint: str, notices: tuple[str, ...]) -> Source:
    """A source whose images are all test images."""
    left_out = _left_out(listing)
    return Source(
        train=listing.images,
        test=listing.images,
        train_images=0,
        test_images=len(listing.paths),
        fingerprint=fingerprint,
        notices=(*notices, *([left_out] if left_out else [])),
    )


def list_classes(root: Path, aside: Collection[str] = (), *, several: bool = True) -> Listing:
    """Find the images below `root/class/`, at any depth. aside: folders that are not classes.

    several: whether there must be two classes or more. Raises DataError for an unusable folder.
    """
    _check_folder(root)
    classes = [name for name in subfolders(root) if name not in aside]
    if not classes:
        what = "has images, but no class folders" if has_images(root) else "is empty: it has no class folders"
        raise DataError(f"{root} {what}; put each image into {root}/CLASS/")
    paths: list[str] = []
    labels: list[int] = []
    others: Counter[str] = Counter()
    for label, name in enumerate(classes):
        _check_name(root, name)
        there = sorted(files(root, name))
        found = [path for path in there if is_image(path)]
        others.update(PurePath(path).suffix.lower() or "without an ending" for path in there if not is_image(path))
        if not found:
            raise DataError(
                f"class folder {root / name} has no image ({' '.join(sorted(SUFFIXES))})"
                f"{f', but {_counts_as_text(others)}{_advice(others)}' if others else ''}; fill or remove it"
            )
        paths += found
        labels += [label] * len(found)
    if several and len(classes) == 1:
        inner = root / classes[0]
        while len(inside := class_folders(inner)) == 1:
            inner /= inside[0]
        meant = f": did you mean --data-dir {inner}?" if inside else ""
        raise DataError(f"{root} has one class only ({classes[0]!r}); a classifier needs two or more{meant}")
    return Listing(root, tuple(classes), tuple(paths), np.array(labels, np.int64), others, count_images(root))


def _held_out(listing: Listing) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and indices to test on, if there is no test part."""
    return hold_out(listing.labels, listing.paths, listing.classes)


def _left_out(listing: Listing) -> str:
    """The notice about images outside class folders and about files that are not images; empty if there are none."""
    loose = [f"{listing.loose:,} image{'s' if listing.loose > 1 else ''} beside the class folders"]
    parts = loose * bool(listing.loose) + ([_counts_as_text(listing.others)] if listing.others else [])
    return f"left out of {listing.root}: {', '.join(parts)}{_advice(listing.others)}" if parts else ""


def _counts_as_text(others: Mapping[str, int]) -> str:
    ordered = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {sum(count for _, count in ordered[SHOWN:]):,} more" if len(ordered) > SHOWN else ""
    return ", ".join(f"{count:,} {ending}" for ending, count in ordered[:SHOWN]) + more


def _advice(others: Mapping[str, int]) -> str:
    pictures = sorted(CONVERTIBLE & others.keys())
    return f"; convert {' and '.join(pictures)} to .jpg or .png to use them" if pictures else ""


def _check_name(root: Path, name: str) -> None:
    """Raise DataError for a class name that cannot be written to a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"the name of the class folder {escaped(name)} in {root} is not in UTF-8, as in old archives: rename it "
            "(convmv does many at once)"
        ) from None


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise DataError(f"there is no folder {root}: {FOLDER_NEEDED}")
    if not root.is_dir():
        kind = root.suffix.lower().removeprefix(".")
        advice = f"give --dataset {kind}, too" if kind in ("csv", "npz") else FOLDER_NEEDED
        raise DataError(f"{root} is a file, not a folder: {advice}")


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
    """SHA-256 of all relative paths together with the contents of the files or, for large folders, their sizes."""
    listed = [
        (listing.root.name if len(listings) > 1 else "", path, listing.root / path)
        for listing in listings
        for path in listing.paths
    ]
    return fingerprint_of_files(listings[0].root, listed)


def fingerprint_of_files(root: Path, listed: Sequence[tuple[str, str, Path]]) -> str:
    """SHA-256 of files below `root`, given as (part, path in the part, place), as in `_fingerprint`."""
    with reading(root):
        # A missing file, such as the target of a broken link, is reported when the images are read.
        sizes = [file.stat().st_size if file.exists() else NOTHING for _, _, file in listed]
        by_content = len(listed) <= CONTENT_HASHED_FILES and sum(sizes) <= CONTENT_HASHED_BYTES
        total = hashlib.sha256(b"content" if by_content else b"sizes")
        for (part, path, file), size in zip(listed, sizes, strict=True):
            total.update(f"\0{part}\0{path}\0{size}\0".encode("utf-8", "surrogateescape"))
            if by_content and size != NOTHING:
                total.update(file.read_bytes())
    return total.hexdigest()
