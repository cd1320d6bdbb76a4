"""Detectors on the command line: from a cell and annotated pictures to boxes, and what goes wrong on the way."""

import json

import pytest
from PIL import Image

from tests.data.scenes.folders import changed, simple
from tests.small_cells import SMALL_CELL

TINY = ["--layers", 3, "--channels", 2, "--image-size", 32, "--extra-channels", 4, "--workers", 0, "--device", "cpu"]
TRAIN = ["train", SMALL_CELL, "--task", "detect", "--dataset", "coco", "--data-dir", "data", *TINY, "--batch-size", 2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simple(tmp_path / "data")
    return tmp_path


def test_from_a_cell_to_boxes(here, nascli):
    done = nascli(*TRAIN, "--epochs", 1, "-o", "d.safetensors")
    assert (done.code, done.out) == (0, "d.safetensors\n"), done.err
    assert "strides 16 and 32" in done.err
    assert "classes " in done.err  # the losses of the epoch
    assert (here / "d.run" / "checkpoint.safetensors").exists()

    # By the file alone: it knows its data set and folder.
    evaluated = nascli("eval", "d.safetensors", "--json", "-q")
    figures = json.loads(evaluated.out)
    assert (figures["dataset"], figures["images"], figures["boxes"]) == ("coco", 3, 2)
    assert 0 <= figures["ap"] <= figures["ap50"] <= 1
    assert set(figures["per_class"]) == {"square", "bar"}
    assert "AP50" in nascli("eval", "d.safetensors", "-q").out

    told = nascli("info", "d.safetensors").out
    assert "d.safetensors: detector" in told
    sizes = json.loads(nascli("info", "d.safetensors", "--json").out)
    assert sizes["multiply_adds"] == figures["multiply_adds"] > sizes["backbone"]["multiply_adds"]
    assert [one["side"] for one in sizes["maps"]] == [2, 1]

    (here / "broken.png").write_bytes(b"no picture")
    found = nascli(
        "predict", "d.safetensors", "data/test", "broken.png", "--json", "--score", 0, "--draw", "drawn", "-q"
    )
    assert found.code == 4
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert [row["path"] for row in rows] == ["data/test/50.png", "data/test/51.png", "data/test/52.png", "broken.png"]
    assert "error" in rows[3]
    for box in rows[0]["boxes"]:
        left, top, right, bottom = box["box"]
        assert 0 <= left <= right <= 32
        assert 0 <= top <= bottom <= 32
        assert box["class"] in ("square", "bar")
        assert 0 <= box["score"] <= 1
    assert rows[0]["boxes"]
    assert sorted(path.name for path in (here / "drawn").iterdir()) == ["50.png", "51.png", "52.png"]
    assert [row.get("drawing") for row in rows] == ["drawn/50.png", "drawn/51.png", "drawn/52.png", None]
    (here / "more").mkdir()
    (here / "more" / "50.png").write_bytes((here / "data" / "test" / "50.png").read_bytes())
    pictures = ("data/test/50.png", "more/50.png")
    same = nascli("predict", "d.safetensors", *pictures, "--json", "--draw", "deep/drawn", "-q")
    assert [json.loads(line)["drawing"] for line in same.out.splitlines()] == [
        "deep/drawn/50.png",
        "deep/drawn/50-2.png",
    ]
    for impossible in ("/proc/drawn", "/proc"):  # told before any picture is looked at
        refused = nascli("predict", "d.safetensors", *pictures, "--draw", impossible)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert refused.err.startswith(f"nascli: {impossible} cannot be written: ")
    with Image.open(here / "drawn" / "50.png") as drawing:
        assert min(drawing.size) >= 320  # small pictures are enlarged
    again = nascli("predict", "d.safetensors", "data/test", "--draw", "drawn")
    assert (again.code, again.err) == (
        2,
        "nascli: drawn/50.png exists: replace it with --overwrite, or name another folder for --draw\n",
    )
    listed = nascli("predict", "d.safetensors", "-", "-q", "--score", 0, stdin=b"data/test/50.png\n")
    assert listed.out.splitlines()[0].endswith("data/test/50.png")
    none = nascli("predict", "d.safetensors", "data/test/50.png", "-q", "--score", 1)
    assert none.out.split() == ["-", "data/test/50.png"]

    resumed = nascli("train", "--task", "detect", "--resume", "-o", "d.safetensors")
    assert (resumed.code, resumed.err) == (0, "note: this run is complete: nothing to resume\n")
    for place, told in (("./data/../data", ""), ("other", "; those in other are not read")):
        elsewhere = nascli("train", "--resume", "--data-dir", place, "-o", "d.safetensors")
        assert (elsewhere.code, elsewhere.out) == (0, "d.safetensors\n")
        told = f". It was made with the images in data{told}" if told else ""
        assert elsewhere.err == f"note: this run is complete: nothing to resume{told}\n"

    # The task is in the run's folder, as genotype and settings are, also where the result is missing.
    result = (here / "d.safetensors").read_bytes()
    (here / "d.safetensors").unlink()
    alone = nascli("train", "--resume", "-q", "-o", "d.safetensors")
    assert (alone.code, alone.out, alone.err) == (0, "d.safetensors\n", "")
    assert (here / "d.safetensors").read_bytes() == result
    mistaken = nascli("train", "--task", "classify", "--resume", "-o", "d.safetensors")
    assert (mistaken.code, mistaken.err) == (
        2,
        "nascli: d.run holds a training with --task detect: leave --task classify out\n",
    )

    (here / "m.run").mkdir()
    (here / "m.run" / "config.json").write_text('{"stage": "train", "config": {}}')
    mistaken = nascli("train", "--task", "detect", "--resume", "-o", "m.safetensors")
    assert (mistaken.code, mistaken.err) == (
        2,
        "nascli: m.run holds a training with --task classify: leave --task detect out\n",
    )

    # Where a classifier, or something to search with, is wanted.
    model = "d.safetensors holds a detector, not a model: it finds boxes; classes come from a model of 'nascli train' "
    for words, told in (
        (["export", "d.safetensors", "-o", "d.onnx"], model),
        (["eval", "d.safetensors", "d.safetensors"], model),
        (["derive", "d.safetensors"], "d.safetensors holds a detector, not a distribution: make one with"),
        (["finetune", "d.safetensors"], "d.safetensors holds a detector, not a distribution: make one with"),
        (["train", "d.safetensors"], "d.safetensors holds a detector, not a genotype: give the one that"),
        ([*TRAIN, "--from", "d.safetensors"], "d.safetensors holds a detector, not a distribution or a model"),
    ):
        refused = nascli(*words)
        assert refused.code == 3, words
        assert refused.err.startswith(f"nascli: {told}"), refused.err
        assert refused.err.count("\n") == 1
    for words, told in (
        (["eval", "d.safetensors", "--dataset", "digits"], "digits has no boxes: a detector takes --dataset coco or"),
        (["eval", "d.safetensors", "--errors", "e.csv"], "--errors lists wrong classes"),
        (["predict", "d.safetensors", "data", "--top", 2], "--top counts classes"),
        (["predict", "d.safetensors", "data", "--csv", "x.csv"], "--csv has a row for a picture"),
        ([*TRAIN, "-o", "d.safetensors"], "d.safetensors"),
    ):
        refused = nascli(*words)
        assert refused.code == 2, words
        assert told in refused.err
        assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--dataset", "digits"], 2, "digits has no boxes: a detector takes --dataset coco or digits-scenes"),
        (["--dataset", "coc"], 2, "did you mean 'coco'"),
        (["--cutout", 3], 2, "--cutout: for classifiers only; leave it out with --task detect"),
        (["--seeds", "0,1"], 2, "detectors are trained one at a time"),
        (["nasnet-a"], 2, "detectors are trained one at a time"),
        (["--anchor-min", 0.9, "--anchor-max", 0.5], 2, "--anchor-min 0.9 is not below --anchor-max 0.5"),
        (["--fit", "crop"], 2, "a detector sees pictures squashed to squares"),
        (["--compile"], 2, "detectors are neither compiled nor captured"),
        (["--data-dir", "nowhere"], 4, "nowhere does not exist: it should hold train/"),
        (["--batch-size", 1], 2, "batches of one image: a map of this network has one pixel"),
        (["--batch-size", 1, "--dry-run"], 2, "batches of one image: a map of this network has one pixel"),
        (["--image-size", 16], 2, "images of 16x16 are too small"),
        (["--from", "pc-darts-cifar10"], 3, "holds a genotype"),
        (["--task", "detct"], 2, "unknown --task 'detct': did you mean 'detect'?"),
    ],
)
def test_what_does_not_go_together_is_one_line(here, nascli, words, code, told):
    done = nascli(*TRAIN, "--epochs", 1, *words, "-o", "d.safetensors")
    assert done.code == code, done.err
    assert told in done.err
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == ["data"]


