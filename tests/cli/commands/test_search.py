"""`nascli search` with several seeds, and `nascli derive --each` of what it prints."""

import json
import tomllib

import pytest

TINY = ["--method", "spos", "--space", "nas-bench-201", "--epochs", 1, "--limit-train", 32, "--batch-size", 8]
TINY += ["--layers", 3, "--channels", 2]
WITH_MODE = ["--method", "parsec", "--samples", 2, *TINY[2:]]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_path_is_printed_alone_and_each_is_derived(here, nascli):
    done = nascli("search", *WITH_MODE, "--seeds", "4,0", "-o", "r.safetensors")
    assert (done.code, done.out.splitlines()) == (0, ["r-seed4.safetensors", "r-seed0.safetensors"]), done.err
    assert "search 2 of 2: seed 0, to r-seed0.safetensors" in done.err
    # Settings need not be told again, and what is complete is not done again.
    again = nascli("search", "--seeds", "4,0", "-o", "r.safetensors", "--resume")
    assert again.out == done.out, again.err
    assert again.err.count("this run is complete") == 2
    cells = nascli("derive", "--each", *done.out.splitlines(), "-q")
    assert cells.out.splitlines() == ["cell-1.json", "cell-2.json"], cells.err
    seeds = [json.loads((here / name).read_text())["provenance"]["seed"] for name in cells.out.splitlines()]
    assert seeds == [4, 0]
    told = json.loads(nascli("derive", "--each", done.out.splitlines()[1], "-o", "one.json", "--json").out)
    assert [fact["path"] for fact in told] == ["one.json"], "a list, as of several"


def test_a_dry_run_tells_of_every_search_and_writes_nothing(here, nascli):
    done = nascli("search", *TINY, "--seeds", "0-1", "--dry-run", "-q")
    assert done.code == 0, done.err
    assert "seed" not in tomllib.loads(done.out)
    for seed in (0, 1):
        assert f"# seed {seed}, to run-seed{seed}.safetensors:\n" in done.out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", *TINY, "--seeds", "0,1", "--seed", "0"], "--seed and --seeds contradict"),
        (["search", *TINY, "--seeds", "0,0"], "seed 0 is given twice"),
        (["search", *TINY, "--seeds", "x"], "'x' is no seed"),
        (["search", *TINY, "--seeds", "0,1", "-o", "-"], "cannot share standard output"),
        (["search", *TINY, "--seeds", "0,1", "--choose-by", "valid"], "--choose-by names a column of a table"),
        (["derive", "a.safetensors", "--each", "--top", 2], "--each writes one genotype of each search"),
    ],
)
def test_mistakes_are_one_line(words, message, here, nascli):
    done = nascli(*words)
    assert (done.code, done.out) == (2, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert list(here.iterdir()) == []
