"""Folders of class folders: what is found, what is refused, and with which words."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from nascli.config import SearchConfig
from nascli.data import DataModule, open_data, probe_image_size
from nascli.errors import DataError, UsageError
from tests.data.pictures import CPU, known, make_folder, noise, read, save


def config_of(root: Path | None, **options) -> SearchConfig:
    return SearchConfig(dataset="folder", data_dir=root, **options)


def open_folder(root: Path, **options) -> DataModule:
    return open_data(config_of(root, **options), device=CPU)


def pixels_of(data: DataModule, batches) -> list[tuple[bytes, int]]:
    """Images as they were before normalisation, with their labels."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.info.mean, data.info.std))
    found = []
    for images, labels in batches:
        bytes_ = ((images * std + mean) * 255).round().to(torch.uint8).numpy()
        found += [(image.tobytes(), int(label)) for image, label in zip(bytes_, labels, strict=True)]
    return found


def test_train_and_test_are_read_with_their_labels(tmp_path: Path):
    make_folder(tmp_path / "train", {"dog": 4, "cat": 3})
    make_folder(tmp_path / "test", {"cat": 2, "dog": 1})
    data = open_folder(tmp_path)
    assert data.info.classes == ("cat", "dog")
    assert (data.info.train_images, data.info.test_images) == (7, 3)
    assert (data.info.channels, data.info.image_size) == (3, 12)
    assert np.bincount(data.train_labels).tolist() == [3, 4]
    for part, batches in (("train", data.batches(None, 2)), ("test", data.test_batches(2))):
        expected = [
            (read(path).tobytes(), label)
            for label, name in enumerate(["cat", "dog"])
            for path in sorted((tmp_path / part / name).iterdir())
        ]
        assert pixels_of(data, batches) == expected


def test_a_fifth_is_held_out_of_a_flat_folder_whatever_the_seed(tmp_path: Path):
    make_folder(tmp_path, {"a": 20, "b": 10})
    first, second = open_folder(tmp_path, seed=1), open_folder(tmp_path, seed=2, limit_train=8)
    train, test = set(pixels_of(first, first.batches(None, 8))), set(pixels_of(first, first.test_batches(8)))
    assert (len(train), len(test)) == (24, 6)
    assert not train & test
    assert sorted(label for _, label in test) == [0, 0, 0, 0, 1, 1]
    assert set(pixels_of(second, second.test_batches(8))) == test
    assert set(pixels_of(second, second.batches(None, 8))) < train
    assert first.info.fingerprint == second.info.fingerprint
    assert np.bincount(second.train_labels).tolist() == [4, 4]


def test_test_wins_over_val_and_val_alone_is_the_test(tmp_path: Path):
    for part, count in (("train", 2), ("val", 1), ("test", 3)):
        make_folder(tmp_path / part, {"a": count, "b": count})
    data = open_folder(tmp_path)
    assert data.info.test_images == 6
    assert data.notices == ("the test images are those in test/; a training is watched by those in val/",)
    assert data.has_validation
    assert [len(labels) for _, labels in data.validation_batches(8)] == [2]
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    assert open_folder(tmp_path).info.test_images == 2


def test_train_without_test_holds_a_fifth_out_and_says_so(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 10, "b": 5})
    data = open_folder(tmp_path)
    assert (data.info.train_images, data.info.test_images) == (12, 3)
    assert "a fifth of train/ is held out" in data.notices[0]


def test_the_test_images_are_not_touched_before_they_are_asked_for(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 4, "b": 4})
    make_folder(tmp_path / "test", {"a": 1, "b": 1})
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_bytes(b"not an image")
    data = open_folder(tmp_path)
    data.stream(np.arange(8), 4, seed=0, name="t", augmentation=_nothing()).next()
    with pytest.raises(DataError, match="test has no readable image; .*not an image"):
        data.test_batches(4)


def test_given_statistics_spare_the_training_images(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 4, "b": 4})
    make_folder(tmp_path / "test", {"a": 1, "b": 1})
    for path in (tmp_path / "train").rglob("*.png"):
        path.write_bytes(b"not an image")
    data = open_data(config_of(tmp_path), device=CPU, classes=("b", "a"), like=known(side=10))
    images, labels = next(data.test_batches(2))
    assert labels.tolist() == [1, 0]  # in the order of the given classes
    assert images.shape == (2, 3, 10, 10)
    assert (data.info.mean, data.info.std) == ((0.5,) * 3, (0.25,) * 3)
    assert data.info.train_images == 8
    with pytest.raises(DataError, match="not an image"):
        data.batches(None, 2)


