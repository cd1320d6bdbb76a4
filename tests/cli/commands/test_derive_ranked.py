"""`nascli derive` of a posterior: what is printed where, pipes, and options that have no effect elsewhere."""

import json
from functools import cache
from statistics import mean, stdev

import pytest

from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.load import read_artifact
from nascli.cli.commands.derive_ranked import mean_and_deviation
from nascli.core.engine import latency
from nascli.core.engine.ranking.channel_candidates import size_of
from tests.artifacts.examples import bytes_of, categorical
from tests.core.engine.ranking.example import HELD_OUT_IMAGES, run, sizes_once

FEW = ["--candidates", 8]


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


@cache
def searched() -> dict[str, bytes]:
    return {"run.safetensors": distribution_bytes(run().value), "cells.safetensors": bytes_of(categorical())}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the result of a search over channels, and of one over cells."""
    monkeypatch.chdir(tmp_path)
    for name, content in searched().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_paths_on_standard_output_and_the_comparison_on_standard_error(here, nascli):
    done = nascli("derive", "run.safetensors", *FEW, "--model", "model.safetensors")
    assert (done.code, done.out) == (0, "cell.json\nmodel.safetensors\n")
    lines = [line.split() for line in done.err.splitlines() if line.startswith(("posterior", "uniform "))]
    rows = {line[0]: line for line in lines}
    scores = [json.loads(line) for line in (here / "cell.ranking" / "candidates.jsonl").read_text().splitlines()]
    for name, row in rows.items():
        own = [score for score in scores if score["population"] == name]
        assert row[1:3] == ["8", str(HELD_OUT_IMAGES)]
        assert row[3] == f"{max(score['accuracy'] for score in own):.2%}"
        assert row[4] == f"{sum(score['accuracy'] for score in own) / 8:.2%}"
        assert row[-1] == f"{sum(score['parameters'] for score in own) / 8:,.0f}"
    assert sorted(rows) == ["posterior", "uniform"]
    assert "accuracy (%) on held-out images" in done.err
    quiet = nascli("derive", "run.safetensors", *FEW, "-q", "-o", "quiet.json")
    assert (quiet.out, quiet.err) == ("quiet.json\n", "")


def test_a_derived_model_is_evaluated_without_training(here, nascli):
    nascli("derive", "run.safetensors", *FEW, "-q", "--no-uniform", "--model", "model.safetensors")
    done = nascli("eval", "model.safetensors", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["images"] == 359


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["derive", "run.safetensors", "-o", "cell.json", "--model", "run.safetensors"], "run.safetensors"),
        (["derive", "run.safetensors", "-o", "run.safetensors", "--run-dir", "new.run"], "run.safetensors"),
        (["derive", "cells.safetensors", "-o", "./cells.safetensors"], "cells.safetensors"),
        (["derive", "run.safetensors", "--sample", 1, "-o", "run.safetensors"], "run.safetensors"),
        (["finetune", "run.safetensors", "-o", "run.safetensors"], "run.safetensors"),
        (["train", "found.json", "--from", "run.safetensors", "-o", "run.safetensors"], "run.safetensors"),
        (["train", "found.json", "--from", "run.safetensors", "-o", "found.json"], "found.json"),
        (["derive", "run.safetensors", "--config", "mine.toml", "-o", "mine.toml"], "mine.toml"),
        (["search", "--config", "mine.toml", "-o", "mine.toml"], "mine.toml"),
        (["train", "found.json", "--config", "mine.toml", "-o", "mine.toml"], "mine.toml"),
        (["visualize", "found.json", "--format", "txt", "-o", "found.json"], "found.json"),
    ],
)
def test_what_a_result_is_made_from_is_not_overwritten(here, nascli, arguments, file):
    nascli("derive", "run.safetensors", *FEW, "-q", "--no-uniform", "-o", "found.json")
    (here / "mine.toml").write_text("seed = 1\n")
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()}
    done = nascli(*arguments, "--overwrite")
    assert done.code == 2
    assert f"{file} is what the result is made from: name another file" in done.err
    assert {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


def test_a_resumption_of_nothing_says_so(here, nascli):
    done = nascli("derive", "run.safetensors", *FEW, "--no-uniform", "--resume")
    assert done.code == 0
    assert "there is no run in cell.ranking yet: starting from the beginning" in done.err


def test_a_dry_run_tells_sizes_and_time_and_writes_nothing(here, nascli):
    before = sorted(here.iterdir())
    done = nascli("derive", "run.safetensors", *FEW, "--dry-run", "--json", "-q")
    plan = json.loads(done.out)
    posterior = run().value.distribution
    sizes = [size_of(posterior.graph, posterior.mask(0, number)) for number in range(1, 9)]
    assert (plan["stage"], plan["scored"], plan["images"]) == ("derive", 16, HELD_OUT_IMAGES)
    assert plan["parameters"] == {
        "least": min(size.parameters for size in sizes),
        "mean": sum(size.parameters for size in sizes) / 8,
        "most": max(size.parameters for size in sizes),
    }
    assert plan["seconds"] == pytest.approx(plan["different"] / plan["candidates_per_second"])
    text = nascli("derive", "run.safetensors", *FEW, "--shortlist", 2, "--dry-run", "-q").out
    assert sorted(here.iterdir()) == before
    (here / "again.toml").write_text(text)
    again = nascli("derive", "run.safetensors", "--config", "again.toml", "--dry-run", "--json", "-q")
    assert json.loads(again.out)["config"]["shortlist"] == 2
    assert nascli("derive", "run.safetensors", *FEW, "--max-params", 1, "--dry-run").code == 2
    assert "--dry-run is for ranking" in nascli("derive", "cells.safetensors", "--dry-run").err


def test_candidates_of_a_search_are_those_of_derive(nascli):
    done = nascli("search", "--method", "pgnas", "--candidates", 10)
    assert done.code == 2
    assert (
        "--trials or --candidates is a setting of random; for pgnas, --candidates is an option of 'nascli derive'"
        in done.err
    )


def test_where_p_starts_is_for_searches_alone(nascli):
    assert "--initial-dropout" in nascli("search", "--help").out
    done = nascli("finetune", "run.safetensors", "--initial-dropout", 0.3)
    assert done.code == 2
    assert "No such option" in done.err


def test_recipes_of_rankings_are_listed(nascli):
    rows = json.loads(nascli("list", "recipes", "--json").out)
    found = {row["name"] for row in rows if row["stage"] == "derive"}
    names, methods = ("cifar10", "digits", "imagenet", "pictures"), ("pgnas", "parsec", "spos", "darts", "pc-darts")
    assert found == {"pgnas/cifar100", *(f"{method}/{name}" for method in methods for name in names)}


def test_pipes_carry_the_same_bytes_as_files(here, nascli):
    nascli("derive", "run.safetensors", *FEW, "-q", "-o", "cell.json", "--model", "model.safetensors")
    piped = nascli("derive", "-", *FEW, "-q", "-o", "-", stdin=(here / "run.safetensors").read_bytes())
    assert piped.raw == (here / "cell.json").read_bytes()
    model = nascli("derive", "run.safetensors", *FEW, "-q", "-o", "other.json", "--model", "-")
    assert model.raw == (here / "model.safetensors").read_bytes()


def test_json_has_the_score_and_both_populations(here, nascli):
    done = nascli("derive", "run.safetensors", *FEW, "--seed", 4, "-q", "--json")
    facts = json.loads(done.out)
    made = read_artifact((here / "cell.json").read_bytes(), "cell")
    assert facts["sha256"] == sha256((here / "cell.json").read_bytes())
    assert made.value.genotype == run().value.distribution.sample(4, facts["number"])
    assert facts["accuracy"] == made.provenance.config["held_out_accuracy"]
    assert [row["population"] for row in facts["populations"]] == ["posterior", "uniform"]
    assert [row["scored"] for row in facts["populations"]] == [8, 8]
    several = json.loads(nascli("derive", "run.safetensors", *FEW, "--top", 2, "-q", "--json", "-o", "t.json").out)
    assert [row["path"] for row in several] == ["t-1.json", "t-2.json"]


def test_a_finished_run_is_not_ranked_again(here, nascli):
    words = ["derive", "run.safetensors", *FEW, "-o", "cell.json", "--no-uniform"]
    assert nascli(*words).code == 0
    assert nascli(*words).code == 2
    before = (here / "cell.json").read_bytes()
    again = nascli("derive", "run.safetensors", "-o", "cell.json", "--resume")
    assert (again.code, "resumed after candidate 8" in again.err) == (0, True)
    assert (here / "cell.json").read_bytes() == before


def test_samples_need_no_data(here, nascli, monkeypatch):
    monkeypatch.setattr("nascli.data.open_data", None)
    done = nascli("derive", "run.safetensors", "--sample", 2, "--seed", 5)
    assert (done.code, done.out) == (0, "cell-1.json\ncell-2.json\n")
    made = read_artifact((here / "cell-2.json").read_bytes(), "cell")
    assert made.value.genotype == run().value.distribution.sample(5, 2)
    assert done.err.splitlines()[0].split() == ["genotype", "kept"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run.safetensors", "--mode"], "a posterior has no mode"),
        (
            ["run.safetensors", "--format", "darts"],
            "a ranked genotype is written as JSON, which records the ranking: leave --format out",
        ),
        (
            ["run.safetensors", "--sample", 1, "--candidates", 9],
            "--sample ranks nothing: leave it out, or --candidates",
        ),
        (["run.safetensors", "--top", 0], "from 1 to 10,000 genotypes"),
        (["run.safetensors", "--candidates", 0], "candidates: must be greater than or equal to 1"),
        (["run.safetensors", *FEW, "--max-params", 10], "none of 8 candidates is within --max-params 10"),
        (["run.safetensors", *FEW, "--dataset", "cifar10"], "leave --dataset out"),
        (["run.safetensors", *FEW, "--json", "--model", "-"], "both need standard output"),
        (["run.safetensors", *FEW, "-o", "-", "--resume"], "--resume needs the run directory"),
        (["cells.safetensors", "--candidates", 9], "cells.safetensors has no shared weights to score candidates with"),
        (
            ["cells.safetensors", "--device", "cpu", "--shortlist", 3],
            "--device, --shortlist are for ranking candidates",
        ),
        (["cells.safetensors", "--model", "m.safetensors"], "--model is for ranking"),
        (["cells.safetensors", "--seed", 1], "--seed is for the draws of --sample"),
    ],
)
def test_errors_are_a_line_and_nothing_is_written(here, nascli, words, message):
    done = nascli("derive", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.strip().count("\n") <= 1
    assert {path.name for path in here.iterdir()} == {"run.safetensors", "cells.safetensors"}


def test_a_posterior_and_the_genotype_of_its_name_have_folders_of_their_own(here, nascli):
    (here / "run.safetensors").rename(here / "g.safetensors")
    (here / "g.run").mkdir()
    done = nascli("derive", "g.safetensors", *FEW, "-q", "-o", "g.json")
    assert (done.code, done.out) == (0, "g.json\n")
    assert (here / "g.ranking" / "candidates.jsonl").exists()
    assert not list((here / "g.run").iterdir())


def test_mean_and_deviation() -> None:
    values = [0.5, 0.75, 0.9, 0.1]
    assert mean_and_deviation(values) == pytest.approx((mean(values), stdev(values)))
    assert mean_and_deviation([0.25]) == (0.25, 0.0)


def test_time_is_measured_for_what_has_a_network_of_its_own(here, nascli, monkeypatch):
    monkeypatch.setattr(latency, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(latency, "MOST_ROUNDS", 1)
    done = nascli("derive", "run.safetensors", *FEW, "--max-latency", 1000, "-o", "fast.json", "--json", "-q")
    assert done.code == 0, done.err
    assert 0 < json.loads(done.out)["latency_ms"] <= 1000
    facts = json.loads(nascli("info", "fast.json", "--latency", "--batch-size", 4, "--json").out)
    assert [one["batch_size"] for one in facts["latency"]["measured"]] == [1, 4]
    assert " for 4 images, " in nascli("info", "fast.json", "--latency", "--batch-size", 4).out
    assert "--latency measures a genotype or a model" in nascli("info", "run.safetensors", "--latency").err
    assert "give --latency, too" in nascli("info", "fast.json", "--batch-size", 4).err
