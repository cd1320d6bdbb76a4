"""`nascli derive --shard` and `--join`: what is printed where, pipes, and options that go with neither."""

import json
from pathlib import Path

import pytest

from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.ranking_part import ranking_part_bytes
from tests.artifacts.test_ranking_part import part as a_part
from tests.core.engine.ranking.example import run, sizes_once

FEW = ["--candidates", 9, "--no-uniform", "-q"]


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the result of a search over channels."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.safetensors").write_bytes(distribution_bytes(run().value))
    return tmp_path


def test_an_array_of_jobs(here, nascli):
    whole = nascli("derive", "run.safetensors", *FEW, "--model", "whole.safetensors", "-o", "whole.json")
    assert whole.code == 0
    for number in (2, 1):
        part = nascli("derive", "run.safetensors", *FEW, "--shard", f"{number}/2")
        assert (part.code, part.out, part.err) == (0, f"part-{number}.safetensors\n", "")
    parts = ["part-1.safetensors", "part-2.safetensors"]
    joined = nascli("derive", "run.safetensors", "--join", *parts, "--model", "model.safetensors")
    assert (joined.code, joined.out) == (0, "cell.json\nmodel.safetensors\n")
    assert "best: number " in joined.err
    for one, other in (
        ("cell.json", "whole.json"),
        ("model.safetensors", "whole.safetensors"),
        ("cell.ranking/candidates.jsonl", "whole.ranking/candidates.jsonl"),
        ("cell.ranking/config.json", "whole.ranking/config.json"),
    ):
        assert (here / one).read_bytes() == (here / other).read_bytes()
    drawn = nascli("visualize", "cell.ranking", "-o", "-", "--format", "txt")
    assert drawn.out == nascli("visualize", "whole.ranking", "-o", "-", "--format", "txt").out
    piped = nascli("derive", "run.safetensors", "--join", "part-1.safetensors", "-", "-q", "-o", "-", stdin=bytes_of(2))
    assert piped.raw == (here / "whole.json").read_bytes()
    told = nascli("derive", "run.safetensors", "--join", *parts, "-q", "-o", "more.json", "--top", 3, "--json")
    assert [one["path"] for one in json.loads(told.out)] == ["more-1.json", "more-2.json", "more-3.json"]


def bytes_of(number):
    return Path(f"part-{number}.safetensors").read_bytes()


def test_what_is_told_of_a_part(here, nascli):
    made = nascli(
        "derive",
        "run.safetensors",
        "--candidates",
        9,
        "--no-uniform",
        "--shard",
        "1/2",
        "--json",
        "-o",
        "p.safetensors",
    )
    told = json.loads(made.out)
    assert (told["path"], told["artifact"], told["shard"]) == ("p.safetensors", "ranking part", "1/2")
    assert (told["networks"], told["images"]) == (9, 30)
    assert f"part 1/2: {told['scored']} of 9 networks" in made.err
    described = json.loads(nascli("info", "p.safetensors", "--json").out)
    assert (described["shard"], described["candidates"], described["scored"]) == ("1/2", 9, told["scored"])
    text = nascli("info", "p.safetensors").out
    assert "p.safetensors: ranking part" in text
    assert "posterior 9 candidates: best" in text
    picture = nascli("visualize", "p.safetensors", "-o", "p.svg")
    assert (picture.code, (here / "p.svg").read_bytes()[:5]) == (0, b"<?xml")
    empty = nascli("derive", "run.safetensors", *FEW[:3], "--shard", "9/9", "-o", "e.safetensors")
    assert "part 9/9 is empty" in empty.err
    assert nascli("info", "e.safetensors").code == 0
    nothing = nascli("visualize", "e.safetensors", "-o", "e.svg")
    assert (nothing.code, "no candidate has a score" in nothing.err) == (2, True)
    table = nascli("info", "p.safetensors", "--dataset", "digits")
    assert (table.code, "p.safetensors is a ranking part" in table.err) == (2, True)


def test_a_dry_run_plans_a_part_and_writes_nothing(here, nascli):
    before = sorted(here.iterdir())
    plan = ["derive", "run.safetensors", *FEW, "--dry-run"]
    whole, part = (json.loads(nascli(*plan, "--json", *more).out) for more in ([], ["--shard", "2/2"]))
    assert part["different"] == whole["different"] == 9
    assert (part["shard"], part["in_shard"]) == ("2/2", 0)  # all nine are in one forward pass
    assert part["seconds"] == 0
    assert "# part 1/2 of the ranking: 9 of the different ones" in nascli(*plan, "--shard", "1/2").out
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--shard", "3/2"], "--shard '3/2' is no part of a whole"),
        (["--shard", "1/2", "--top", 2], "--top is about the best of all parts: give it to --join"),
        (["--shard", "1/2", "--model", "m.safetensors"], "--model is about the best of all parts"),
        (["--shard", "1/2", "--join"], "give one of them"),
        (["--shard", "1/2", "--sample", 2], "--sample ranks nothing: leave it out, or --shard"),
        (["--shard", "1/2", "--mode"], "--mode ranks nothing: leave it out, or --shard"),
        (["--shard", "1/2", "--each"], "--each ranks nothing"),
        (["--shard", "1/2", "--shortlist", 3], "leave --shortlist out"),
        (["--shard", "1/2", "--max-latency", 3], "give it to --join"),
        (["--shard", "1/2", "-o", "part.json"], "call it part.safetensors"),
        (["--shard", "1/2", "-o", "run.safetensors"], "is what the result is made from"),
        (["--join"], "derive RUN --join PART PART"),
        (["--join", "p", "--dry-run"], "leave --dry-run out"),
        (["--join", "-", "-"], "'-' is given twice"),
    ],
)
def test_options_that_do_not_go_together(here, nascli, options, told):
    before = sorted(here.iterdir())
    done = nascli("derive", "run.safetensors", *options)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert told in done.err
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run.safetensors", "--join", "none.safetensors"], "no such file: none.safetensors"),
        (["run.safetensors", "--join", "run.safetensors"], "not a ranking part: make one with 'nascli derive run"),
        (["p.safetensors", "--join", "p.safetensors"], "name the run that is ranked first"),
        (["run.safetensors", "--join", "cut.safetensors"], "cut.safetensors: is cut short"),
        (["run.safetensors", "--join", "damaged.safetensors"], "damaged.safetensors: is damaged"),
    ],
)
def test_files_that_are_no_parts(here, nascli, arguments, told):
    data = ranking_part_bytes(a_part())
    (here / "p.safetensors").write_bytes(data)
    (here / "cut.safetensors").write_bytes(data[:-5])
    (here / "damaged.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 8]))
    done = nascli("derive", *arguments)
    assert (done.code, len(done.err.splitlines())) == (3, 1)
    assert told in done.err
    assert not (here / "cell.json").exists()
