"""`nascli finetune` of a mixture: on other images, in the network that will be trained, from the same alpha."""

import json
from pathlib import Path

import pytest

from nascli.artifacts.load import load_artifact
from tests.data.pictures import make_folder

TINY = ["--epochs", 1, "--layers", 3, "--channels", 4, "--nodes", 1, "--batch-size", 16, "-q"]


_SEARCHED: dict[str, bytes] = {}


def searched(nascli, name, *words):
    """A file in the working folder with the result of a search, which is run once."""
    if name not in _SEARCHED:
        done = nascli("search", *words, "-o", name)
        assert done.code == 0, done.err
        _SEARCHED[name] = Path(name).read_bytes()
    Path(name).write_bytes(_SEARCHED[name])


@pytest.fixture
def digits(tmp_path, monkeypatch, nascli):
    """A working folder with the result of a search by DARTS on grey digits of 8x8, 10 classes."""
    monkeypatch.chdir(tmp_path)
    searched(nascli, "digits.st", "--method", "darts", "--limit-train", 100, "--arch-lr", 0.1, "--order", 2, *TINY)
    return tmp_path


def test_colour_pictures_of_three_classes_start_from_the_digits_alpha(digits, nascli):
    make_folder(digits / "pictures", {"a": 16, "b": 16, "c": 16}, side=32)
    elsewhere = ["--dataset", "folder", "--data-dir", "pictures", "--cutout", 8, "--auxiliary", 0.4]
    done = nascli("finetune", "digits.st", *elsewhere, "--arch-lr", 0, *TINY, "-o", "stood.st")
    assert done.code == 0, done.err
    start, stood = (load_artifact(name).value.distribution for name in ("digits.st", "stood.st"))
    for cell in ("normal", "reduce"):
        assert (stood.alpha[cell] == start.alpha[cell]).all()
        assert abs(start.alpha[cell]).max() > 0.02  # it had moved: a start is a thousandth of a normal draw
    told = load_artifact("stood.st").provenance
    assert (told.data.dataset, told.data.train_images) == ("folder", 39)  # the rest is held out as the test images
    assert (told.config["method"], told.config["settings"]["auxiliary"], told.config["settings"]["order"]) == (
        "darts",
        0.4,
        1,
    )

    moved = nascli("finetune", "digits.st", *elsewhere[:-2], "--arch-lr", 0.1, *TINY, "-o", "moved.st")
    assert moved.code == 0, moved.err
    gone_on = load_artifact("moved.st").value.distribution
    assert (gone_on.alpha["normal"] != start.alpha["normal"]).any()
    assert json.loads(nascli("derive", "moved.st", "--json").out)["artifact"] == "genotype"


def test_what_is_not_carried_over_is_said(digits, nascli):
    loud = [word for word in TINY if word != "-q"]
    done = nascli(
        "finetune", "digits.st", "--method", "pc-darts", "--limit-train", 100, "--partial-channels", 2,
        "--auxiliary", 0.4, *loud, "-o", "tuned.st",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "no weights of edges (beta): they start anew" in done.err
    assert "searched without an auxiliary tower: the auxiliary tower needs images of 29 to 40 pixels" in done.err


def test_there_is_no_third_order(digits, nascli):
    done = nascli("search", "--method", "darts", "--order", 3, *TINY, "-o", "no.st")
    assert (done.code, done.out) == (2, "")
    assert "order" in done.err
    assert len(done.err.splitlines()) == 1


SUPERNET = ["--method", "pgnas", "--width", 3, "--depth", 1, "--limit-train", 120]
SHORT = ["--epochs", 1, "--batch-size", 16, "-q"]


@pytest.fixture
def posterior(tmp_path, monkeypatch, nascli):
    """A working folder with the result of a search by PGNAS on 120 digits."""
    monkeypatch.chdir(tmp_path)
    searched(nascli, "run.st", *SUPERNET, "--seed", 3, "--held-out", 0.2, *SHORT)
    return tmp_path


def test_a_posterior_goes_on_with_its_weights_and_holds_out_the_same_images(posterior, nascli):
    """At a rate of zero nothing but the running statistics moves."""
    done = nascli("finetune", "run.st", "--lr", 0, *SHORT, "-o", "stood.st")
    assert done.code == 0, done.err
    start, stood = (load_artifact(name).value.distribution for name in ("run.st", "stood.st"))
    for name, values in start.weights.items():
        assert (stood.weights[name] == values).all() or "running" in name or "num_batches" in name
    assert all((stood.logits[name] == values).all() for name, values in start.logits.items())
    told = load_artifact("stood.st").provenance.config
    assert (told["seed"], told["limit_train"], told["settings"]["held_out"]) == (3, 120, 0.2)
    assert (told["settings"]["width"], told["settings"]["depth"]) == (3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", 4], "keep the same ones apart with --seed 3 (here 4)"),
        (["--held-out", 0.3], "keep the same ones apart with --held-out 0.2 (here 0.3)"),
        (["--limit-train", 100], "keep the same ones apart with --limit-train 120 (here 100)"),
        (["--width", 4], "is of width 3, this search of width 4: give --width 3"),
        (["--method", "parsec", "--layers", 3, "--channels", 4], "give --method pgnas"),
        (
            ["--method", "random", "--layers", 3, "--channels", 4, "--trials", 1],
            "random goes on with a random search or a categorical, not with a posterior: give --method pgnas",
        ),
    ],
)
def test_a_posterior_is_not_mixed_with_another_search(posterior, nascli, options, message):
    done = nascli("finetune", "run.st", *options, *SHORT, "-o", "no.st")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_posterior_goes_on_with_other_images_of_the_same_shape(posterior, nascli):
    make_folder(posterior / "pictures", {str(k): 12 for k in range(10)}, side=8, channels=1)
    elsewhere = ["--dataset", "folder", "--data-dir", "pictures", "--recipe", "digits"]
    done = nascli("finetune", "run.st", *elsewhere, *SHORT, "-o", "tuned.st")
    assert done.code == 0, done.err
    told = load_artifact("tuned.st").provenance
    assert (told.data.dataset, told.config["limit_train"]) == ("folder", None)
