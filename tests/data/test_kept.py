"""Large pictures: the size at which they are read; keeping them decoded changes no number and leaves nothing."""

import errno
import os
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nascli.config import SearchConfig
from nascli.data import Augmentation, DataModule, Room, open_data
from nascli.data import room as room_module
from nascli.data.decoding import decode
from nascli.data.format import Format
from nascli.data.kept import keeping, kept_bytes
from nascli.errors import DataError, MemoryExhausted, NascliError
from tests.data.pictures import CPU, noise, save

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

GIB = 2**30
LARGE = Augmentation(flip=True, resized_crop=True)


def gradient(height: int, width: int) -> np.ndarray:
    """A smooth picture that differs in every corner. uint8 [height, width, 3]"""
    rows, columns = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    shades = (rows * np.ones_like(columns), columns * np.ones_like(rows), (rows + columns) / 2)
    return np.rint(255 * np.stack(shades, 2)).astype(np.uint8)


@pytest.mark.parametrize(
    ("fit", "stored", "expected"),
    [
        ("crop", (3000, 4000), (384, 512)),
        ("crop", (375, 500), (375, 500)),  # as on ImageNet
        ("crop", (500, 8000), (384, 6144)),
        ("pad", (3000, 4000), (288, 384)),
        ("pad", (300, 384), (300, 384)),
        ("squash", (3000, 300), (384, 300)),
    ],
)
def test_a_picture_is_read_at_three_halves_of_what_evaluation_needs_and_never_enlarged(fit, stored, expected):
    reduced = Format(3, 224, fit).reduced
    assert reduced(*stored) == expected
    assert reduced(*stored[::-1]) == expected[::-1]
    assert Format(3, 64, fit).reduced(*stored) == stored  # small images are made square from all of their pixels


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(("height", "width"), [(601, 903), (331, 500)])
def test_a_reduced_jpeg_is_the_whole_one_resized(tmp_path: Path, height: int, width: int, orientation: int):
    """The first is decoded at a half of its size, or a quarter, the other at its own."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(gradient(height, width)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    wanted = Format(3, 66)
    assert wanted.most == 112
    seen = decode(tmp_path / "a.jpg", 3, sizing=wanted.reduced)
    upright = np.rot90(gradient(height, width), {1: 0, 3: 2, 6: 3}[orientation])
    assert seen.shape == (3, *wanted.reduced(*upright.shape[:2]))
    expected = np.asarray(Image.fromarray(upright.copy()).resize(seen.shape[:0:-1], Image.Resampling.BILINEAR))
    assert np.abs(seen.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 5


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight: JPEGs that are decoded at a half, others that are resized, a PNG, and small pictures."""
    root = tmp_path_factory.mktemp("photographs")
    sizes = [(260, 300), (150, 200), (90, 100), (200, 150)]
    for number in range(16):
        suffix = ".png" if number == 5 else ".jpg"
        save(root / "ab"[number % 2] / f"{number}{suffix}", noise(number, *sizes[number // 2 % 4]))
    return root


def open_photographs(root: Path, **options) -> DataModule:
    return open_data(SearchConfig(dataset="folder", data_dir=root, image_size=72, **options), device=CPU)


def numbers(data: DataModule) -> list[torch.Tensor]:
    """Two epochs of batches, and one pass of unchanged images."""
    stream = data.stream(np.arange(12), 6, seed=0, name="train", augmentation=LARGE)
    taken = [stream.next()[0] for _ in range(4)]
    stream.close()
    return taken + [images for images, _ in data.batches(None, 5)]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at what is mapped in /proc")
def test_neither_the_place_nor_workers_change_a_number_and_nothing_is_left(photographs: Path, tmp_path: Path):
    expected, told = numbers(open_photographs(photographs, workers=0)), []
    for wanted, workers in (("none", 2), ("ram", 0), ("disk", 2)):
        data = open_photographs(photographs, workers=workers)
        with data.kept(Room(wanted, tmp_path, 8 * GIB), told.append):
            assert all(torch.equal(one, other) for one, other in zip(numbers(data), expected, strict=True))
            assert _mapped(tmp_path) == {"none": 0, "ram": 1, "disk": 1}[wanted]
            assert list(tmp_path.iterdir()) == []  # the file has no name
        assert _mapped(tmp_path) == 0
        assert all(torch.equal(one, other) for one, other in zip(numbers(data), expected, strict=True))
    assert len(told) == 2
    assert told[0].startswith("12 pictures are decoded once, in about 0:00:0")
    assert told[0].endswith("and kept in memory (0.5 MiB)")
    assert f"in a file in {tmp_path} (" in told[1]


def _mapped(folder: Path) -> int:
    """How many files for pictures this process has in its memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum("memfd:pictures" in line or (str(folder) in line and "(deleted)" in line) for line in lines)


def test_only_what_is_chosen_is_kept_and_all_can_be_read(photographs: Path):
    data, expected = open_photographs(photographs), numbers(open_photographs(photographs))
    with data.kept(Room("ram", None, GIB), lambda text: None, chosen=np.array([3, 5])):
        assert data._train.feed.source._sizes.any(axis=1).nonzero()[0].tolist() == [3, 5]
        assert all(torch.equal(one, other) for one, other in zip(numbers(data), expected, strict=True))


def test_in_a_rehearsal_a_few_pictures_stand_in_for_all(photographs: Path):
    data = open_photographs(photographs)
    with data.rehearsed():
        images = torch.cat([batch for batch, _ in data.batches(None, 5)])
    assert len(images) == 12
    assert len(images.flatten(1).unique(dim=0)) == 8
    assert len(torch.cat([batch for batch, _ in data.batches(None, 5)]).flatten(1).unique(dim=0)) == 12


def test_what_pictures_take_is_known_by_their_headers_and_a_replaced_one_is_read_from_its_file(photographs: Path):
    data = open_photographs(photographs)
    images, form = data._train.feed.images, data._format
    indices = np.arange(len(images))
    sizes = kept_bytes(images, form, indices)
    assert sizes.tolist() == [images.load(index, form).numel() for index in indices]
    planned = data.plan_keeping(Room("auto", None, GIB))
    assert (planned.place, planned.pictures, planned.size) == ("ram", len(images), sizes.sum())
    sizes[4] += 1
    with keeping(images, form, indices, sizes, "ram", Room("ram", None, GIB), pytest.fail) as kept:
        assert all(torch.equal(kept.load(k, form), images.load(k, form)) for k in indices.tolist())
        assert kept._sizes[4].tolist() == [0, 0]


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_auto_takes_half_of_the_memory_or_half_of_the_disk(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(room_module.shutil, "disk_usage", lambda folder: _Usage(40 * GIB))
    there = Room("auto", tmp_path / "not yet" / "there", 8 * GIB)
    assert [there.place(size * GIB) for size in (4, 5, 20, 21)] == ["ram", "disk", "disk", None]
    assert Room("auto", tmp_path, None).place(GIB) == "disk"
    monkeypatch.setattr(room_module.shutil, "disk_usage", lambda folder: _Usage(1000 * GIB))
    assert [there.place(size * GIB) for size in (100, 101)] == ["disk", None]
    assert Room("disk", tmp_path, 0).place(999 * GIB) == "disk"
    assert Room("none", tmp_path, 8 * GIB).place(1) is None


def test_a_place_that_is_too_small_is_told_before_anything_is_decoded(monkeypatch, photographs: Path, tmp_path: Path):
    data = open_photographs(photographs)
    with pytest.raises(MemoryExhausted, match=r"takes 0\.. MiB of memory, and 0\.1 MiB are free: give --cache disk or"):
        data.plan_keeping(Room("ram", None, 100_000))
    monkeypatch.setattr(room_module.shutil, "disk_usage", lambda folder: _Usage(1000))
    with pytest.raises(
        NascliError, match=r"takes 0\.. MiB on the disk, and 0\.0 MiB are free in .*or give --cache none"
    ):
        data.plan_keeping(Room("disk", tmp_path, GIB))


@pytest.mark.parametrize(
    ("call", "place"), [("posix_fallocate", "ram"), ("posix_fallocate", "disk"), ("pwrite", "disk")]
)
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(monkeypatch, photographs, tmp_path, call: str, place):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    data = open_photographs(photographs)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(NascliError) as caught, data.kept(Room(place, tmp_path, GIB), lambda text: None):
        pytest.fail("nothing could be kept")
    assert caught.value.exit_code == (5 if place == "ram" else 1)
    assert "keeping the decoded pictures takes" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("skip_corrupt", [False, True])
def test_a_picture_that_cannot_be_decoded_is_told_or_left_out(tmp_path: Path, skip_corrupt: bool):
    for number in range(12):
        save(tmp_path / "ab"[number % 2] / f"{number}.jpg", noise(number, 80, 100))
    data = open_photographs(tmp_path, skip_corrupt=skip_corrupt)
    path = data._train.feed.images.path(3)
    path.write_bytes(path.read_bytes()[:200])
    with nullcontext() if skip_corrupt else pytest.raises(DataError) as caught:
        with data.kept(Room("ram", None, GIB), lambda text: None):
            assert sum(len(labels) for _, labels in data.batches(None, 4)) == len(data.train_labels) - 1
        assert str(path) in data.lost
    assert skip_corrupt or str(caught.value).startswith(f"cannot read {path}: ")


def test_workers_are_as_many_as_the_cores_and_none_for_a_few_pictures(monkeypatch, photographs: Path):
    assert open_photographs(photographs)._train.feed.workers == 0
    from nascli.data import workers

    monkeypatch.setattr(workers, "cores", lambda: 64)
    images = open_photographs(photographs)._train.feed.images
    many = images.select(np.zeros(450, np.int64))
    assert workers.WorkerFeed(many, Format(3, 72), None, CPU).workers == 4
    assert workers.WorkerFeed(many.select(np.zeros(5000, np.int64)), Format(3, 72), None, CPU).workers == 8
    assert workers.WorkerFeed(many, Format(3, 72), 12, CPU).workers == 12


def test_an_interrupted_filling_ends_soon(monkeypatch, photographs: Path):
    """Pictures that wait for their turn are not decoded any more."""
    data = open_photographs(photographs)
    images, form = data._train.feed.images, data._format
    many = np.resize(np.arange(len(images)), 400)
    decoded = []

    def load(index: int, format: Format) -> torch.Tensor:
        decoded.append(index)
        if len(decoded) == 3:
            raise KeyboardInterrupt  # which the thread that waits gets, too
        time.sleep(0.002)
        return torch.zeros(3, 1, 1, dtype=torch.uint8)

    monkeypatch.setattr(images, "load", load)
    kept = keeping(images, form, many, np.ones(400, int), "ram", Room("ram", None, GIB), pytest.fail)
    with pytest.raises(KeyboardInterrupt), kept:
        pytest.fail("was not interrupted")
    assert len(decoded) < 200
