"""A folder of pictures with boxes in COCO's format: which of its files belong to which part."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nascli.config import SceneConfig
from nascli.data.format import colour
from nascli.data.scenes.coco_file import CHANNELS, Annotated, read_annotations
from nascli.data.scenes.scenes import Scenes, SceneSource
from nascli.errors import DataError, UsageError

PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}
"""The names of the parts, by what they are for."""

INSIDE = "_annotations.coco.json"
"""The name that Roboflow gives to a file of annotations among its pictures."""

LOOKED_FOR = (
    "train/ with train.json beside it or _annotations.coco.json in it, or train2017/ with "
    "annotations/instances_train2017.json; the same for val (or valid) and test"
)
HELD_OUT_SHARE = 0.2
"""The share of the pictures that is held out as test pictures if there are no others, as of folders of classes."""


@dataclass(frozen=True)
class Place:
    """A file of annotations, and the folder of its pictures."""

    file: Path
    folder: Path


def coco(config: SceneConfig, *, training: bool) -> SceneSource:
    """The pictures in the folder `data_dir`.

    Test pictures are those of test/ or, without it, of val/; beside test/, val/ is for watching a training. Without
    either, a fifth of train/ is held out, by the names of the pictures. Raises UsageError, DataError.
    """
    if config.data_dir is None:
        raise UsageError(f"dataset 'coco' needs --data-dir: a folder with {LOOKED_FOR}")
    root = config.data_dir.expanduser()
    places = find_places(root)
    if training and "train" not in places:
        raise DataError(f"no training pictures in {root}: looked for {LOOKED_FOR}")
    background = colour(config.background)
    read = {
        part: read_annotations(place.file, place.folder, background, skip_corrupt=config.skip_corrupt)
        for part, place in places.items()
        if training or part == _tested(places)
    }
    train, test, notices = _divided(read, root)
    watched = read["val"].scenes if "test" in places and "val" in read else None
    return SceneSource(
        train=train if training else None,
        test=test,
        validation=watched,
        channels=CHANNELS,
        fingerprint=_fingerprint(places, train) if training and train is not None else "",
        notices=(*(text for one in read.values() for text in one.notices), *notices),
    )


def find_places(root: Path) -> dict[str, Place]:
    """The parts of a folder. Raises DataError for a folder that has none, or two of one kind."""
    if not root.is_dir():
        raise DataError(
            f"{root} {'is not a folder' if root.exists() else 'does not exist'}: it should hold {LOOKED_FOR}"
        )
    found: dict[str, Place] = {}
    for part, names in PARTS.items():
        places = [*_published(root, names), *_simple(root, names)]
        if len(places) > 1:
            files = " and ".join(str(place.file) for place in places)
            raise DataError(f"{root} has two files for one part: {files}; move one of them away")
        if places:
            found[part] = places[0]
    if not found:
        raise DataError(f"no annotations in {root}: looked for {LOOKED_FOR}")
    return found


def _published(root: Path, names: tuple[str, ...]) -> list[Place]:
    """Parts that lie as COCO is published: annotations/instances_NAME.json with NAME/ or images/NAME/."""
    found = []
    form = re.compile(rf"instances_((?:{'|'.join(names)})\d*)\.json")
    for file in sorted((root / "annotations").glob("instances_*.json")):
        if match := form.fullmatch(file.name):
            folders = [folder for folder in (root / match[1], root / "images" / match[1]) if folder.is_dir()]
            if not folders:
                raise DataError(
                    f"{file} has no pictures: looked for {root / match[1]}/ and {root / 'images' / match[1]}/"
                )
            found.append(Place(file, folders[0]))
    return found


def _simple(root: Path, names: tuple[str, ...]) -> list[Place]:
    """Parts that are a folder of pictures, with a file of annotations beside it or in it."""
    places = []
    for name in names:
        for file in (root / f"{name}.json", root / name / INSIDE):
            if not file.is_file():
                continue
            if not (root / name).is_dir():
                raise DataError(f"{file} has no pictures: looked for {root / name}/")
            places.append(Place(file, root / name))
    return places


def _tested(places: Mapping[str, Place]) -> str:
    return next(part for part in ("test", "val", "train") if part in places)


def _divided(read: Mapping[str, Annotated], root: Path) -> tuple[Scenes | None, Scenes, list[str]]:
    """Pictures to train on and to test on."""
    train = read["train"].scenes if "train" in read else None
    tests = [read[part].scenes for part in ("test", "val") if part in read]
    if tests:
        return train, tests[0], []
    assert train is not None
    order = sorted(range(len(train)), key=lambda k: hashlib.sha256(Path(train.names[k]).name.encode()).digest())
    count = max(1, round(HELD_OUT_SHARE * len(train)))
    if count == len(train):
        raise DataError(f"{root} has one picture, and no others to test on")
    text = f"no test/ or val/ in {root}: {count:,} of the {len(train):,} pictures of train/ are held out for testing"
    return train.select(sorted(order[count:])), train.select(sorted(order[:count])), [text]


def _fingerprint(places: Mapping[str, Place], train: Scenes) -> str:
    """It changes with any training annotation, and with the name or the size of any training picture's file."""
    digest = hashlib.sha256(places["train"].file.read_bytes())
    for name in train.names:
        digest.update(f"{Path(name).relative_to(places['train'].folder)}\0{Path(name).stat().st_size}\n".encode())
    return digest.hexdigest()
