"""`nascli train --from`: weights that a search has left, and what is said where they don't fit."""

import json
import os
import re
import signal
import tomllib

import pytest

from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.genotype import genotype_bytes
from nascli.artifacts.load import load_artifact
from nascli.core.engine.train import TrainJob
from tests.core.engine.kept import digits, genotype_file, mask_of, run_file

TINY = ["--epochs", 2, "--limit-train", 96, "--batch-size", 32, "-q"]
FROM = ["--from", "run.safetensors"]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A run, two genotypes of it, another run, and a run of a wider network."""
    run = run_file(digits(limit_train=96))
    return {
        "run.safetensors": distribution_bytes(run.value),
        "cell.json": genotype_bytes(genotype_file(run, mask_of(run)).value),
        "cell-2.json": genotype_bytes(genotype_file(run, mask_of(run, seed=1)).value),
        "other.safetensors": distribution_bytes(run_file(run.value.distribution.data, seed=1).value),
        "wide.safetensors": distribution_bytes(run_file(run.value.distribution.data, width=5).value),
    }


@pytest.fixture(autouse=True)
def here(files, tmp_path, monkeypatch):
    """A working folder with the files."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_tells_of_the_run_whose_weights_it_started_from(here, files, nascli):
    done = nascli("train", "cell.json", *FROM, *TINY)
    assert done.code == 0, done.err
    model = load_artifact("model.safetensors")
    assert model.provenance.config["weights"] == "inherited"
    assert model.provenance.config["recipe"] == "digits-inherited"
    assert model.provenance.made_from.provenance.made_from.sha256 == sha256(files["run.safetensors"])
    fresh = nascli("train", "cell.json", *TINY, "-o", "fresh.safetensors")
    assert fresh.code == 0, fresh.err
    assert load_artifact("fresh.safetensors").provenance.config["recipe"] == "digits"
    assert (here / "fresh.safetensors").read_bytes() != (here / "model.safetensors").read_bytes()

    evaluated = nascli("eval", "model.safetensors", "fresh.safetensors", "--json", "-q")
    assert evaluated.code == 0, evaluated.err
    one, other = json.loads(evaluated.out)["members"]
    assert one["parameters"] == other["parameters"]
    assert one["loss"] != other["loss"]


def test_an_interrupted_training_goes_on_to_the_byte(here, nascli, monkeypatch):
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", counted)
        stopped = nascli("train", "cell.json", *FROM, *TINY)
    assert (stopped.code, stopped.out) == (130, "")
    forgotten = nascli("train", "cell.json", "--resume", "-q")
    assert (forgotten.code, forgotten.out) == (2, "")
    assert re.search(r"or the run \([0-9a-f]{12}\) that cell.json was derived from, with --from", forgotten.err)
    done = nascli("train", "cell.json", *FROM, "--resume", "-q")
    assert done.code == 0, done.err
    whole = nascli("train", "cell.json", *FROM, *TINY, "-o", "whole.safetensors")
    assert whole.code == 0, whole.err
    assert (here / "whole.safetensors").read_bytes() == (here / "model.safetensors").read_bytes()
    fresh = nascli("train", "cell.json", "--resume", "-q", "--weights", "fresh")
    assert (fresh.code, "--weights" in fresh.err) == (2, True)


def test_several_genotypes_and_seeds_start_from_one_run(here, files, nascli):
    arguments = ["train", "cell.json", "cell-2.json", *TINY, "--seeds", "0,1", "--from", "-"]
    planned = nascli(*arguments, "--dry-run", stdin=files["run.safetensors"])
    assert planned.code == 0, planned.err
    assert tomllib.loads(planned.out)["weights"] == "inherited"
    done = nascli(*arguments, "--epochs", 1, stdin=files["run.safetensors"])
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 4
    alone = nascli("train", "cell-2.json", *FROM, *TINY, "--epochs", 1, "--seed", 1, "-o", "alone.safetensors")
    assert alone.code == 0, alone.err
    assert (here / "alone.safetensors").read_bytes() == (here / "model-2-seed1.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["cell.json", "--from", "other.safetensors"], 2, "was derived from another run"),
        (["cell.json", "--from", "wide.safetensors"], 2, "has weights of resnet-mb of width 5"),
        (["cell.json", "--from", "missing.safetensors"], 3, "no such file: missing.safetensors"),
        (["cell.json", "--from", "cell-2.json"], 3, "cell-2.json holds a genotype, not a distribution"),
        (["darts-v1", *FROM, "--method", "darts"], 2, "a genotype of cells, which inherit no weights"),
        (["cell.json", *FROM, "--image-size", 16], 2, "are for images of 1x8x8, not of 1x16x16"),
        (["-", "--from", "-"], 2, "'-' is given twice"),
        (["cell.json", *FROM, "--layers", 5], 2, "--layers: sizes of a network of cells"),
        (["cell.json", "--method", "darts"], 2, "if the recipe darts/digits has them, give --method pgnas"),
        (["darts-v1", "--method", "pgnas"], 2, "the recipe pgnas/digits has no layers and no channels and no stem"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_trained(arguments, code, message, here, nascli):
    before = sorted(here.iterdir())
    done = nascli("train", *arguments, *TINY)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(here.iterdir()) == before
