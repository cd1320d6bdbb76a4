"""The scripts of `benchmarks/`: that they can be imported, and what they make of a campaign that is made up."""

import csv
import importlib
import itertools
import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import draw_nas_bench_201, nas_bench_201, nas_bench_201_table
from nascli.artifacts.genotypes.genotype import as_text
from nascli.artifacts.load import load_artifact
from tests.artifacts.examples import bytes_of, mixture, trials
from tests.truth_table import loaded, read_once, with_convolutions

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_imported(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """Seven searches by darts, one of them to tune on, two by darts-10k, three random ones; no two by darts alike."""
    folder = tmp_path / "campaign"
    folder.mkdir()
    for name, seeds in (("darts", range(7)), ("darts-10k", range(2)), ("random", range(3))):
        for seed in seeds:
            found = [{"rule": "mode", "architecture": with_convolutions(seed), "seconds": 100 + seed}]
            if name == "random":
                found = [{**found[0], "rule": "best of all", "candidates": 20, "score": seed / 10}]
            learnt = trials() if name == "random" else mixture(space="nas-bench-201", seed=seed)
            (folder / f"{name}-{seed}.safetensors").write_bytes(bytes_of(learnt, seed=seed))
            (folder / f"{name}-{seed}.found.json").write_text(json.dumps({"config": {}, "threads": 1, "found": found}))
    read_once(monkeypatch, "benchmarks.nas_bench_201_table", "benchmarks.draw_nas_bench_201")
    return folder, loaded(tmp_path)


def test_a_rule_that_was_added_later_is_fresh_on_later_seeds_and_searches_alone():
    """Each of several seeds counts, and those of searches that no truth was known of."""
    rule = nas_bench_201.FEW_SKIPS_RULE
    known = [("darts", rule, [35]), ("pc-darts", f"mean of 2, {rule}", [36, 35]), ("darts-10k", rule, [11])]
    fresh = [("darts", rule, [36]), ("pc-darts-long", rule, [11]), ("darts", "without none", [35])]
    assert all(nas_bench_201.tuned(*one, tuned_on=[0]) for one in known)
    assert not any(nas_bench_201.tuned(*one, tuned_on=[0]) for one in fresh)
    assert nas_bench_201.tuned("pc-darts-long", rule, [11, 0], tuned_on=[0])


def test_the_rows_of_a_campaign(campaign, tmp_path, monkeypatch):
    folder, table = campaign
    monkeypatch.setattr(nas_bench_201, "MEANS", (2, 6))
    monkeypatch.setattr(nas_bench_201, "has_course", lambda file: file.distribution.kind == "mixture")
    rows = list(nas_bench_201.rows(folder, table, tuned_on=[0]))
    alone = [row for row in rows if row["setting"] == "darts, mode"]
    assert [(row["seed"], row["tuned_on"], row["seconds"]) for row in alone] == [
        (str(seed), seed == 0, 100 + seed) for seed in range(7)
    ]
    assert [float(row["cifar10_test"]) for row in alone] == [5 + 15 * seed for seed in range(7)]
    means = {row["seed"]: row for row in rows if row["setting"] == "darts, mean of 2"}
    assert list(means) == ["1 2", "3 4", "5 6"], "not the seed that was tuned on, and none twice"
    assert means["3 4"]["seconds"] == 207
    one, two = (load_artifact(folder / f"darts-{seed}.safetensors").value.distribution for seed in (3, 4))
    assert means["3 4"]["architecture"] == as_text(type(one).mean([one, two]).mode())
    assert len([row for row in rows if row["setting"] == "darts, mean of 6"]) == 1
    assert len([row for row in rows if row["setting"] == "darts-10k, mode"]) == 2
    assert {row["device"] for row in rows} == {"cpu"}
    nas_bench_201.write(tmp_path / "all.csv", rows)
    with (tmp_path / "all.csv").open() as file:
        assert [row["setting"] for row in csv.DictReader(file)] == sorted(row["setting"] for row in rows)


def test_a_folder_of_another_recipe_is_refused(campaign):
    folder, _ = campaign
    with pytest.raises(SystemExit, match=r"darts-1\.found\.json is of another configuration"):
        nas_bench_201.run("darts", 1, Namespace(folder=folder, images=Path("x")))


def test_the_table_and_the_picture(campaign, tmp_path, monkeypatch, capsys):
    folder, table = campaign
    nas_bench_201.write(tmp_path / "all.csv", nas_bench_201.rows(folder, table, tuned_on=[0]))
    words = ["x", "--table", table.where, "--csv", str(tmp_path / "all.csv")]
    monkeypatch.setattr("sys.argv", words)
    nas_bench_201_table.main()
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    (darts,) = (line for line in lines if line[0] == "| darts, mode")
    assert darts[1:5] == ["6", "104", "57.50", "28.06"], "of seeds 1 to 6"
    by_chance = [line for line in lines if line[0].startswith("| random")]
    assert by_chance[0][8] == "", "nothing is compared with itself"
    monkeypatch.setattr(draw_nas_bench_201, "BENCHMARKS", tmp_path)
    (tmp_path / "nas_bench_201.csv").write_bytes((tmp_path / "all.csv").read_bytes())
    names = ("setting", "seed", "cells", "epoch", "step", "by", "all", "good")
    with (tmp_path / "rank_correlation.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        scores = itertools.product(("spos", "darts-10k"), (0, 5), draw_nas_bench_201.CORRELATIONS)
        writer.writerows((name, 0, 50, epoch, 10 * epoch, by, epoch / 10, "") for name, epoch, by in scores)
    monkeypatch.setattr("sys.argv", ["x", "--table", table.where, "--output", str(tmp_path)])
    draw_nas_bench_201.main()
    assert b"<svg" in (tmp_path / "searches.svg").read_bytes()
    assert b"<svg" in (tmp_path / "rank-correlation.svg").read_bytes()


def test_random_cells_as_good_is_an_enumeration():
    of_all = [1, 1, 3, 4, 4]
    for ranks in ([1], [3], [1, 3], [4, 4], [1, 1, 3]):
        ways = list(itertools.product(of_all, repeat=len(ranks)))
        expected = sum(sum(way) <= sum(ranks) for way in ways) / len(ways)
        assert nas_bench_201_table.random_cells_as_good(ranks, of_all) == pytest.approx(expected, abs=1e-12)
