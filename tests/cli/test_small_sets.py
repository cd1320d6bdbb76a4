"""Few pictures: a batch that fits, and statistics that do not lag behind the weights."""

import pytest
import torch

import nascli as package
from nascli.artifacts.load import load_artifact
from nascli.config import SearchConfig, TrainConfig, fitting_batch
from nascli.core.engine import train as engine
from nascli.data import open_data
from tests.data.pictures import CPU, make_folder
from tests.small_cells import SMALL_CELL

SMALL = ["--layers", 3, "--channels", 2, "--auxiliary", 0, "--epochs", 2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Seventy-two pictures, of which 57 are to train on."""
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "p", {"a": 24, "b": 24, "c": 24}, side=8)
    return tmp_path


@pytest.mark.parametrize(
    ("images", "batch", "share", "expected"),
    [(57, 64, 0.5, 8), (57, 64, 1, 16), (200, 64, 0.5, 64), (128, 64, 0.5, 64), (127, 64, 0.5, 16), (3, 64, 0.5, 2)],
)
def test_a_batch_of_at_most_half_of_a_part(images, batch, share, expected):
    config = TrainConfig(batch_size=batch)
    if share < 1:
        config = SearchConfig(batch_size=batch, train_fraction=share, search_fraction=share)
    assert fitting_batch(int(images * config.smallest_share), batch) == expected


def test_a_recipe_whose_batch_is_too_large_is_told_of(nascli):
    told = nascli("train", SMALL_CELL, "--dataset", "folder", "--data-dir", "p", *SMALL)
    assert told.code == 0, told.err
    assert (
        "note: batches of 16 images: the recipe's 128 are more than the smallest part of the images, 57\n" in told.err
    )
    assert load_artifact("model.safetensors").provenance.config["batch_size"] == 16
    search = [
        "search",
        "--dataset",
        "folder",
        "--data-dir",
        "p",
        "--nodes",
        1,
        "--layers",
        3,
        "--channels",
        4,
        "--epochs",
        1,
    ]
    told = nascli(*search)
    assert told.code == 0, told.err
    assert "note: batches of 8 images: the recipe's 256 are more than the smallest part of the images, 28\n" in told.err
    for words in (["--batch-size", 8, "-o", "own.safetensors"], ["--resume"]):
        again = nascli(*search, *words)
        assert again.code == 0, again.err
        assert "batches of" not in again.err, "it was asked for, or there is nothing left to do"
    refused = nascli(*search, "--batch-size", 64, "-o", "other.safetensors")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "batch 64 is more than the 29 images" in refused.err


def test_after_few_steps_batch_norms_have_the_statistics_of_the_training_images(nascli, monkeypatch):
    words = ["train", SMALL_CELL, "--dataset", "folder", "--data-dir", "p", *SMALL, "--batch-size", 19]
    told = nascli(*words)
    assert "the recipe's" not in told.err, "a batch that was asked for is no news"
    assert "after 6 steps the running statistics of batch norms lag behind the weights" in told.err
    model = load_artifact("model.safetensors")
    network = package.load_network(model)
    data = open_data(TrainConfig(dataset="folder", data_dir="p"), device=CPU)
    images = torch.cat([batch for batch, _ in data.batches(None, 19)])
    with torch.inference_mode():
        maps = network.stem.conv(images).transpose(0, 1).flatten(1)  # three equal batches: their mean is that of all
    norm = network.stem.norm
    assert norm.num_batches_tracked == 3
    torch.testing.assert_close(norm.running_mean, maps.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, maps.var(1), rtol=0.1, atol=1e-3)
    monkeypatch.setattr(engine, "FEW_STEPS", 6)
    assert "lag behind" not in nascli(*words, "-o", "other.safetensors").err
