"""Images that a CSV file lists."""

from pathlib import Path

import pytest
import torch

from nascli.config import EvalConfig, SearchConfig
from nascli.data import DataModule, open_data, probe_image_size, probe_train_images
from nascli.errors import DataError, NascliError, UsageError
from tests.data.pictures import CPU, make_folder, noise, save

HEAD = "path,label,split\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six pictures of 12 pixels, and one of 16 somewhere else."""
    make_folder(tmp_path / "list" / "in", {"x": 6})
    save(tmp_path / "away" / "far.png", noise(7, 16, 16))
    return tmp_path / "list"


def opened(file: Path, text: str, **options) -> DataModule:
    file.write_text(text)
    return open_data(SearchConfig(dataset="csv", data_dir=file, **options), device=CPU)


def rows(*cells: str) -> str:
    return "\n".join(cells) + "\n"


def test_parts_labels_and_pixels_are_those_of_the_rows(images: Path):
    away = images.parent / "away" / "far.png"
    text = HEAD + rows(
        "in/x/000.png,10,train", f"{away},9,Training", "./in/x/001.png,9,train", "", "in/x/002.png,10,test",
        "in/x/003.png,9,TEST", "in/x/004.png,9,validation",
    )  # fmt: skip
    data = opened(images / "a.csv", text)
    assert data.info.classes == ("9", "10")  # in the order of numbers
    assert (data.info.train_images, data.info.test_images, data.has_validation) == (3, 2, True)
    assert data.train_labels.tolist() == [1, 0, 0]
    assert data.notices[0] == f"{images / 'a.csv'}: 1 empty line skipped"
    ((pixels, labels),) = data.test_batches(9)
    assert labels.tolist() == [1, 0]
    mean, std = (torch.tensor(value)[:, None, None] for value in (data.info.mean, data.info.std))
    expected = torch.from_numpy(noise(2, 12, 12)).permute(2, 0, 1) / 255
    torch.testing.assert_close(pixels[0] * std + mean, expected)


def test_without_parts_the_same_fifth_is_held_out(images: Path):
    names = [f"in/x/{number:03d}.png" for number in range(6)]
    text = "label;note;path\n" + rows(*(f"{'ab'[number % 2]};n, m;{name}" for number, name in enumerate(names)))
    data = opened(images / "a.csv", text)
    assert (data.info.train_images, data.info.test_images) == (4, 2)
    assert probe_image_size(SearchConfig(dataset="csv", data_dir=images / "a.csv")) == 12
    assert probe_train_images(SearchConfig(dataset="csv", data_dir=images / "a.csv")) == 4
    ((pixels, labels),) = data.test_batches(9)
    lines = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(names)]
    turned = opened(images / "b.csv", "path,label\n" + rows(*lines[::-1]))
    ((same, turned_labels),) = turned.test_batches(9)
    assert torch.equal(same.flip(0), pixels)
    assert torch.equal(turned_labels.flip(0), labels)


def test_a_repeated_row_counts_once_and_numbers_that_are_equal_are_in_one_order(images: Path):
    away = images / "in/x/000.png"
    text = HEAD + rows("in/x/000.png,1,train", f"{away},1,train", "in/x/001.png,01,train", "in/x/002.png,1,test")
    data = opened(images / "a.csv", text)
    assert (data.info.train_images, data.info.classes) == (2, ("01", "1"))
    assert data.notices == (f"{images / 'a.csv'}: 1 repeated line counted once",)


def test_the_fingerprint_knows_labels_parts_and_files(images: Path):
    lines = ["in/x/000.png,a,train", "in/x/001.png,b,train", "in/x/002.png,a,test", "in/x/003.png,b,test"]
    first = opened(images / "a.csv", HEAD + rows(*lines)).info.fingerprint
    assert opened(images / "b.csv", HEAD.replace("path", "Path ") + rows(*lines)).info.fingerprint == first
    other_label = [*lines[:2], "in/x/002.png,b,test", "in/x/003.png,a,test"]
    other_part = ["in/x/000.png,a,test", *lines[1:2], "in/x/002.png,a,train", lines[3]]
    found = {opened(images / "c.csv", HEAD + rows(*other)).info.fingerprint for other in (other_label, other_part)}
    save(images / "in/x/003.png", noise(99, 12, 12))
    found.add(opened(images / "a.csv", HEAD + rows(*lines)).info.fingerprint)
    assert len(found | {first}) == 4


