"""Search, derive and train where the result is disconnected: what they say, with which exit codes, and how to go on."""

import json
import os
import signal

import pytest

from nascli.core.engine.train import TrainJob

SIZE = ["--limit-train", 96, "--batch-size", 32, "--layers", 3, "--channels", 2, "--epochs", 1]
SEARCH = ["search", "--method", "parsec", "--space", "nas-bench-201", *SIZE, "--arch-warmup-epochs", 1]
"""Of a search that is nothing but warm-up all operations stay equally likely, and the first of equals is `none`."""

NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
FAULT = "the cell 'cell' is disconnected: nothing of the images reaches the output, and the network can only guess"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_search_that_ends_in_nothing_says_so_and_so_does_derive(here, nascli):
    done = nascli(*SEARCH)
    assert (done.code, done.out) == (0, "run.safetensors\n")
    assert [line for line in done.err.splitlines() if "health" in line] == [
        "note: health: entropy 9.66 of 9.66 nats (without images it would be 9.66), no epoch after the warm-up, "
        f"skips 0%, none 100%, {FAULT}"
    ]
    derived = nascli("derive", "run.safetensors")
    note = f"note: {FAULT}: derive another (--without-none, --top, --sample), or search longer\n"
    assert (derived.code, derived.out, derived.err) == (0, "cell.json\n", note)
    assert (here / "cell.json").is_file()
    piped = nascli("derive", "run.safetensors", "--format", "nas-bench-201", "-o", "-")
    assert (piped.out, piped.err) == (NOTHING + "\n", note)

    refused = nascli("train", "cell.json", *SIZE)
    told = f"nascli: cell.json: {FAULT}; --force trains it all the same\n"
    assert (refused.code, refused.out, refused.err) == (2, "", told)
    assert not (here / "model.run").exists()


def test_quiet_is_quiet(here, nascli):
    done = nascli(*SEARCH, "-q")
    assert (done.code, done.out, done.err) == (0, "run.safetensors\n", "")
    derived = nascli("derive", "run.safetensors", "-q")
    assert (derived.code, derived.out, derived.err) == (0, "cell.json\n", "")
    assert nascli("derive", "run.safetensors", "--sample", 3, "-q", "-o", "c.json").err == ""


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--seeds", "0-1"], ["--no-force"]])
def test_a_refusal_is_one_line_and_nothing_is_written(more, here, nascli):
    done = nascli("train", NOTHING, *SIZE, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"nascli: {NOTHING}: {FAULT}; --force trains it all the same\n"
    assert list(here.iterdir()) == []


def test_force_trains_and_its_run_is_resumed_without_another_word(here, nascli, monkeypatch):
    whole = nascli("train", NOTHING, *SIZE, "--force", "-q", "-o", "whole.safetensors")
    assert (whole.code, whole.err) == (0, "")
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", counted)
        assert nascli("train", NOTHING, *SIZE, "--force", "-q").code == 130
    done = nascli("train", NOTHING, "--resume")
    assert done.code == 0, done.err
    assert "resumed after step 2" in done.err
    assert (here / "model.safetensors").read_bytes() == (here / "whole.safetensors").read_bytes()
    again = nascli("train", NOTHING, "--resume")
    assert (again.code, "this run is complete" in again.err) == (0, True)


def test_runs_from_before_there_was_such_a_setting_are_resumed(here, nascli):
    """With --force where they need it now."""
    connected = NOTHING.replace("|none~0|none~1|none~2|", "|skip_connect~0|none~1|none~2|")
    for text, force in ((connected, []), (NOTHING, ["--force"])):
        assert nascli("train", text, *SIZE, *force, "-q", "--overwrite").code == 0
        (here / "model.safetensors").unlink()
        path = here / "model.run" / "config.json"
        saved = json.loads(path.read_text())
        del saved["config"]["force"]
        path.write_text(json.dumps(saved))
        if force:
            assert nascli("train", text, "--resume").code == 2
        done = nascli("train", text, "--resume", *force)
        assert done.code == 0, done.err
        assert "resumed after step 3" in done.err
