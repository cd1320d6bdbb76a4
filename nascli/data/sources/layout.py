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
"""The names of the parts of a data set, in upper or lower case, alone or with one of `BESIDE`."""

PLAIN = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
"""Names that are read without a notice."""

BESIDE = r"data|datas?ets?|sets?|split|images?|imgs?|pictures|photos|samples|seg"
"""Words that may be added to such names, as in `training_set`, `trainset` or `images_train`."""

SHOWN = 5
"""The most folders that a message names."""


@dataclass(frozen=True)
class Layout:
    """Where the class folders of each part are. Without `test`, test images are held out of `train`.

    `aside`: sub-folders of `train` that are not classes. `val`: images to watch a training with, besides test images.
    """

    train: Path
    test: Path | None = None
    val: Path | None = None
    aside: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


def read_layout(root: Path, *, training: bool = True) -> Layout:
    """Decide by the names of the sub-folders and, if these are ambiguous, by what the folders hold.

    A folder that holds nothing but one other folder stands for that one. training: whether there must be training
    images; if not, `train` is `test` when there are none. Raises DataError for an unusable or ambiguous folder.
    """
    names = subfolders(root)
    parts = _parts(root, names)
    if len(parts) < 2:
        parts = _parts_by_word(root, names) or parts
    others = [name for name in names if name not in parts.values()]
    filled = [name for name in others if holds_images(root / name)]
    train, tests = parts.get("train"), [parts[part] for part in ("test", "val") if part in parts]
    if train is None and tests and not filled and not training:
        return Layout(root / tests[0], root / tests[0])
    if train is None:
        return _classes_beside_tests(root, filled, tests) if tests else _classes_layout(root, names)
    if not class_folders(root / train):
        return _class_called_train(root, train, filled, tests)
    if filled and not tests:
        alike = set(class_folders(root / train))
        if not all(alike & set(subfolders(root / name)) for name in filled):
            raise DataError(
                f"{root} can be read in two ways: {train}/ may be a class like {_listed(filled)}, or it has the "
                f"training images, and {_listed(filled)} none. Give it another name, or --data-dir {root / train}"
            )
        text = f"{train}/ is taken for a class of {root}, since it has the same folders as {_listed(filled)}"
        return Layout(root, notices=(text,))
    return _parts_layout(root, train, tests, filled)


def _parts_layout(root: Path, train: str, tests: list[str], others: list[str]) -> Layout:
    notices = [f"left alone in {root}: {_listed(others)}"] if others else []
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
    """The folder, or the only folder in it, as some archives unpack (`seg_train/seg_train/CLASS/`)."""
    inside = class_folders(folder)
    if len(inside) == 1 and not has_images(folder / inside[0]) and len(class_folders(folder / inside[0])) > 1:
        return folder / inside[0]
    return folder


def _class_called_train(root: Path, train: str, others: list[str], tests: list[str]) -> Layout:
    """The layout if `train/` has no class folders: it is a class of that name if there are classes beside it."""
    tests = [*tests, *(name for name in others if _has_word(name, (*WORDS["test"], *WORDS["val"])))]
    if not others or tests:
        raise DataError(
            f"{root / train} has {'images, but ' if has_images(root / train) else ''}no class folders; put each "
            f"image into {root / train}/CLASS/"
        )
    return Layout(root, notices=(f"{train}/ is taken for a class of {root}, since it has no class folders",))


def _classes_beside_tests(root: Path, others: list[str], tests: list[str]) -> Layout:
    """The layout of class folders beside a folder of test images of the same classes."""
    train = root / "train"
    if not others:
        raise DataError(f"{root} has {tests[0]}/ but no train/: put the training images into {train}/CLASS/")
    for name in tests:
        if not set(class_folders(root / name)) & set(others):
            raise DataError(
                f"{root} can be read in two ways: {name}/ may be a class like {_listed(others)}, or have test images. "
                f"Give it another name, or put the classes into {train}/ and its images into {root / name}/CLASS/"
            )
    text = f"the classes of {root} are {_listed(others)}; {_listed(tests)} has images of the same classes, to test with"
    test, val = (*(root / name for name in tests), None)[:2]
    return Layout(root, test, val, frozenset(tests), (text,))


