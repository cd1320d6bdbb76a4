"""`nascli predict`: the forms of its answers, and what it reads."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.data.pictures import make_folder
from tests.small_cells import SMALL_CELL

TINY = ["--epochs", 1, "--limit-train", 96, "--batch-size", 32, "--layers", 3, "--channels", 2, "-q"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nascli.cli.main import run

    output = tmp_path_factory.mktemp("models") / "model.safetensors"
    assert run([str(argument) for argument in ["train", SMALL_CELL, *TINY, "-o", output]]) == 0
    return output


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "in", {"a": 2, "b b": 1}, side=8)
    return ["in/a/000.png", "in/a/001.png", "in/b b/000.png"]


def test_a_line_for_every_picture_in_three_forms(model, pictures, nascli):
    done = nascli("predict", model, "in", "--top", 2, "--json", "-q")
    assert (done.code, done.err) == (0, "")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["path"] for row in rows] == pictures
    assert all(row.keys() == {"path", "classes", "probabilities"} and len(row["classes"]) == 2 for row in rows)

    lines = nascli("predict", model, "in", "--top", 2, "-q").out.splitlines()
    expected = [
        "  ".join(f"{name} {share:7.2%}" for name, share in zip(row["classes"], row["probabilities"], strict=True))
        for row in rows
    ]
    assert lines == [f"{text}  {row['path']}" for text, row in zip(expected, rows, strict=True)]

    done = nascli("predict", model, "in", "--top", 2, "--csv", "out.csv", "-q")
    assert done.out == "out.csv\n"
    table = list(csv.DictReader(io.StringIO(Path("out.csv").read_text())))
    assert [list(row.values()) for row in table] == [
        [row["path"], *(str(x) for pair in zip(row["classes"], row["probabilities"], strict=True) for x in pair)]
        for row in rows
    ]
    assert list(table[0]) == ["path", "class", "probability", "class_2", "probability_2"]
    assert nascli("predict", model, "in", "--csv", "out.csv").code == 2
    assert nascli("predict", model, "in", "--csv", "-", "-q").out.splitlines()[0] == "path,class,probability"


@pytest.mark.parametrize(("end", "folder"), [("\n", "in\nin/a\n"), ("\r\n", ""), ("\0", "in\0")])
def test_paths_come_from_standard_input_as_find_prints_them(model, pictures, nascli, end, folder):
    given = folder + end.join(pictures) + end
    done = nascli("predict", model, "-", "--json", stdin=given.encode())
    assert [json.loads(line)["path"] for line in done.out.splitlines()] == pictures


def test_unreadable_pictures_are_reported_and_the_rest_goes_on(model, pictures, nascli):
    Path("in/a/001.png").write_bytes(b"no picture")
    done = nascli("predict", model, "in", "nowhere.png", "-q", "--csv", "-")
    assert done.code == 4
    rows = [line.split(",") for line in done.out.splitlines()[1:]]
    assert [bool(row[1]) for row in rows] == [True, False, True, False]
    assert done.err.splitlines() == [
        "cannot read in/a/001.png: not an image that Pillow knows",
        "cannot read nowhere.png: No such file or directory",
        "nascli: 2 of 4 pictures cannot be read, as told above",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{model}"], 2, "no picture is given"),
        (["{model}", "-", "in"], 2, "'-' stands for paths on standard input"),
        (["-", "-"], 2, "'-' is given twice"),
        (["{model}", "in", "--json", "--csv", "x.csv"], 2, "give one of them"),
        (["{model}", "in", "--csv", "x.json"], 2, "call it x.csv"),
        (["{model}", "in", "--top", "0"], 2, "top"),
        (["{model}", "."], 0, ""),
        (["{model}", "{model}", "in"], 2, "counts each member once"),
        (["in/a/000.png", "in"], 3, "in/a/000.png"),
        (["{model}", "empty"], 4, "no picture in empty"),
    ],
)
def test_bad_input_is_one_line(model, pictures, nascli, arguments, code, message):
    Path("empty").mkdir()
    done = nascli("predict", *(argument.format(model=model) for argument in arguments), "-q")
    assert done.code == code, done.err
    assert message in done.err
    assert len(done.err.splitlines()) <= 1
    assert not Path("x.csv").exists()