def test_a_model_may_know_more_classes_than_the_data_but_not_fewer(tmp_path: Path):
    make_folder(tmp_path, {"b": 4, "c": 4})
    data = open_data(config_of(tmp_path), device=CPU, classes=("a", "b", "c"))
    assert set(data.train_labels) == {1, 2}
    with pytest.raises(DataError, match="1 of 2 classes that the model does not know, 'c' for one; it knows a, b"):
        open_data(config_of(tmp_path), device=CPU, classes=("a", "b"))


def test_hidden_files_other_files_and_deep_folders(tmp_path: Path):
    make_folder(tmp_path, {"a": 3, "b": 3})
    (tmp_path / ".cache").mkdir()
    save(tmp_path / ".cache" / "x.png", noise(1, 4, 4))
    (tmp_path / "a" / ".hidden.png").write_bytes(b"")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "readme.md").write_text("nor this")
    save(tmp_path / "a" / "more" / "UPPER.PNG", noise(2, 12, 12))
    (tmp_path / "b" / "link.png").symlink_to(tmp_path / "b" / "000.png")
    (tmp_path / "b" / "loop").symlink_to(tmp_path / "b", target_is_directory=True)
    data = open_folder(tmp_path)
    assert data.info.classes == ("a", "b")
    assert data.info.train_images + data.info.test_images == 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "there is no folder"),
        (lambda root: root.write_text(""), "is a file, not a folder"),
        (lambda root: root.mkdir(), "is empty: it has no class folders"),
        (lambda root: save(root / "a.png", noise(0, 4, 4)), "has images, but no class folders"),
        (lambda root: make_folder(root, {"a": 3}), r"has one class only \('a'\)"),
        (lambda root: (make_folder(root, {"a": 3}), (root / "b").mkdir()), "class folder .*/b has no image"),
        (lambda root: make_folder(root, {"a": 3, "b": 1}), "class 'b' has 1 image"),
        (lambda root: make_folder(root / "test", {"a": 3, "b": 3}), "has test/ but no train/"),
        (
            lambda root: (make_folder(root / "train", {"a": 2, "b": 2}), make_folder(root / "val", {"a": 2, "c": 2})),
            "classes of .* differ: 'b' only in .*/train; 'c' only in .*/val",
        ),
        (lambda root: (make_folder(root, {"a": 4, "b": 4}), _spoil(root, "a/*")), r"a/\d+.png: .*\(and \d more\)"),
        (
            lambda root: (make_folder(root, {"a": 4, "b": 4}), _spoil(root, "*/*", keep=4)),
            "no readable image; .*not an image",
        ),
    ],
)
def test_folders_that_cannot_serve_are_one_line(tmp_path: Path, make, message: str):
    root = tmp_path / "data"
    make(root)
    with pytest.raises(DataError, match=message) as caught:
        open_folder(root)
    assert "\n" not in str(caught.value)
    assert str(root) in str(caught.value) or "held out" in str(caught.value)


def test_a_folder_must_be_named():
    for look in (probe_image_size, lambda config: open_data(config, device=CPU)):
        with pytest.raises(UsageError, match="'folder' needs --data-dir"):
            look(config_of(None))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(tmp_path: Path):
    make_folder(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "a").chmod(0)
    with pytest.raises(DataError, match="a: Permission denied"):
        open_folder(tmp_path)


def test_corrupt_images_may_be_skipped(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 4, "b": 4})
    make_folder(tmp_path / "test", {"a": 2, "b": 2})
    _spoil(tmp_path, "train/a/00[12].png")
    _spoil(tmp_path, "test/b/000.png")
    data = open_folder(tmp_path, skip_corrupt=True)
    assert data.info.train_images == 6
    assert np.bincount(data.train_labels).tolist() == [2, 4]
    assert data.notices[0].startswith(f"left out 2 images that cannot be read: {tmp_path / 'train/a/001.png'}")
    kept = [tmp_path / "train" / name for name in ("a/000.png", "a/003.png", *(f"b/00{k}.png" for k in range(4)))]
    assert [image for image, _ in pixels_of(data, data.batches(None, 4))] == [read(path).tobytes() for path in kept]
    assert sum(len(labels) for _, labels in data.test_batches(2)) == 3
    _spoil(tmp_path, "train/a/*.png")
    with pytest.raises(DataError, match="class 'a' has no readable image"):
        open_folder(tmp_path, skip_corrupt=True)


