"""How a folder of pictures is read: which of its sub-folders are parts of a data set, and which are classes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nascli.data.sources.walking import class_folders, has_images, holds_images, subfolders
from nascli.errors import DataError

WORDS = {
    "train": ("train", "trains", "training"),
    "test": ("test", "tests", "testing"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
"""What the parts of a data set are called, in upper or lower case, alone or beside one of `BESIDE`."""

PLAIN = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
"""Names that need no word on how they are read."""

BESIDE = r"data|datas?ets?|sets?|split|images?|imgs?|pictures|photos|samples|seg"
"""Words in such names that say nothing, as in `training_set`, `trainset` or `images_train`."""

SHOWN = 5
"""Folders that a message names."""


@dataclass(frozen=True)
class Layout:
    """Where the class folders of each part are. Without `test`, test images are held out of the others.

    `aside`: sub-folders of `train` that are no classes. `val`: images to watch a training with, beside the test images.
    """

    train: Path
    test: Path | None = None
    val: Path | None = None
    aside: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


def read_layout(root: Path, *, training: bool = True) -> Layout:
    """Decide by names, and where these can be read in two ways by what lies in the folders.

    A folder that holds nothing but another one is that one. training: there must be training images; otherwise `train`
    is `test` where there are none. Raises DataError for a folder that cannot serve, or that could be read in two ways.
    """
    names = subfolders(root)
    parts = _parts(root, names)
    others = [name for name in names if name not in parts.values()]
    filled = [name for name in others if holds_images(root / name)]
    train, tests = parts.get("train"), [parts[part] for part in ("test", "val") if part in parts]
    if train is None and tests and not filled and not training:
        return Layout(root / tests[0], root / tests[0])
    if train is None:
        return _classes_beside_tests(root, filled, tests) if tests else _of_classes(root, names)
    if not class_folders(root / train):
        return _class_called_train(root, train, filled, tests)
    if filled and not tests:
        alike = set(class_folders(root / train))
        if not all(alike & set(subfolders(root / name)) for name in filled):
            raise DataError(
                f"{root} can be read in two ways: {train}/ may be a class like {_named(filled)}, or it has the "
                f"training images, and {_named(filled)} none. Give it another name, or --data-dir {root / train}"
            )
        text = f"{train}/ is taken for a class of {root}, since it has the same folders as {_named(filled)}"
        return Layout(root, notices=(text,))
    return _of_parts(root, train, tests, filled)


def _of_parts(root: Path, train: str, tests: list[str], others: list[str]) -> Layout:
    notices = [f"left alone in {root}: {_named(others)}"] if others else []
    at = _unwrapped(root / train)
    classes = set(class_folders(at))
    places = [root / name if classes & set(class_folders(root / name)) else _unwrapped(root / name) for name in tests]
    plain = all(name.lower() in PLAIN for name in (train, *tests))
    if not plain or [at, *places] != [root / name for name in (train, *tests)]:
        held_out = f", test images in {places[0].relative_to(root)}/" if places else ""
        notices.append(f"read in {root}: training images in {at.relative_to(root)}/{held_out}")
    if not tests:
        notices.append(f"{root} has neither test/ nor val/: a fifth of {train}/ is held out as test images")
    test, val = (*places, None, None)[:2]
    if val:
        notices.append(f"the test images are those in {tests[0]}/; a training is watched by those in {tests[1]}/")
    return Layout(at, test, val, notices=tuple(notices))


def _unwrapped(folder: Path) -> Path:
    """The folder itself, or the one that is all that it holds, as archives leave it (`seg_train/seg_train/CLASS/`)."""
    inside = class_folders(folder)
    if len(inside) == 1 and not has_images(folder / inside[0]) and len(class_folders(folder / inside[0])) > 1:
        return folder / inside[0]
    return folder


def _class_called_train(root: Path, train: str, others: list[str], tests: list[str]) -> Layout:
    """`train/` has no class folders: a class of that name, where there are classes beside it."""
    if not others or tests:
        raise DataError(
            f"{root / train} has {'images, but ' if has_images(root / train) else ''}no class folders; put each "
            f"image into {root / train}/CLASS/"
        )
    return Layout(root, notices=(f"{train}/ is taken for a class of {root}, since it has no class folders",))


def _classes_beside_tests(root: Path, others: list[str], tests: list[str]) -> Layout:
    """Class folders beside a folder of test images of the same classes."""
    train = root / "train"
    if not others:
        raise DataError(f"{root} has {tests[0]}/ but no train/: put the training images into {train}/CLASS/")
    for name in tests:
        if not set(class_folders(root / name)) & set(others):
            raise DataError(
                f"{root} can be read in two ways: {name}/ may be a class like {_named(others)}, or have test images. "
                f"Give it another name, or put the classes into {train}/ and its images into {root / name}/CLASS/"
            )
    text = f"the classes of {root} are {_named(others)}; {_named(tests)} has images of the same classes, to test with"
    test, val = (*(root / name for name in tests), None)[:2]
    return Layout(root, test, val, frozenset(tests), (text,))


def _of_classes(root: Path, names: list[str]) -> Layout:
    """Class folders; or a single folder that holds these, or the parts.

    Beside folders without images, such as one of labels, a folder is read so only where it holds parts.
    """
    filled = [name for name in names if holds_images(root / name)]
    if len(filled) == 1 and not has_images(root / filled[0]):
        below, alone = root / filled[0], len(names) == 1
        inside = class_folders(below)
        if len(inside) > 1 and (alone or "train" in _parts(below, inside)):
            layout = read_layout(below)
            what = "alone" if alone else "and otherwise folders without images"
            told = f"{root} holds {filled[0]}/ {what}: reading {_named(inside)} in that"
            return replace(layout, notices=(told, *layout.notices))
    return Layout(root)


def _parts(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The sub-folders that are called like parts, by what they would be."""
    found: dict[str, str] = {}
    for part, words in WORDS.items():
        called = re.compile(rf"(?:(?:{BESIDE})[-_ ]?)?(?:{'|'.join(words)})(?:[-_ ]?(?:{BESIDE}))?", re.IGNORECASE)
        own = [name for name in names if called.fullmatch(name)]
        if len(own) > 1:
            raise DataError(f"{root} has both {_named(own)}: keep one of them, or give one another name")
        if own:
            found[part] = own[0]
    return found


def _named(folders: list[str]) -> str:
    more = f" and {len(folders) - SHOWN:,} more" if len(folders) > SHOWN else ""
    return ", ".join(f"{name}/" for name in folders[:SHOWN]) + more
