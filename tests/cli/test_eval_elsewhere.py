"""`eval` on pictures other than those of the training: which of them count, and what is said of it."""

import json
import shutil

import pytest

from nascli.config import EvalConfig
from nascli.data.sources.folders import labelled_folder, read_folder
from tests.data.pictures import make_folder, noise, save
from tests.small_cells import SMALL_CELL

TRAIN = [
    "train",
    SMALL_CELL,
    "--dataset",
    "folder",
    "--data-dir",
    "p",
    "--layers",
    3,
    "--channels",
    2,
    "--auxiliary",
    0,
]


@pytest.fixture
def here(tmp_path, monkeypatch, nascli):
    """A model that was trained on three classes of twenty pictures each, four of them held out."""
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "p", {"a": 20, "b": 20, "c": 20}, side=8)
    assert nascli(*TRAIN, "--epochs", 1, "--batch-size", 8, "-q").code == 0
    return tmp_path


def test_which_pictures_count(here, nascli):
    def evaluated(*words):
        done = nascli("eval", "model.safetensors", *words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)["images"], done.err

    def elsewhere(layout):
        shutil.rmtree(here / "q", ignore_errors=True)
        make_folder(here / "q", layout, side=8)
        return evaluated("--data-dir", "q")

    assert evaluated() == (12, ""), "the fifth that was held out"
    shutil.copytree("p", "copy")
    assert evaluated("--data-dir", "copy")[0] == 12, "the same pictures in another place"
    count, told = elsewhere({"a": 5, "b": 6, "c": 7})
    assert count == 18
    assert told == "note: all 18 images of q count; if the model was trained on some of them, their accuracy flatters\n"
    count, told = elsewhere({"test/a": 3, "test/b": 3, "test/c": 3})
    assert (count, told) == (9, "note: q has no training images: all 9 of test/ count\n")
    assert elsewhere({"train/a": 2, "train/b": 2, "test/a": 3, "test/b": 3})[0] == 6
    count, told = elsewhere({"a": 4, "b": 5})
    assert count == 9
    assert "note: no image is of 1 of the 3 classes: 'c'\n" in told
    count, told = elsewhere({"b": 4})
    assert count == 4
    assert "note: no image is of 2 of the 3 classes: 'a', 'c'\n" in told
    make_folder(here / "q", {"strange": 3}, side=8)
    refused = nascli("eval", "model.safetensors", "--data-dir", "q")
    assert (refused.code, refused.out) == (4, "")
    assert "1 of 2 classes that the model does not know, 'strange' for one" in refused.err


def test_a_grown_training_folder_is_told(here, nascli):
    for index in range(10):
        save(here / "p" / "a" / f"new{index}.png", noise(index, 8, 8))
    done = nascli("eval", "model.safetensors", "--json")
    assert done.code == 0
    images = json.loads(done.out)["images"]
    assert images == 14, "a fifth of seventy"
    assert done.err == (
        "note: p has changed since the training: among the 14 images that count, a fifth of each class, may be some "
        "that the model was trained on\n"
    )


def test_a_part_of_the_training_folder_is_told(tmp_path):
    """Asked for by itself, the training part has another fingerprint than the whole."""
    make_folder(tmp_path / "p", {"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2}, side=8)
    whole = read_folder(tmp_path / "p").fingerprint
    config = EvalConfig(dataset="folder", data_dir=tmp_path / "p" / "train")
    (told,) = labelled_folder(config, whole, tmp_path / "p").notices
    assert told == (
        f"all 8 images of {tmp_path / 'p' / 'train'} count; they lie in {tmp_path / 'p'}, whose images the model was "
        "trained on, and may be among these"
    )