def test_a_model_is_evaluated_on_the_part_for_testing_or_on_what_it_has_not_seen(images: Path):
    lines = [f"in/x/{number:03d}.png,{'ab'[number % 2]}" for number in range(6)]
    known = opened(images / "a.csv", "path,label\n" + rows(*lines)).info

    def evaluated(file: str, text: str | None = None) -> tuple[int, tuple[str, ...]]:
        if text is not None:
            (images / file).write_text(text)
        config = EvalConfig(dataset="csv", data_dir=images / file)
        trained = images / "a.csv"
        data = open_data(config, device=CPU, classes=known.classes, like=known, trained_at=trained)
        return sum(len(labels) for _, labels in data.test_batches(9)), data.notices

    assert evaluated("a.csv") == (2, ())
    count, notices = evaluated("new.csv", "path,label\n" + rows(*lines[:4]))
    assert count == 4
    assert "their accuracy flatters" in notices[0]
    assert evaluated("parts.csv", HEAD + rows("in/x/005.png,b,test")) == (
        1,
        ("no image is of 1 of the 2 classes: 'a'",),
    )
    count, notices = evaluated("a.csv", "path,label\n" + rows(*lines[:4]))
    assert count == 2
    assert "has changed since the training" in notices[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path' and no column 'label'; its first line is empty"),
        ("path,class\n", "no column 'label'; its first line is path, class"),
        (HEAD, "lists no image"),
        (HEAD + "in/x/000.png,,train\n,a,train\n", r"line 2 has no label \(and 1 more like it\)"),
        (HEAD + "\n,a\n", "line 3 has no path"),
        (HEAD + "in/x/000.png,a,trian\n", "line 2: unknown split 'trian': train, val or test"),
        (HEAD + "in/x/000.png,a,\n", "line 2: unknown split ''"),
        (HEAD + "nope.png,a,train\n", "line 2: there is no file .*nope.png; paths are relative"),
        (HEAD + "in/x/000.png,a,train\nin/x/./000.png,a,test\n", "lines 2 and 3 give in/x/000.png another label or"),
        (HEAD + "in/x/000.png,a,train\nin/../in/x/000.png,b,train\n", "lines 2 and 3 give in/x/000.png another label"),
        (HEAD + 'in/x/000.png,"a,train\n', "line 2: unexpected end of data"),
        (HEAD + "in/x/000.png,a,train\n", "one class only"),
        (HEAD + "in/x/000.png,a,test\nin/x/001.png,b,test\n", "no training images"),
        (HEAD + "in/x/000.png,a,train\nin/x/001.png,b,test\n", "no training image of class 'b'"),
        ("path,label\nin/x/000.png,a\nin/x/001.png,b\n", "class 'a' has 1 image"),
        ("path,label\nin/x/000.png,\udcff\n", "cannot be read as text in UTF-8"),
    ],
)
def test_faults_are_told_with_their_lines(images: Path, text: str, message: str):
    (images / "a.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as raised:
        open_data(SearchConfig(dataset="csv", data_dir=images / "a.csv"), device=CPU)
    assert "\n" not in str(raised.value)


def test_a_missing_file_can_be_left_out(images: Path):
    lines = ["in/x/000.png,a,train", "in/x/001.png,b,train", "nope.png,a,train", "in/x/002.png,a,test"]
    data = opened(images / "a.csv", HEAD + rows(*lines), skip_corrupt=True)
    assert data.info.train_images == 2
    assert "left out 1 image" in data.notices[0]


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        (None, UsageError, "needs --data-dir: a CSV file with the columns path, label"),
        ("nowhere.csv", DataError, "nowhere.csv does not exist: with --dataset csv, --data-dir names a CSV file"),
        (".", DataError, "is a folder: with --dataset csv"),
    ],
)
def test_a_place_without_a_file(tmp_path: Path, place: str | None, error: type[NascliError], message: str):
    with pytest.raises(error, match=message):
        open_data(SearchConfig(dataset="csv", data_dir=None if place is None else tmp_path / place), device=CPU)


def test_a_file_given_as_a_folder_is_recognised(images: Path):
    (images / "a.csv").write_text(HEAD)
    with pytest.raises(DataError, match="is a file, not a folder: give --dataset csv, too"):
        open_data(SearchConfig(dataset="folder", data_dir=images / "a.csv"), device=CPU)
