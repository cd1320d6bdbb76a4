"""`nascli info --supernet`: the sizes of the six super-networks, and questions that have no answer."""

import json

import pytest


def facts(nascli, *arguments: object) -> dict:
    done = nascli("info", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("resnet-mb", 10, 26_192_922),
        ("resnet-mb-inflated", 10, 72_695_194),
        # torchvision's DenseNet-121.
        ("densenet121", 1000, 7_978_856),
    ],
)
def test_the_sizes_that_are_known_exactly(name, classes, parameters, nascli):
    assert facts(nascli, "--supernet", name, "--num-classes", classes)["parameters"] == parameters


def test_sizes_follow_the_options(nascli):
    asked = ("--supernet", "resnet-mb", "--width", 6, "--depth", 2, "--dataset", "digits")
    small = facts(nascli, *asked)
    assert (small["width"], small["stages"]) == (6, [2, 2, 2])
    assert (small["classes"], small["image_channels"], small["image_size"]) == (10, 1, 8)
    # Two branches of two 3x3 in each of six blocks; a skip of two 1x1 where channels change, behind the stem too.
    assert small["masked_convolutions"] == small["groups"] == 6 * 4 + 3 * 2
    read_by_branch = (16 + 6) + (6 + 6) + (6 + 12) + (12 + 12) + (12 + 24) + (24 + 24)
    assert small["maskable_channels"] == 2 * read_by_branch + 2 * (16 + 6 + 12)
    hundred = facts(nascli, *asked, "--num-classes", 100)
    assert hundred["parameters"] - small["parameters"] == 90 * (24 + 1)
    larger = facts(nascli, *asked, "--image-size", 16)
    assert larger["parameters"] == small["parameters"]
    classifier = 24 * 10
    assert larger["multiply_adds"] - classifier == 4 * (small["multiply_adds"] - classifier)


def test_text_shows_the_sizes(nascli):
    done = nascli("info", "--supernet", "resnet-mb")
    assert "26,192,922" in done.out
    assert "SupNet-M" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet-bm"], "unknown super-network 'resnet-bm': did you mean 'resnet-mb'?"),
        (["resnet-mb", "--dataset", "digit"], "unknown dataset 'digit': did you mean 'digits'?"),
        (["resnet-mb", "--dataset", "folder"], "only the images of 'folder' tell their shape"),
        (["densenet121", "--dataset", "digits"], "images of 8x8 are too small for densenet121, which divides a side"),
        (["resnet-mb", "--width", "-3"], "width -3 is not from 1 to 1024"),
        (["resnet-mb", "--depth", "65"], "resnet-mb has 3 stages of 1 to 64 blocks, not [65, 65, 65]"),
        (["resnet-mb", "--num-classes", "0"], "--num-classes 0 is less than 1"),
        (["resnet50-inflated", "--width", "3"], "resnet50-inflated of width 3 for images of 224x224: "),
        (["resnet-mb", "cell.json"], "--supernet takes no file and no table"),
        (["resnet-mb", "--layers", "8"], "--supernet takes no file and no table"),
    ],
)
def test_wrong_questions(arguments, message, nascli):
    done = nascli("info", "--supernet", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nascli: {message}")


def test_width_needs_a_super_network(nascli):
    done = nascli("info", "darts-v2", "--width", "8")
    assert done.code == 2
    assert "--supernet" in done.err
