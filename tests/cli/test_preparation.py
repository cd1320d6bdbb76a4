"""How pictures become what a network sees: --fit, --background and --flip, from the training to `eval`."""

import json

import numpy as np
import pytest
from PIL import Image

from nascli.artifacts.load import load_artifact
from nascli.config import SearchConfig
from nascli.data import Augmentation, open_data
from nascli.errors import UsageError
from tests.data.pictures import CPU, make_folder, noise, save
from tests.small_cells import SMALL_CELL

TRAIN = ["train", SMALL_CELL, "--dataset", "folder", "--data-dir", "p", "--layers", 3, "--channels", 2, "--epochs", 1]
SMALL = [*TRAIN, "--batch-size", 8, "--auxiliary", 0]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(root, **options):
    data = open_data(SearchConfig(dataset="folder", data_dir=root, **options), device=CPU)
    ((batch, labels),) = data.batches(None, 1000)
    return data, batch, labels


def wide(root, width=60, height=20):
    """The class at the left end, noise elsewhere, as in a picture of a shelf."""
    for label, name in enumerate("ab"):
        for index in range(20):
            pixels = noise(100 * label + index, height, width)
            pixels[:, : width // 5] = 250 * label
            save(root / name / f"{index}.png", pixels)


@pytest.mark.parametrize(("options", "seen"), [({}, True), ({"fit": "pad"}, True), ({"fit": "crop"}, False)])
def test_wide_pictures_keep_their_ends_unless_cut(here, options, seen):
    wide(here / "p")
    data, batch, labels = images(here / "p", **options)
    assert data.info.fit == options.get("fit", "squash")
    assert data.info.image_size == 20
    left = batch[:, :, 10, 1].mean(dim=1)
    gap = left[labels == 1].min() - left[labels == 0].max()
    assert bool(gap > 1) is seen
    told = "the median picture is 3.0 times as long as wide: pictures are squashed to squares"
    assert any(told in notice for notice in data.notices) is (not options)


@pytest.mark.parametrize(("height", "width", "fit"), [(20, 39, "crop"), (20, 41, "squash"), (41, 20, "squash")])
def test_a_proportion_above_two_is_squashed(here, height, width, fit):
    make_folder(here / "p", {"a": 5, "b": 5}, side=(height, width))
    assert images(here / "p")[0].info.fit == fit


def test_black_icons_on_nothing_are_seen_on_white(here):
    for label, name in enumerate("ab"):
        for index in range(10):
            alpha = np.zeros((8, 8), np.uint8)
            alpha[:, 4 * label : 4 * label + 4] = 255
            icon = Image.merge("RGBA", [Image.new("L", (8, 8))] * 3 + [Image.fromarray(alpha)])
            (here / "p" / name).mkdir(parents=True, exist_ok=True)
            icon.save(here / "p" / name / f"{index}.png")
    _, batch, labels = images(here / "p")
    assert (batch[labels == 0] != batch[labels == 1]).any()
    _, black, _ = images(here / "p", background="black")
    assert black.unique().numel() == 1, "black on black"
    data, _, _ = images(here / "p", background="#ff0000")
    assert (data.info.channels, data.info.background) == (3, "#ff0000")
    with pytest.raises(UsageError, match="^--background 'whiet' is no colour: give a name such as white, or #rrggbb$"):
        images(here / "p", background="whiet")


def test_the_model_knows_how_it_sees_pictures(here, nascli):
    wide(here / "p")
    for fit in ("pad", "squash", "crop"):
        done = nascli(*SMALL, "--fit", fit, "--background", "#102030", "-o", f"{fit}.safetensors", "-q")
        assert done.code == 0, done.err
        data = load_artifact(f"{fit}.safetensors").value.data
        assert (data.fit, data.background) == (fit, "#102030")
    told = {fit: json.loads(nascli("eval", f"{fit}.safetensors", "--json").out)["loss"] for fit in ("pad", "crop")}
    assert told["pad"] != told["crop"]
    pad = load_artifact("pad.safetensors").value.data
    seen = open_data(SearchConfig(dataset="folder", data_dir=here / "p"), device=CPU, like=pad)
    own = open_data(SearchConfig(dataset="folder", data_dir=here / "p", fit="pad", background="#102030"), device=CPU)
    for one, other in zip(seen.test_batches(4), own.test_batches(4), strict=True):
        assert (one[0] == other[0]).all()
    refused = nascli("eval", "pad.safetensors", "--fit", "crop")
    assert refused.code == 2


@pytest.mark.parametrize(("words", "flipped"), [([], True), (["--no-flip"], False)])
def test_mirroring_can_be_left_out(here, nascli, monkeypatch, words, flipped):
    make_folder(here / "p", {"left": 10, "right": 10}, side=8)
    seen = []
    original = Augmentation.for_dataset

    def spied(*arguments, **options):
        seen.append(original(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(Augmentation, "for_dataset", spied)
    assert nascli(*SMALL, *words, "-q").code == 0
    search = ["search", "--dataset", "folder", "--data-dir", "p", "--epochs", 1, "--batch-size", 4, "--layers", 3]
    assert nascli(*search, "--channels", 4, "--nodes", 1, *words, "-q").code == 0
    assert {one.flip for one in seen} == {flipped}
    assert len(seen) >= 2


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_large_pictures_are_prepared_alike(here, fit):
    """Read by workers, picture by picture: for the training by random windows, for the test as a whole."""
    wide(here / "p", width=240, height=90)
    data, batch, labels = images(here / "p", fit=fit)
    assert batch.shape[1:] == (3, 88, 88)
    left = batch[:, :, 44, 2].mean(dim=1)
    assert bool(left[labels == 1].min() - left[labels == 0].max() > 1) is (fit != "crop")
    stream = data.stream(np.arange(8), 8, seed=0, name="t", augmentation=Augmentation(resized_crop=True))
    assert stream.next()[0].shape == (8, 3, 88, 88)