def test_mixed_sizes_take_the_median(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 5, "b": 5}, side=16)
    for index in range(4):
        save(tmp_path / "train" / "a" / f"wide{index}.png", noise(index, 20, 30))
    make_folder(tmp_path / "test", {"a": 1, "b": 1}, side=40)
    assert probe_image_size(config_of(tmp_path)) == 16
    data = open_folder(tmp_path)
    assert data.info.image_size == 16
    told = "4 of 14 images were of another size: resized to 16x16 pixels"
    assert data.notices == (f"{told}; each of 4 that are not square was cut to its centre",)
    assert next(data.test_batches(2))[0].shape == (2, 3, 16, 16)
    assert data.notices[1] == "2 of 2 images were of another size: resized to 16x16 pixels"


def test_a_small_image_is_resized_by_its_shorter_side_and_cut_to_the_centre(tmp_path: Path):
    """A gradient from left to right keeps its middle: 40 of 60 columns, at half the size."""
    columns = np.arange(60, dtype=np.uint8) * 4
    for name in "ab":
        for index in range(2):
            save(tmp_path / "train" / name / f"{index}.png", np.broadcast_to(columns, (40, 60)).copy())
            save(tmp_path / "test" / name / f"{index}.png", np.broadcast_to(columns, (40, 60)).copy())
    data = open_folder(tmp_path, image_size=20)
    assert data.info.channels == 1
    image = np.frombuffer(pixels_of(data, data.batches(None, 1))[0][0], np.uint8).reshape(20, 20)
    expected = (columns[10:50:2].astype(float) + columns[11:50:2]) / 2
    assert np.abs(image - expected).max() <= 2


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([12], 12),
        ([12, 12, 64], 12),
        ([64], 64),
        ([65], 64),
        ([75], 72),
        ([300], 224),
        ([12, 300, 12], 12),
        ([32] * 20 + [300], 32),
        ([300] * 9 + [32], 224),
    ],
)
def test_the_probe_tells_small_from_large(tmp_path: Path, sides: list[int], expected: int):
    for name in "ab":
        for index, side in enumerate(sides * 2):
            save(tmp_path / name / f"{index}.png", noise(index, side, side))
    assert probe_image_size(config_of(tmp_path)) == expected
    assert probe_image_size(config_of(tmp_path, image_size=20)) == 20
    assert open_folder(tmp_path).info.image_size == expected


def test_only_folders_are_probed():
    assert probe_image_size(SearchConfig(dataset="cifar10")) is None
    assert probe_image_size(SearchConfig(dataset="imagenet", data_dir=Path("/nowhere"))) is None


def test_size_and_channels_do_not_depend_on_the_images_in_use(tmp_path: Path):
    """One colour image among grey ones, and a few of another size, decide alike under every limit and seed."""
    make_folder(tmp_path / "train", {"a": 12, "b": 12}, side=8, channels=1)
    save(tmp_path / "train" / "a" / "colour.png", noise(0, 8, 8))
    make_folder(tmp_path / "test", {"a": 1, "b": 1}, side=8)
    infos = [open_folder(tmp_path, limit_train=2, seed=seed).info for seed in range(5)]
    assert {(info.channels, info.image_size, info.train_images) for info in infos} == {(3, 8, 2)}


def test_all_grey_images_make_one_channel(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 3, "b": 3}, channels=1)
    make_folder(tmp_path / "test", {"a": 1, "b": 1})
    data = open_folder(tmp_path)
    assert data.info.channels == 1
    assert next(data.test_batches(2))[0].shape == (2, 1, 12, 12)


def test_the_fingerprint_changes_with_any_image_or_label(tmp_path: Path):
    make_folder(tmp_path, {"a": 6, "b": 6})
    prints = [open_folder(tmp_path).info.fingerprint, open_folder(tmp_path, limit_train=4, seed=9).info.fingerprint]
    assert len(set(prints)) == 1
    (tmp_path / "a" / "000.png").rename(tmp_path / "b" / "moved.png")
    prints.append(open_folder(tmp_path).info.fingerprint)
    size = (tmp_path / "b" / "001.png").stat().st_size
    content = bytearray((tmp_path / "b" / "001.png").read_bytes())
    content[-1] ^= 1  # the checksum of the end marker: the same size, another content
    (tmp_path / "b" / "001.png").write_bytes(bytes(content))
    assert (tmp_path / "b" / "001.png").stat().st_size == size
    prints.append(open_folder(tmp_path, skip_corrupt=True).info.fingerprint)
    assert len(set(prints[1:])) == 3


def _spoil(root: Path, pattern: str, keep: int = 60) -> None:
    """Leave the first bytes of files only: the header of a PNG has 33."""
    for path in root.glob(pattern):
        path.write_bytes(path.read_bytes()[:keep])


def _nothing():
    from nascli.data import Augmentation

    return Augmentation()
