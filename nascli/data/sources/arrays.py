"""Images in NumPy's `.npz` archives."""

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nascli.config import Config
from nascli.data.images import ArrayImages, Images
from nascli.data.sources.parts import PARTS, Part, Parts, labelled_source, required_file, source_of, training_part
from nascli.data.sources.source import Source
from nascli.errors import DataError

WHAT = "an .npz file with the arrays images and labels and, if there are any, test_images and test_labels"

COLOURS = (1, 3)


def arrays(config: Config) -> Source:
    """A user's own images in an `.npz` file.

    `images`: uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], with C 1 or 3; `labels`: [N], integers or text. The same
    with `test_` and `val_` before it, if there are such parts; `train_images` is another name of `images`, as in
    MedMNIST. `classes`, if given: the names of the labels 0, 1 and so on. Without test images, those for validation
    are, and without these a fifth of each class is held out, always the same images. Raises UsageError without
    data_dir, DataError for an unusable file.
    """
    return source_of(_read(config))


def labelled_arrays(config: Config, fingerprint: str, trained_at: Path | None) -> Source:
    """An `.npz` file for evaluating a model; see `labelled_source`."""
    return labelled_source(_read(config), fingerprint, trained_at)


def find_training_part(config: Config) -> Images:
    """The images that `arrays` would train on."""
    return training_part(_read(config))


def _read(config: Config) -> Parts:
    file = required_file(config, WHAT)
    found = _load(file)
    pairs: dict[Part, tuple[np.ndarray, np.ndarray]] = {}
    for part in PARTS:
        names = _names(found, part)
        if names is not None:
            pairs[part] = (_pixels(file, names[0], found), _labels(file, names, found))
    if not pairs:
        raise DataError(f"{file} has no array 'images', but {', '.join(map(repr, found)) or 'none at all'}")
    shapes = {pixels.shape[1:] for pixels, _ in pairs.values()}
    if len(shapes) > 1:
        raise DataError(f"{file}: the parts have images of other sizes: {' and '.join(map(str, sorted(shapes)))}")
    classes, numbers = _classes(file, found, [labels for _, labels in pairs.values()])
    digest = hashlib.sha256(repr(classes).encode())
    images: dict[Part, Images] = {}
    for part, (pixels, labels) in pairs.items():
        own = np.array([numbers[label] for label in labels.tolist()], np.int64)
        images[part] = ArrayImages(pixels, own, classes)
        digest.update(f"\0{part}\0{pixels.shape}\0".encode() + pixels.tobytes() + own.tobytes())
    count = len(pairs["train"][0]) if "train" in pairs else 0
    return Parts(file, images, [f"{index:09d}" for index in range(count)], digest.hexdigest())


def _load(file: Path) -> dict[str, np.ndarray]:
    """All arrays of a file. Pickled objects are not read."""
    if not zipfile.is_zipfile(file):
        raise DataError(f"{file} is not an .npz file: save it with numpy.savez(FILE, images=…, labels=…)")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file} is not a readable .npz file: {error}") from None


def _names(found: dict[str, np.ndarray], part: Part) -> tuple[str, str] | None:
    """What the arrays of a part are called; None if it is not there."""
    for prefix in ("", "train_") if part == "train" else (f"{part}_",):
        if f"{prefix}images" in found:
            return f"{prefix}images", f"{prefix}labels"
    return None


def _pixels(file: Path, name: str, found: dict[str, np.ndarray]) -> np.ndarray:
    """Images as uint8 [N, C, H, W]."""
    pixels = found[name]
    if pixels.dtype != np.uint8:
        raise DataError(f"{file}: {name} has numbers of type {pixels.dtype}: save shades as uint8, 0 to 255")
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.ndim == 4 and pixels.shape[3] in COLOURS:
        pixels = pixels.transpose(0, 3, 1, 2)
    elif pixels.ndim != 4 or pixels.shape[1] not in COLOURS:
        raise DataError(f"{file}: {name} has the shape {pixels.shape}: images are [N, H, W] or [N, H, W, 3]")
    if 0 in pixels.shape:
        raise DataError(f"{file}: {name} is empty: its shape is {found[name].shape}")
    return np.ascontiguousarray(pixels)


def _labels(file: Path, names: tuple[str, str], found: dict[str, np.ndarray]) -> np.ndarray:
    """Labels as integers or text, [N]."""
    images, name = names
    if name not in found:
        raise DataError(f"{file} has {images}, but no {name}")
    labels = found[name]
    if labels.ndim == 2 and labels.shape[1] == 1:  # as in MedMNIST
        labels = labels[:, 0]
    if labels.shape != (len(found[images]),):
        raise DataError(f"{file}: {name} has the shape {labels.shape}, for {len(found[images]):,} images")
    if labels.dtype.kind not in "iuU":
        raise DataError(f"{file}: {name} has values of type {labels.dtype}: labels are integers or text, one per image")
    return labels


def _classes(
    file: Path, found: dict[str, np.ndarray], labels: Sequence[np.ndarray]
) -> tuple[tuple[str, ...], dict[object, int]]:
    """The names of the classes, and the number of each label."""
    # As Python's own values: joined in one array, integers of two kinds would become floating-point numbers.
    values = sorted(set().union(*(own.tolist() for own in labels)), key=lambda value: (str(type(value)), value))
    if len({type(value) for value in values}) > 1:
        raise DataError(f"{file}: labels are integers in one part and text in another")
    if "classes" not in found:
        return tuple(map(str, values)), {value: number for number, value in enumerate(values)}
    names = found["classes"]
    if names.ndim != 1 or names.dtype.kind not in "iuU" or len(np.unique(names)) != len(names):
        raise DataError(f"{file}: classes is not a list of different names: shape {names.shape}, type {names.dtype}")
    classes = tuple(map(str, names.tolist()))
    in_words = isinstance(values[0], str)
    known: dict[object, int] = {(name if in_words else number): number for number, name in enumerate(classes)}
    if strange := [value for value in values if value not in known]:
        raise DataError(f"{file}: label {strange[0]!r} is none of the {len(classes)} classes")
    return classes, known
