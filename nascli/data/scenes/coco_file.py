"""One file of annotations in COCO's JSON format, and its pictures.

The format: https://cocodataset.org/#format-data. Of "images" it takes id, file_name, width and height; of "categories"
id and name; of "annotations" image_id, category_id, bbox (left, top, width, height), and iscrowd, area and id if they
are there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from os.path import normpath
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from torch import Tensor

from nascli.data.decoding import UnreadableImage, check, decode, read_header
from nascli.data.scenes.scenes import Boxes, Scenes
from nascli.errors import DataError
from nascli.faults import shorten

CHANNELS = 3
OVERHANG = 1.0
"""Pixels by which a box may reach beyond its picture, as rounding makes boxes do; it is cut off."""

ADVICE = "correct the file, or leave such {what} out with --skip-corrupt"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Annotated:
    """The pictures of a file, and what was left out of them."""

    scenes: Scenes
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Pictures:
    """Reads pictures from their files. background: of transparent parts, red, green and blue."""

    paths: Sequence[Path]
    sizes: Sequence[tuple[int, int]]
    background: tuple[int, int, int]

    def __call__(self, index: int) -> Tensor:
        path, size = self.paths[index], self.sizes[index]
        pixels = decode(path, CHANNELS, self.background)
        if (found := (pixels.shape[2], pixels.shape[1])) != size:
            raise UnreadableImage(
                f"{path}: has {found[0]}x{found[1]} pixels, and the boxes are for {size[0]}x{size[1]}"
            )
        return pixels


def read_annotations(
    file: Path, folder: Path, background: tuple[int, int, int], *, skip_corrupt: bool = False
) -> Annotated:
    """The pictures in `folder` with the boxes in `file`.

    skip_corrupt: leave out boxes that are not in their pictures or have no area, and pictures that are missing or
    cannot be read. Raises DataError for these otherwise, and for a file that is malformed or contradicts itself.
    """
    document = _document(file)
    classes = _classes(document["categories"], file)
    rows = _by_id(document["images"], "images", file)
    found = list(_existing(rows, folder, file, skip_corrupt))
    missing = len(rows) - len(found)
    kept = [(key, path, _size(rows[key], path, file)) for key, path in found]
    boxes, dropped = _boxes(document["annotations"], rows, {key: size for key, _, size in kept}, classes, file)
    if dropped and not skip_corrupt:
        more = f"; and {len(dropped) - 1:,} more" if len(dropped) > 1 else ""
        raise DataError(f"{file}: {dropped[0]}{more}: {ADVICE.format(what='boxes')}")
    if not sum(map(len, boxes.values())):
        raise DataError(f"{file} has no boxes: a detector learns from, and is measured on, some in its 'annotations'")
    paths, sizes = [path for _, path, _ in kept], [size for _, _, size in kept]
    scenes = Scenes(
        [str(path) for path in paths],
        sizes,
        [boxes[key] for key, _, _ in kept],
        tuple(classes.values()),
        _Pictures(paths, sizes, background),
    )
    notices = [f"left out of {file}: {len(dropped):,} boxes, such as {dropped[0]}"] if dropped else []
    notices += [f"left out of {file}: {missing:,} pictures that are missing or cannot be read"] if missing else []
    return Annotated(scenes, tuple(notices))


def _document(file: Path) -> Mapping[str, Any]:
    """The lists of a file. Raises DataError for anything else."""
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON: {str(error) or 'it is nested too deeply'}") from None
    if not isinstance(document, dict):
        raise DataError(f"{file} is not in COCO's format: it has no 'images', 'annotations' and 'categories'")
    for name in ("images", "annotations", "categories"):
        rows = document.get(name)
        if not isinstance(rows, list):
            raise DataError(f"{file} is not in COCO's format: it has no list '{name}'")
        if (wrong := next((k for k, row in enumerate(rows) if not isinstance(row, dict)), None)) is not None:
            raise DataError(f"{file}: {name}[{wrong}] is not an object")
    if not document["images"]:
        raise DataError(f"{file} has no images: its list 'images' is empty")
    return document


def _by_id(rows: Sequence[Row], name: str, file: Path) -> dict[int, Row]:
    """Rows by their id. Raises DataError for one without, or for an id that is there twice."""
    table: dict[int, Row] = {}
    for number, row in enumerate(rows):
        key = row.get("id")
        if not isinstance(key, int) or isinstance(key, bool):
            raise DataError(f"{file}: {name}[{number}].id is {shorten(key)}, not a whole number")
        if key in table:
            raise DataError(f"{file}: {name}[{number}].id: {key} is there twice")
        table[key] = row
    return table


def _classes(rows: Sequence[Row], file: Path) -> dict[int, str]:
    """The names of the categories by id, in the order of the ids. Raises DataError."""
    table = _by_id(rows, "categories", file)
    names: dict[int, str] = {}
    for key in sorted(table):
        name = table[key].get("name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{file}: the category {key} has no name")
        if name in names.values():
            raise DataError(f"{file}: two categories have the name {name!r}")
        names[key] = name
    return names


def _existing(rows: Mapping[int, Row], folder: Path, file: Path, skip_corrupt: bool) -> Iterator[tuple[int, Path]]:
    """The ids and paths of the pictures that are there; with `skip_corrupt` of those that can be read to their end.

    Raises DataError for one that is missing otherwise, and for a picture that is listed twice.
    """
    seen: set[str] = set()
    lost: list[Path] = []
    for number, (key, row) in enumerate(rows.items()):
        name = row.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            raise DataError(f"{file}: the image {key} has no file_name")
        if _leaves(name):
            raise DataError(
                f"{file}: images[{number}].file_name is {shorten(name)}, outside of {folder}: write it "
                "as a path in there"
            )
        if name in seen:
            raise DataError(f"{file}: the picture {name} is listed twice")
        seen.add(name)
        path = folder / name
        if not path.is_file():
            lost.append(path)
        elif not skip_corrupt or _whole(path, row):
            yield key, path
    if lost and not skip_corrupt:
        more = f", and {len(lost) - 1:,} more of {len(rows):,}" if len(lost) > 1 else ""
        raise DataError(f"{lost[0]} is missing{more}: {file} lists it; {ADVICE.format(what='pictures')}")


def _leaves(name: str) -> bool:
    """Whether a path does not stay in the folder that it is told for, as it is written. Links are followed."""
    return Path(name).is_absolute() or Path(normpath(name)).parts[:1] == ("..",)


def _whole(path: Path, row: Row) -> bool:
    """Whether a picture can be read to its end, and has the sides that its row tells, upright or turned."""
    try:
        check(path)
        header = read_header(path)
    except UnreadableImage:
        return False
    given = {row.get("width", header.width), row.get("height", header.height)}
    return given == {header.width, header.height}


def _size(row: Row, path: Path, file: Path) -> tuple[int, int]:
    """Width and height of a picture, of its own header where the file does not tell. Raises DataError."""
    given = row.get("width"), row.get("height")
    if given == (None, None):
        header = read_header(path)
        return header.width, header.height
    width, height = given
    if not (_is_number(width) and _is_number(height) and width >= 1 and height >= 1):
        raise DataError(f"{file}: the image {path.name} has the size {shorten(given)}, not a width and a height")
    return int(width), int(height)


def _boxes(
    rows: Sequence[Row],
    images: Mapping[int, Row],
    sizes: Mapping[int, tuple[int, int]],
    classes: Mapping[int, str],
    file: Path,
) -> tuple[dict[int, Boxes], list[str]]:
    """The boxes of every image that has a size, by its id; and of each box that is none, what is wrong with it."""
    place = {key: number for number, key in enumerate(classes)}
    found: dict[int, list[tuple[list[float], int, bool, float]]] = {key: [] for key in sizes}
    wrong: list[str] = []
    ids: set[object] = set()
    for number, row in enumerate(rows):
        where = f"annotations[{number}]"
        if (own := row.get("id")) is not None:
            if own in ids if isinstance(own, int | str) else True:
                raise DataError(f"{file}: {where}.id: {shorten(own)} is there twice, or no number")
            ids.add(own)
        crowd = row.get("iscrowd", 0)
        if not isinstance(crowd, int) or crowd not in (0, 1):
            raise DataError(f"{file}: {where}.iscrowd is {shorten(crowd)}, neither 0 nor 1")
        image, category = row.get("image_id"), row.get("category_id")
        if not isinstance(image, int) or image not in images:
            raise DataError(f"{file}: {where}.image_id: {shorten(image)} is none of the 'images'")
        if not isinstance(category, int) or category not in place:
            raise DataError(f"{file}: {where}.category_id: {shorten(category)} is none of the 'categories'")
        corners = _corners(row.get("bbox"), where, file)
        if image not in sizes:
            continue  # of a picture that is left out
        if fault := _outside(corners, sizes[image]):
            wrong.append(f"{where}: the box {row['bbox']} of {images[image]['file_name']} {fault}")
            continue
        cut = _cut(corners, sizes[image])
        area = row.get("area")
        if not _is_number(area) or area <= 0:
            area = (corners[2] - corners[0]) * (corners[3] - corners[1])
        found[image].append((cut, place[category], bool(crowd), float(area)))
    return {key: _packed(boxes) for key, boxes in found.items()}, wrong


def _corners(box: object, where: str, file: Path) -> list[float]:
    """Left, top, right, bottom. Raises DataError for what is not four numbers."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise DataError(f"{file}: {where}.bbox is {shorten(box)}, not [left, top, width, height]")
    left, top, width, height = map(float, box)
    return [left, top, left + width, top + height]


def _outside(corners: Sequence[float], size: tuple[int, int]) -> str:
    """What is wrong with a box in a picture of this size; empty if nothing is."""
    left, top, right, bottom = corners
    if right <= left or bottom <= top:
        return "has no area"
    width, height = size
    if left < -OVERHANG or top < -OVERHANG or right > width + OVERHANG or bottom > height + OVERHANG:
        return f"is outside of its {width}x{height} pixels"
    cut = _cut(corners, size)
    return "" if cut[2] > cut[0] and cut[3] > cut[1] else f"is outside of its {width}x{height} pixels"


def _cut(corners: Sequence[float], size: tuple[int, int]) -> list[float]:
    width, height = size
    left, top, right, bottom = corners
    return [max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))]


def _packed(rows: Sequence[tuple[list[float], int, bool, float]]) -> Boxes:
    return Boxes(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], bool),
        np.array([row[3] for row in rows], np.float64),
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
