"""--dry-run, as text and as JSON."""

import json
import re
import tomllib

import pytest

from nascli.cli.output.dry_run import duration, print_plan, print_plans, print_ranking_plan

TINY = ["--dry-run", "--epochs", 4, "--limit-train", 64, "--layers", 3, "--channels", 4, "--batch-size", 16]
PLAN = {
    "config": {"epochs": 50, "settings": {"lr": 0.5}},
    "parameters": 1234,
    "multiply_adds": 5678,
    "steps": 5000,
    "seconds_per_step": 2.0,
    "seconds": 8500.4,
    "peak_memory_bytes": 300 * 2**20,
    "peak_memory_of": "weights",
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00:00"), (65, "0:01:05"), (3 * 3600 + 59.6, "3:01:00"), (86400 + 3661, "1 day, 1:01:01")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_plan_in_words(capsys):
    print_plan(PLAN, stage="search", json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "# 1,234 parameters, 5,678 multiply-adds for one image",
        "# 300 MiB at the peak: weights",
        "# 5,000 steps, 2 s each: 2:21:40 in all",
    ]
    assert tomllib.loads("\n".join(lines)) == {"epochs": 50, "lr": 0.5}
    print_plan({**PLAN, "cache": "ram", "cache_bytes": 2**31, "cache_seconds": 65}, stage="search", json=False)
    assert "# 2,048 MiB of decoded pictures, made in 0:01:05\n# 5,000 steps" in capsys.readouterr().out
    print_plan({**PLAN, "warmup_steps": 1500, "warmup_seconds_per_step": 1.0}, stage="search", json=False)
    assert "# 5,000 steps, 2 s each (1 s in the first 1,500, the warm-up): 2:21:40 in all" in capsys.readouterr().out


def test_plans_of_several_runs_end_with_the_time_of_all(capsys):
    print_plans({"seed 0": PLAN, "seed 1": {**PLAN, "seconds": 100.0}}, stage="search", json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("# seed")] == ["# seed 0:", "# seed 1:"]
    assert lines[-1] == "# all 2, one after another: 2:23:20"
    print_plans({"seed 0": PLAN}, stage="search", json=False)
    assert capsys.readouterr().out.splitlines()[-1].startswith("# 5,000 steps")


def test_a_plan_of_a_ranking_in_words(capsys):
    sizes = {"least": 10, "mean": 20.4, "most": 3000}
    plan = {"config": PLAN["config"], "scored": 16, "different": 15, "images": 30, "seconds": 65.2}
    plan |= {"parameters": sizes, "multiply_adds": sizes, "candidates_per_second": 0.25}
    print_ranking_plan({**plan, "cache": "disk", "cache_bytes": 2**21, "cache_seconds": 4}, stage="derive", json=False)
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "# 10 to 3,000 parameters; the posterior's have 20 on average",
        "# 10 to 3,000 multiply-adds for one image; the posterior's have 20 on average",
        "# 16 candidates, 15 different; 30 held-out images",
        "# 2 MiB of decoded pictures, made in 0:00:04",
        "# 0.25 candidates a second on all of them; 0:01:05 in all",
    ]


def test_a_search_and_the_finetune_of_its_result_are_planned_and_nothing_is_written(nascli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [*TINY, "--nodes", 1, "--arch-warmup-epochs", 1]
    done = nascli("search", *small, "--json")
    assert done.code == 0, done.err
    assert "measuring two steps" in done.err
    plan = json.loads(done.out)
    assert (plan["stage"], plan["steps"], plan["warmup_steps"]) == ("search", 8, 2)
    assert list(tmp_path.iterdir()) == []

    assert nascli("search", *small[1:], "--epochs", 1, "-q", "-o", "run.safetensors").code == 0
    before = sorted(tmp_path.iterdir())
    done = nascli("finetune", "run.safetensors", *small, "--channels", 8, "-q")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^# 8 steps, .* in all$", done.out, re.MULTILINE)
    assert re.search(r"^# \d+ MiB at the peak: weights, gradients", done.out, re.MULTILINE)
    assert sorted(tmp_path.iterdir()) == before


def test_what_the_search_would_refuse_is_refused(nascli):
    done = nascli("search", "--dry-run", "--partial-channels", 3)
    assert (done.code, done.out) == (2, "")
    assert "K = 3 does not divide the 8 channels" in done.err