def _classes_layout(root: Path, names: list[str]) -> Layout:
    """The layout of class folders, or of a single folder that holds class folders or parts.

    Next to folders without images, such as one of labels, a single folder is opened only if it holds parts.
    """
    filled = [name for name in names if holds_images(root / name)]
    if len(filled) == 1 and not has_images(root / filled[0]):
        below, alone = root / filled[0], len(names) == 1
        inside = class_folders(below)
        if len(inside) > 1 and (alone or "train" in _parts(below, inside)):
            layout = read_layout(below)
            what = "alone" if alone else "and otherwise folders without images"
            text = f"{root} holds {filled[0]}/ {what}: reading {_listed(inside)} in that"
            return replace(layout, notices=(text, *layout.notices))
    return Layout(root, notices=_check_classes(root, filled))


def _parts(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The sub-folders that have the name of a part, by part."""
    found: dict[str, str] = {}
    for part, words in WORDS.items():
        called = re.compile(rf"(?:(?:{BESIDE})[-_ ]?)?(?:{'|'.join(words)})(?:[-_ ]?(?:{BESIDE}))?", re.IGNORECASE)
        own = [name for name in names if called.fullmatch(name)]
        if len(own) > 1:
            raise DataError(f"{root} has both {_listed(own)}: keep one of them, or give one another name")
        if own:
            found[part] = own[0]
    return found


def _parts_by_word(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Parts whose names merely contain such a word, as in `imagenet_train` and `train2014`.

    Two folders are parts if one is named for training, the other for tests, and both hold the same folders of pictures,
    whatever else is in their names: classes would not hold classes.
    """
    found: dict[str, str] = {}
    for part, words in WORDS.items():
        own = [name for name in names if _has_word(name, words) and len(class_folders(_unwrapped(root / name))) > 1]
        if len(own) > 1 and found:
            beside = _listed(found.values())
            raise DataError(
                f"{root} has both {_listed(own)} beside {beside}: keep one of them, or give one another name"
            )
        if len(own) == 1:
            found[part] = own[0]
    classes = {part: set(class_folders(_unwrapped(root / name))) for part, name in found.items()}
    alike = "train" in found and any(classes["train"] & classes[part] for part in found if part != "train")
    return found if alike else {}


def _has_word(name: str, words: Iterable[str]) -> bool:
    """Whether a name contains one of the words, with no letter next to it."""
    return re.fullmatch(rf"(?:.*[^a-z])?(?:{'|'.join(words)})(?:[^a-z].*)?", name, re.IGNORECASE) is not None


def _check_classes(root: Path, filled: list[str]) -> tuple[str, ...]:
    """Notices about class folders that look like something else. Raises DataError if they clearly are."""
    parted = [name for name in filled if {"train", "test"} <= _parts(root / name, class_folders(root / name)).keys()]
    if len(parted) == len(filled) > 1:
        raise DataError(
            f"each of {_listed(filled)} in {root} has training and test images of its own: put the classes into the "
            f"parts, as {root}/train/CLASS/ and {root}/test/CLASS/"
        )
    if parted and len(filled) > 1:
        raise DataError(
            f"{root / parted[0]} has parts of a data set, and lies beside {_listed(set(filled) - set(parted))}: give "
            f"--data-dir {root / parted[0]}"
        )
    inside = [set(class_folders(root / name)) for name in filled]
    if len(filled) > 1 and len(inside[0]) > 1 and all(one == inside[0] for one in inside):
        text = f"the classes of {root} are {_listed(filled)}, and each holds {_listed(inside[0])}"
        return (f"{text}: if these are the classes, call the folders around them train/ and test/",)
    return ()


def _listed(folders: Iterable[str]) -> str:
    folders = sorted(folders)
    more = f" and {len(folders) - SHOWN:,} more" if len(folders) > SHOWN else ""
    return ", ".join(f"{name}/" for name in folders[:SHOWN]) + more
