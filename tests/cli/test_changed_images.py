"""What happens where images are no longer those that a stage began with."""

import os
import shutil
import signal

import pytest

from nascli.core.engine.ranking.score_cells import CellScorer
from nascli.core.engine.search import SearchJob
from nascli.core.engine.train import TrainJob
from tests.data.pictures import make_folder, noise, save
from tests.small_cells import SMALL_CELL

TINY = ["--layers", 3, "--channels", 2, "--epochs", 1, "--batch-size", 8, "-q"]
SEARCH = ["search", "--method", "spos", "--space", "nas-bench-201", "--dataset", "folder", "--data-dir", "p", *TINY]
TRAIN = ["train", SMALL_CELL, "--dataset", "folder", "--data-dir", "p", "--auxiliary", 0, *TINY]
DERIVE = ["derive", "run.safetensors", "--candidates", 3, "-q"]

COMMANDS = {
    "search": (SEARCH, SearchJob, "step", "run.run"),
    "train": (TRAIN, TrainJob, "step", "model.run"),
    "derive": (DERIVE, CellScorer, "scores", "cell.ranking"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "p", {"a": 20, "b": 20, "c": 20}, side=8)
    return tmp_path


def rename(folder):
    (folder / "a").rename(folder / "z")


def add_picture(folder):
    save(folder / "a" / "new.png", noise(1, 8, 8))


def replace_picture(folder):
    save(folder / "a" / "000.png", noise(1, 8, 8))


def add_class(folder):
    shutil.copytree(folder / "b", folder / "d")


CHANGES = {
    rename: "missing: class 'a', new: class 'z'",
    add_picture: "48 training images then, 49 now",
    add_class: "new: class 'd', 48 training images then, 64 now",
    replace_picture: "other files, or other images in them",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_does_not_go_on_with_other_images(command, here, nascli, monkeypatch):
    words, stopped, method, folder = COMMANDS[command]
    if command == "derive":
        assert nascli(*SEARCH).code == 0
    with monkeypatch.context() as patched:
        original = getattr(stopped, method)

        def interrupted(*arguments, **options):
            os.kill(os.getpid(), signal.SIGINT)
            return original(*arguments, **options)

        patched.setattr(stopped, method, interrupted)
        assert nascli(*words).code == 130
    before = {path: path.read_bytes() for path in (here / folder).iterdir()}
    shutil.copytree("p", "kept")
    for change, told in CHANGES.items() if command == "search" else [*CHANGES.items()][-1:]:  # told by one function
        change(here / "p")
        refused = nascli(*words, "--resume")
        assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)
        assert told in refused.err
        if command != "derive":  # which asks for the images of the search, whether it is resumed or not
            said = f"nascli: cannot resume {folder}: the images are not those that it began with ({told}); "
            assert said in refused.err
        assert {path: path.read_bytes() for path in (here / folder).iterdir()} == before
        shutil.rmtree("p")
        shutil.copytree("kept", "p")
    assert nascli(*words, "--resume").code == 0


def test_a_training_on_images_that_have_changed_since_the_search_says_so(here, nascli):
    assert nascli(*SEARCH).code == 0
    assert nascli("derive", "run.safetensors", "--candidates", 2, "-q").code == 0
    train = ["train", "cell.json", *TINY[:-1], "--overwrite"]
    said = "note: the images have changed since the search (48 training images then, 49 now)\n"
    assert said not in nascli(*train).err
    add_picture(here / "p")
    assert said in nascli(*train).err
    shutil.copytree("p", "elsewhere")
    assert "have changed" not in nascli(*train, "--data-dir", "elsewhere").err, "other images are no change"


def test_another_spelling_of_a_folder_is_the_same_folder(here, nascli, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert nascli(*TRAIN, "-o", "m.safetensors").code == 0
    add_picture(here / "p")
    (here / "link").symlink_to(here / "p")
    seen = set()
    for place in ("p", here / "p", "./p/../p", "link", "~/p"):
        done = nascli("eval", "m.safetensors", "--data-dir", place)
        assert done.code == 0, done.err
        assert "has changed since the training" in done.err
        seen.add("".join(line for line in done.out.splitlines() if "images/s" not in line))
    assert len(seen) == 1
