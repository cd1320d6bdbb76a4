"""`derive` of cells by ranking candidates with the shared weights of their search."""

import json
from pathlib import Path

import pytest

from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.load import load_artifact
from nascli.core.engine.ranking.score_cells import CellScorer
from nascli.core.engine.signals import StopRequest
from nascli.spaces.network_settings import NetworkSettings

TINY = ["--limit-train", 120, "--layers", 3, "--channels", 4, "--epochs", 1, "--batch-size", 30, "-q"]
FEW = ["--candidates", 9]
LEAST = {
    "darts": ["--partial-channels", 1],
    "pc-darts": ["--partial-channels", 2],
    "parsec": ["--samples", 2],
    "random": ["--trials", 1],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


_SEARCHED: dict[tuple[object, ...], dict[Path, bytes]] = {}


def searched(nascli, method="spos", space="nas-bench-201", *more):
    """A tiny search's result and its run directory in the working folder. The same words make the same files: the
    search is run at their first use.
    """
    more = (*more, *LEAST.get(method, ()), *(["--nodes", 1] if space == "darts" else []))
    words = ("--method", method, "--space", space, *TINY, *more)
    if words not in _SEARCHED:
        done = nascli("search", *words)
        assert (done.code, done.err) == (0, "")
        _SEARCHED[words] = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for path, content in _SEARCHED[words].items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_what_spos_derives_is_the_best_of_its_candidates(space, here, nascli):
    searched(nascli, "spos", space)
    done = nascli("derive", "run.safetensors", *FEW, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    rows = [json.loads(line) for line in (here / "cell.ranking" / "candidates.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == list(range(1, 10))
    assert {row["population"] for row in rows} == {"cells"}
    assert told["number"] == max(rows, key=lambda row: (row["accuracy"], -row["loss"], -row["number"]))["number"]
    assert f"best: number {told['number']} of 9" in done.err
    genotype = json.loads((here / "cell.json").read_text())
    assert genotype["genotype"]["space"] == space
    assert genotype["provenance"]["config"]["held_out_images"] == 60
    assert nascli("train", "cell.json", *TINY).code == 0
    drawn = nascli("visualize", "cell.ranking", "-o", "-", "--format", "txt")
    assert drawn.code == 0
    assert "9 candidates" in drawn.out


@pytest.mark.parametrize(("method", "space"), [("darts", "nas-bench-201"), ("pc-darts", "darts")])
def test_a_mixture_is_ranked_path_by_path(method, space, here, nascli):
    searched(nascli, method, space)
    done = nascli("derive", "run.safetensors", *FEW)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (here / "cell.ranking" / "candidates.jsonl").read_text().splitlines()]
    assert [row["population"] for row in rows] == ["cells"] * 9 + ["uniform"] * 9
    assert len({row["loss"] for row in rows}) > 9
    file, found = load_artifact("run.safetensors").value, load_artifact("cell.json").value
    assert found.genotype == file.distribution.sample(0, found.provenance.config["number"])


def test_several_are_the_best_in_their_order(here, nascli):
    searched(nascli)
    done = nascli("derive", "run.safetensors", *FEW, "--top", 3, "--json", "-q")
    scores = [(-row["accuracy"], row["loss"]) for row in json.loads(done.out)]
    assert scores == sorted(scores)
    assert {path.name for path in here.glob("cell-*.json")} == {"cell-1.json", "cell-2.json", "cell-3.json"}


def test_a_mode_and_samples_are_there_as_before(here, nascli):
    searched(nascli, "parsec", "nas-bench-201")
    assert nascli("derive", "run.safetensors", "--overwrite").code == 0
    assert json.loads((here / "cell.json").read_text())["provenance"]["config"]["choice"] == "mode"
    done = nascli("derive", "run.safetensors", *FEW, "--overwrite")
    assert done.code == 0, done.err
    assert json.loads((here / "cell.json").read_text())["provenance"]["config"]["choice"] == "ranked"
    assert [line.split()[0] for line in done.err.splitlines() if line.startswith(("cells", "uniform"))] == [
        "cells",
        "uniform",
    ]
    (here / "c.toml").write_text("candidates = 4\n")
    told = nascli("derive", "run.safetensors", "--config", "c.toml", "-o", "other.json")
    assert "best: number" in told.err
    assert nascli("derive", "run.safetensors", "--sample", 2, "-o", "drawn.json").code == 0


def test_a_ranking_that_was_stopped_goes_on_to_the_same_bytes(here, nascli, monkeypatch):
    searched(nascli)
    monkeypatch.setattr(CellScorer, "per_pass", lambda self, images: 4)
    assert nascli("derive", "run.safetensors", *FEW, "-q", "-o", "whole.json").code == 0
    scores, passes = CellScorer.scores, []

    def interrupted(self, *rest):
        passes.append(1)
        return scores(self, *rest[:2]) if len(passes) < 3 else None

    with monkeypatch.context() as patched:
        patched.setattr(CellScorer, "scores", interrupted)
        patched.setattr(StopRequest, "signal_number", 15, raising=False)
        done = nascli("derive", "run.safetensors", *FEW, "-q", "-o", "cell.json")
    assert done.code == 143, done.err
    assert "stopped by SIGTERM after 8 of 9 candidates" in done.err
    assert len((here / "cell.ranking" / "candidates.jsonl").read_text().splitlines()) == 8
    assert nascli("derive", "run.safetensors", *FEW, "-q", "-o", "cell.json", "--resume").code == 0
    assert (here / "cell.json").read_bytes() == (here / "whole.json").read_bytes()


@pytest.mark.parametrize(
    ("method", "words", "message"),
    [
        (
            "spos",
            ["--mode"],
            "spos learns no distribution, so run.safetensors has no mode: rank its candidates",
        ),
        ("parsec", ["--mode", *FEW], "--mode ranks nothing: leave it out, or --candidates"),
        ("spos", ["--model", "m.safetensors"], "shared weights belong to no candidate alone: leave --model out"),
        ("spos", ["--format", "nas-bench-201"], "a ranked genotype is written as JSON"),
        ("spos", [*FEW, "--max-params", 10], "none of 9 candidates is within --max-params 10"),
        ("spos", [*FEW, "--max-latency", 5], "--max-latency is for the candidates of a posterior"),
        ("random", FEW, "a random search has no candidates to rank on images"),
        ("parsec", ["--shortlist", 3], "--shortlist is for ranking candidates on images: give --candidates, too"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(method, words, message, here, nascli):
    searched(nascli, method, "nas-bench-201")
    before = {path.name for path in here.iterdir()}
    done = nascli("derive", "run.safetensors", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert {path.name for path in here.iterdir()} == before


RULES = ["--limit-train", 120, "--layers", 3, "--channels", 4, "--epochs", 3, "--batch-size", 30, "-q"]


@pytest.mark.parametrize("method", ["darts", "parsec"])
def test_other_rules_to_derive_by(method, here, nascli):
    """The logits of every epoch are in the file; their mean is that of the last ones, in numbers."""
    more = ["--samples", 2] if method == "parsec" else []
    assert nascli("search", "--method", method, "--space", "nas-bench-201", *RULES, *more, "--arch-lr", 0.3).code == 0
    file = load_artifact("run.safetensors").value
    ((name, values), *_) = file.course.items()
    assert values.shape[0] == 3
    assert (values[-1] == file.distribution.tensors()[name]).all()
    assert (values[0] != values[1]).any()
    assert nascli("derive", "run.safetensors", "--average", 2, "-o", "mean.json").code == 0
    mean = json.loads((here / "mean.json").read_text())["provenance"]["config"]
    assert mean == {"choice": "mode", "average": 2}
    assert load_artifact("mean.json").value.genotype == file.averaged(2).mode()
    assert nascli("derive", "run.safetensors", "--without-none", "-o", "some.json").code == 0
    found = load_artifact("some.json").value
    assert found.genotype == file.distribution.mode_within(CellLimits(without_none=True))
    assert "none" not in {pick.op for pick in found.genotype.picks()}
    beyond = found.provenance.config.pop("better_beyond")
    assert found.provenance.config == {"choice": "mode", "without_none": True}
    assert (beyond == 0) == (found.genotype == file.distribution.mode())
    words = ["--without-none", "--max-skips", 0, "-o", "none.json"]
    assert nascli("derive", "run.safetensors", *words).code == 0
    found = load_artifact("none.json").value
    assert {pick.op for pick in found.genotype.picks()}.isdisjoint({"none", "skip_connect"})
    assert found.provenance.config.items() >= {"choice": "mode", "without_none": True, "max_skips": 0}.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["parsec", "--max-params", 1000], "no cell of nas-bench-201 is within --max-params 1,000: the smallest has"),
        (["random", "--max-macs", 1000], "the one that computes least has 468,608 multiply-adds, with 6 cells and"),
        (["darts", "--max-params", 1000], "--max-params is a setting of parsec, random; darts has no such setting"),
        (["pgnas", "--max-skips", 1], "--max-skips is a setting of parsec, random; pgnas has no such setting"),
        (["parsec", "--train-layers", 4], "train_layers: for max_params and max_macs alone; give one of them, too"),
        (["random", "--max-skips", -1], "max_skips: must be greater than or equal to 0 (got -1)"),
    ],
)
def test_limits_that_a_search_cannot_have_are_one_line(words, message, here, nascli):
    method, *more = words
    space = [] if method == "pgnas" else ["--space", "nas-bench-201"]
    done = nascli("search", "--method", method, *space, *more, "--limit-train", 120)
    assert (done.code, done.out, list(here.iterdir())) == (2, "", [])
    assert message in done.err.splitlines()[-1]


def test_what_a_search_within_limits_derives_is_within_them(here, nascli):
    """PARSEC's file, its mode, its top and its samples; the cells of random search; and candidates of either kind."""
    limits = ["--max-params", 76_000, "--max-skips", 2]
    searched(nascli, "parsec", "nas-bench-201", *limits)
    assert load_artifact("run.safetensors").provenance.config["settings"]["max_params"] == 76_000
    assert "(within --max-skips 2 and --max-params 76,000)" in nascli("info", "run.safetensors").out
    for name, words in {
        "mode": [],
        "top": ["--top", 3],
        "drawn": ["--sample", 3],
        "ranked": [*FEW, "--top", 2],
    }.items():
        assert nascli("derive", "run.safetensors", *words, "-q", "-o", f"{name}.json").code == 0
    sizes = {}
    for path in here.glob("*.json"):
        cell = load_artifact(path).value.genotype
        sizes[path.name] = cell.graph(NetworkSettings(**TRAINED)).size.parameters
        assert [pick.op for pick in cell.picks()].count("skip_connect") <= 2
    assert len(sizes) == 9
    assert max(sizes.values()) <= 76_000
    other = nascli("derive", "run.safetensors", "--top", 1, "--max-params", 75_000, "--layers", 9)
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "limited for a network of 6 cells and 16 channels, not of 9 and 16" in other.err


TRAINED = {"layers": 6, "channels": 16, "stem": "cifar", "classes": 10, "image_channels": 1, "image_size": 8}
"""The network that the recipe for digits trains in this space."""


@pytest.mark.parametrize(
    ("method", "space", "words", "message"),
    [
        (
            "pc-darts",
            "darts",
            ["--without-none"],
            "cells of darts are derived without none anyway: leave --without-none out",
        ),
        (
            "darts",
            "nas-bench-201",
            ["--average", 2],
            "an average can be of 1 to 1 epochs, as many as the search had, not of 2",
        ),
        (
            "random",
            "nas-bench-201",
            ["--average", 1],
            "of a random search only the last epoch is known: there is no average",
        ),
        ("random", "nas-bench-201", ["--without-none"], "a random search has no operations to choose from"),
        ("parsec", "nas-bench-201", ["--max-skips", 2, "--sample", 2], "--max-skips 2: the mode and --top are chosen"),
        ("darts", "nas-bench-201", ["--max-params", 10, "--sample", 2], "--max-params 10: the mode and --top are"),
        ("darts", "nas-bench-201", ["--max-params", 10], "the smallest has 73,018 parameters"),
        ("darts", "nas-bench-201", ["--max-macs", 0], "a network is not empty: --max-macs cannot be 0"),
        ("darts", "nas-bench-201", ["--layers", 6], "--layers: for --max-params and --max-macs alone"),
        ("random", "nas-bench-201", ["--max-params", 10], "no operations to choose from: leave --max-params 10 out"),
        (
            "parsec",
            "nas-bench-201",
            ["--max-skips", -1],
            "a cell has 0 skip connections or more: --max-skips cannot be -1",
        ),
        ("random", "nas-bench-201", ["--max-skips", 2], "a random search has no operations to choose from"),
        ("darts", "nas-bench-201", ["--max-skips", 2, "--candidates", 3], "choose without a ranking"),
        ("spos", "nas-bench-201", ["--average", 1], "choose without a ranking: leave them out"),
    ],
)
def test_rules_that_do_not_fit_are_one_line(method, space, words, message, here, nascli):
    searched(nascli, method, space)
    done = nascli("derive", "run.safetensors", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
