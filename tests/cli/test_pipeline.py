"""The commands together, on digits with tiny networks: files, pipes, messages, and nothing overwritten."""

import json
from types import SimpleNamespace

import pytest

from nascli.artifacts.files.disk import sha256

TINY = ["--epochs", 1, "--limit-train", 120, "--layers", 3, "--channels", 4, "--batch-size", 16]
SMALL = [*TINY, "--nodes", 1]
"""What a search and a finetune of cells take beside."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its cell and its model, made once by the commands themselves."""
    from nascli.cli.main import run

    folder = tmp_path_factory.mktemp("made")
    paths = SimpleNamespace(
        run=folder / "run.safetensors", cell=folder / "cell.json", model=folder / "model.safetensors"
    )
    tiny = [str(word) for word in TINY]
    assert run(["search", *map(str, SMALL), "-q", "-o", str(paths.run)]) == 0
    assert run(["derive", str(paths.run), "-o", str(paths.cell)]) == 0
    assert run(["train", str(paths.cell), *tiny, "-q", "-o", str(paths.model)]) == 0
    return paths


def test_a_search_prints_its_path_alone_and_progress_on_standard_error(here, nascli):
    done = nascli("search", *SMALL)
    assert (done.code, done.out) == (0, "run.safetensors\n")
    assert "epoch 1/1" in done.err
    assert (here / "run.run" / "config.json").exists()
    again = nascli("search", *SMALL)
    assert (again.code, again.out) == (2, "")
    assert "--overwrite" in again.err


def test_quiet_says_the_path_and_no_more(here, nascli):
    done = nascli("search", *SMALL, "-q", "-o", "quiet.safetensors")
    assert (done.out, done.err) == ("quiet.safetensors\n", "")


def test_json_names_the_result_and_its_digest(here, made, nascli):
    done = nascli("derive", made.run, "--json")
    assert json.loads(done.out) == {
        "path": "cell.json",
        "artifact": "genotype",
        "sha256": sha256((here / "cell.json").read_bytes()),
    }


def test_pipes_carry_the_same_bytes_as_files(here, made, nascli):
    tiny = [*TINY, "-q"]
    searched = nascli("search", *SMALL, "-q", "-o", "-")
    assert searched.raw == made.run.read_bytes()
    derived = nascli("derive", "-", "-o", "-", stdin=searched.raw)
    assert derived.raw == made.cell.read_bytes()
    trained = nascli("train", "-", *tiny, "-o", "model.safetensors", stdin=derived.raw)
    assert trained.out == "model.safetensors\n"
    assert (here / "model.safetensors").read_bytes() == made.model.read_bytes()


def test_darts_text_and_a_finetuned_run_train_and_derive_as_well(here, made, nascli):
    assert nascli("derive", made.run, "--format", "darts").out == "cell.txt\n"
    assert (here / "cell.txt").read_text().startswith("Genotype(normal=[")
    done = nascli("finetune", made.run, *TINY[:-2], *SMALL[-2:], "--batch-size", 20, "-q")
    assert done.out == "tuned.safetensors\n"
    tuned = json.loads(nascli("info", "tuned.safetensors", "--json").out)
    assert tuned["provenance"]["made_from"]["sha256"] == sha256(made.run.read_bytes())
    size = json.loads(nascli("info", "cell.txt", "--dataset", "digits", "--json").out)
    assert size["parameters"] == json.loads(nascli("info", made.cell, "--json").out)["parameters"]


def test_evaluation_as_a_table_and_as_json(made, nascli):
    result = json.loads(nascli("eval", made.model, "-q", "--json").out)
    assert result["images"] == sum(map(sum, result["confusion"]))
    right = sum(result["confusion"][i][i] for i in range(10))
    assert result["top1"] == pytest.approx(right / result["images"])
    table = nascli("eval", made.model, "-q").out
    assert f"{result['top1']:.2%}" in table
    assert f"{result['parameters']:,}" in table


def test_info_shows_the_whole_descent(made, nascli):
    text = nascli("info", made.model).out
    stages = [line.split("  ")[-1].split()[0] for line in text.splitlines()[-3:]]
    assert stages == ["train", "derive", "search"]
    for path in (made.model, made.cell, made.run):
        assert sha256(path.read_bytes())[:12] in text


def test_pictures(here, made, nascli):
    assert "normal cell" in nascli("visualize", made.cell).out
    assert "normal cell" in nascli("visualize", "pc-darts-cifar10").out
    assert nascli("visualize", made.run, "-o", "-", "--format", "txt").out.startswith("normal")
    for source in (made.cell, made.run.with_name("run.run")):
        done = nascli("visualize", source, "-o", "picture.svg", "--overwrite")
        assert (done.code, done.out) == (0, "picture.svg\n"), done.err
        assert (here / "picture.svg").read_text().startswith("<?xml")
    assert nascli("visualize", made.model, "-o", "-", "--format", "dot").out.startswith("digraph")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["derive", "{cell}"], 3, "holds a genotype, not a distribution"),
        (["derive", "missing.safetensors"], 3, "no such file: missing.safetensors"),
        (["train", "{run}"], 3, "make one with 'nascli derive"),
        (["eval", "{cell}"], 3, "make one with 'nascli train"),
        (["derive", "{run}", "-o", "no/cell.json"], 2, "there is no folder no"),
        (["derive", "{run}", "-o", "{cell}"], 2, "--overwrite"),
        (["derive", "{run}", "--format", "dart"], 2, "did you mean 'darts'?"),
        (["derive", "{run}", "-o", "-", "--json"], 2, "--json and '-o -' both need standard output"),
        (["derive", "-"], 3, "standard input is empty"),
        (["search", "--partial-channels", "3"], 2, "3"),
        (["search", "--batch-size", "5000"], 2, "5000"),
        (["search", "--resume", "-o", "-"], 2, "--run-dir"),
        (["search", "--device", "cuda:99"], 2, "cuda:99"),
        (["search", "--dataset", "folder", "--data-dir", "nowhere"], 4, "nowhere"),
        (["visualize", "{cell}", "-o", "cell.gif"], 2, "does not say what kind of picture"),
        (
            ["visualize", "{cell}", "--format", "svg", "-o", "cell.png"],
            2,
            "cell.png ends like png, but svg is asked for",
        ),
        (["visualize", "{cell}", "--format", "svgg"], 2, "did you mean 'svg'?"),
        (["visualize", "{cell}", "{run}"], 2, "one file at a time"),
        (["info", "{model}", "--layers", "3"], 2, "size the network of a genotype"),
    ],
)
def test_bad_input_is_one_line_with_its_exit_code_and_writes_nothing(arguments, code, message, here, made, nascli):
    done = nascli(*(argument.format(**{k: str(v) for k, v in vars(made).items()}) for argument in arguments))
    assert done.code == code, done.err
    assert message in done.err
    assert done.err.count("\n") <= 2
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    assert done.out == ""
    assert not [path for path in here.iterdir() if path.is_file()]