def test_bad_annotations_end_a_training_before_it_writes_anything(here, nascli):
    changed(here / "data", lambda it: it["annotations"][0].update(bbox=[3, 3, 0, 4]))
    done = nascli(*TRAIN, "--epochs", 1, "-o", "d.safetensors")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "the box [3, 3, 0, 4] of 0.png has no area: correct the file, or leave such boxes out with" in done.err
    assert sorted(path.name for path in here.iterdir()) == ["data"]


def test_a_picture_that_breaks_later_ends_the_training_in_one_line(here, nascli):
    picture = here / "data" / "train" / "3.png"
    picture.write_bytes(picture.read_bytes()[:200])
    done = nascli(*TRAIN, "--epochs", 1, "-q", "-o", "d.safetensors")
    assert done.code == 4
    assert "cannot read" in done.err
    assert "3.png" in done.err
    assert done.err.count("\n") == 1


def test_classifiers_are_told_of_tasks_too(here, nascli):
    wrong = nascli("predict", "darts-v2", "data/test")
    assert (wrong.code, wrong.err.count("\n")) == (3, 1)
    assert "darts-v2 holds a genotype, not a model: make one with 'nascli train darts-v2'" in wrong.err
    for words, told in (
        (["train", "darts-v2", "--dataset", "coco"], "coco has boxes, not one class for each picture: it is for"),
        (["search", "--dataset", "digits-scenes"], "digits-scenes has boxes, not one class"),
        (["train", "darts-v2", "--augmentation", "ssd"], "--augmentation: for detectors only; give --task detect, too"),
    ):
        done = nascli(*words)
        assert done.code == 2
        assert told in done.err
    assert {"coco", "digits-scenes"} <= {row["name"] for row in json.loads(nascli("list", "datasets", "--json").out)}
    assert "detect" in nascli("list", "recipes").out


