"""A folder of photographs, through the commands: the recipe for pictures fits a hundred of them."""

import json

import pytest

from tests.data.pictures import make_folder

SMALL = ["--layers", 3, "--channels", 4, "--epochs", 1]


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Three classes of forty JPEGs of 120x90 pixels."""
    monkeypatch.chdir(tmp_path)
    return make_folder(tmp_path / "photographs", {"a": 40, "b": 40, "c": 40}, side=(90, 120), suffix=".jpg")


def test_photographs_are_searched_and_trained_on_without_another_word(photographs, nascli):
    data = ["--dataset", "folder", "--data-dir", photographs]
    done = nascli("search", *data, *SMALL, "--nodes", 1, "--arch-warmup-epochs", 0)
    assert done.code == 0, done.err
    told = json.loads(nascli("info", "run.safetensors", "--json").out)["provenance"]["config"]
    assert (told["recipe"], told["image_size"], told["batch_size"]) == ("pictures", 88, 32)
    assert told["settings"]["stem"] == "imagenet"
    assert nascli("derive", "run.safetensors").code == 0
    done = nascli("train", "cell.json", *SMALL)  # the folder is known from the search
    assert done.code == 0, done.err
    told = json.loads(nascli("info", "model.safetensors", "--json").out)["provenance"]["config"]
    assert (told["recipe"], told["dataset"], told["stem"]) == ("pictures", "folder", "imagenet")
