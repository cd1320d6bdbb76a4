"""`nascli train --from model.safetensors`: other classes, the same size of network, the descent, resuming, mistakes."""

import json
import os
import shutil
import signal

import pytest

from nascli.artifacts.load import load_artifact
from nascli.core.engine.train import TrainJob
from tests.artifacts.examples import bytes_of, mixture
from tests.core.engine.kept import digits, mask_of, model_file, run_file
from tests.data.pictures import make_folder

CELL = "|skip_connect~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
OTHER = "|skip_connect~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
TINY = ["--epochs", 1, "--limit-train", 48, "--batch-size", 24]
PICTURES = ["--dataset", "folder", "--data-dir", "p", "--epochs", 2, "--batch-size", 4]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of digits and a few pictures of other things."""
    from nascli.cli.main import run

    folder = tmp_path_factory.mktemp("model")
    words = ["train", CELL, *map(str, TINY), "--layers", "3", "--channels", "2", "-q", "--seed", "3"]
    assert run([*words, "-o", str(folder / "model.safetensors")]) == 0
    (folder / "mixture.safetensors").write_bytes(bytes_of(mixture()))
    for part in ("train", "test"):
        make_folder(folder / "p" / part, {"a": 8, "b": 8}, side=8)
    return folder


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_network_of_a_model_learns_other_classes(here, nascli):
    done = nascli("train", "--from", "model.safetensors", *PICTURES, "-o", "b.safetensors")
    assert (done.code, done.out) == (0, "b.safetensors\n"), done.err
    assert "classifier.weight [10, 8] -> [2, 8], classifier.bias [10] -> [2]" in done.err
    assert "stem.conv.weight [2, 1, 3, 3] -> [2, 3, 3, 3]" in done.err
    first, second = (load_artifact(name) for name in ("model.safetensors", "b.safetensors"))
    assert (second.value.network.layers, second.value.network.channels) == (3, 2), "as the model, not as the recipe"
    assert second.provenance.made_from == first.provenance.made_from, "the genotype"
    assert second.provenance.weights_from.sha256 == first.sha256
    told = nascli("info", "b.safetensors").out.splitlines()[-4:]
    assert told[1].startswith(f"├─ weights of model {first.sha256[:12]}  train ")
    assert [line[:12] for line in told[2:]] == ["│  └─ genoty", "└─ genotype "]
    named = nascli("train", CELL, "--from", "model.safetensors", *PICTURES, "-o", "c.safetensors", "-q")
    assert named.code == 0, named.err
    assert (here / "b.safetensors").read_bytes() == (here / "c.safetensors").read_bytes()
    again = nascli("train", "--from", "b.safetensors", "-q", "-o", "again.safetensors", "--epochs", 1)
    assert again.code == 0, again.err
    assert load_artifact("again.safetensors").value.data.dataset == "folder"
    assert load_artifact("again.safetensors").provenance.weights_from.provenance.weights_from.sha256 == first.sha256


def test_it_is_resumed_with_its_model_and_no_other(here, nascli, monkeypatch):
    words = ["train", "--from", "model.safetensors", *PICTURES, "-q"]
    assert nascli(*words, "--seeds", "0,1", "-o", "whole.safetensors").code == 0
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == 10:  # of 8 steps each
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", counted)
        assert nascli(*words, "--seeds", "0,1", "-o", "m.safetensors").code == 130
    forgotten = nascli("train", CELL, "--seeds", "0,1", "--resume", "-o", "m.safetensors", "-q")
    assert (forgotten.code, "name the model that they are of" in forgotten.err) == (2, True)
    shutil.copy("whole-seed0.safetensors", "other.safetensors")
    given = ["train", "--resume", "--seeds", "0,1", "-o", "m.safetensors"]
    other = nascli(*given, "--from", "other.safetensors", "-q")
    assert other.code == 2
    assert "began with the weights of another file" in other.err
    resumed = nascli(*given, "--from", "model.safetensors", "-q")
    assert resumed.code == 0, resumed.err
    for seed in (0, 1):
        assert (here / f"m-seed{seed}.safetensors").read_bytes() == (
            here / f"whole-seed{seed}.safetensors"
        ).read_bytes()
    longer = nascli(*given, "--from", "model.safetensors", "--epochs", 3)
    assert longer.code == 0, longer.err
    assert longer.err.count("epochs were 2 and are 3: epoch 3 goes on") == 2
    assert {load_artifact(f"m-seed{seed}.safetensors").value.metrics["epoch"] for seed in (0, 1)} == {3}


def test_held_out_images_that_the_model_knows_are_told(here, nascli):
    words = ["train", OTHER, "--from", "model.safetensors", *TINY, "--validation", 0.25, "--dry-run"]
    done = nascli(*words)
    assert done.code == 0, done.err
    assert "has learnt from images that are held out here" in done.err
    # A convolution and its batch norm in each of the three cells: the weight, and five tensors.
    assert "new: 18 of layers that are not there; 18 have no place here" in done.err
    assert json.loads(nascli(*words, "--json").out)["config"]["layers"] == 3


def test_a_derived_model_of_channels_is_trained_on(here, nascli):
    run = run_file(digits(limit_train=48))
    model = model_file(run, mask_of(run))
    from nascli.artifacts.model import model_bytes

    (here / "slim.safetensors").write_bytes(model_bytes(model.value))
    done = nascli("train", "--from", "slim.safetensors", *PICTURES, "--epochs", 1, "-o", "b.safetensors")
    assert done.code == 0, done.err
    assert "inherited from slim.safetensors" in done.err
    assert load_artifact("b.safetensors").value.genotype == model.value.genotype
    wrong = nascli("train", CELL, "--from", "slim.safetensors", *TINY, "--method", "darts")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "leave --from out" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([CELL, "--from", "model.safetensors", "--channels", 3], 2, "nothing in model.safetensors fits this network"),
        (["--from", "mixture.safetensors"], 2, "no genotype is given"),
        (["--from", "missing.safetensors"], 3, "no such file"),
        (["--from", "model.safetensors", "-o", "model.safetensors"], 2, "is what the result is made from"),
        (["model.safetensors"], 3, "or 'nascli train --from model.safetensors'"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_trained(arguments, code, message, here, nascli):
    before = sorted(here.iterdir())
    done = nascli("train", *arguments, *TINY, *([] if "-o" in arguments else ["-o", "new.safetensors"]))
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert done.err.splitlines()[-1].startswith("nascli: ")
    assert sorted(here.iterdir()) == before