def test_the_size_of_a_detector_before_any_training(here, nascli):
    facts = json.loads(nascli("info", "pc-darts-imagenet", "--task", "detect", "--json").out)
    assert facts["dataset"] == "coco"
    assert facts["settings"]["classes"] == 80
    assert round(facts["backbone"]["multiply_adds"] / 1e9, 1) == 1.2
    more = json.loads(nascli("info", "pc-darts-imagenet", "--task", "detect", "--num-classes", 90, "--json").out)
    # Ten classes more, on each default box of each map.
    weights = sum(one["channels"] * 6 * 10 * one["side"] ** 2 for one in facts["maps"])
    assert more["multiply_adds"] - facts["multiply_adds"] == weights
    assert nascli("info", "--task", "detect", "--supernet", "enas").code == 2
    wrong = nascli("info", "pc-darts-imagenet", "--task", "detect", "--dataset", "cifar10")
    assert (wrong.code, wrong.err) == (
        2,
        "nascli: cifar10 has no boxes: a detector takes --dataset coco or digits-scenes\n",
    )
    plan = nascli(*TRAIN, "--dry-run", "--json", "-q")
    assert json.loads(plan.out)["backbone"]["parameters"] > 0
    assert sorted(path.name for path in here.iterdir()) == ["data"]
