"""Searches from several seeds: their names, and that each is as it would be alone, also after an interrupt."""

import os
import signal

import pytest

import nascli
from nascli.artifacts.files.disk import sha256
from nascli.core.engine.destination import Destination
from nascli.core.engine.search import SearchJob
from nascli.errors import Interrupted, UsageError

CONFIG = nascli.SearchConfig(
    method="spos", space="nas-bench-201", limit_train=64, batch_size=16, epochs=1, layers=3, channels=2, seed=9
)
STEPS = 2
"""Steps of each search: half of 64 images, 16 at a time."""


def contents(folder) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()) for path in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, nascli.search_all(CONFIG, [3, 1], Destination(folder / "run.safetensors"))


def test_every_search_is_as_it_would_be_alone(whole, tmp_path):
    folder, found = whole
    assert [one.where for one in found] == [str(folder / f"run-seed{seed}.safetensors") for seed in (3, 1)]
    assert (folder / "run-seed3.run" / "metrics.jsonl").exists()
    alone = nascli.SearchConfig(**{**CONFIG.model_dump(), "seed": 1})
    assert nascli.search(alone, Destination(tmp_path / "alone.safetensors")).sha256 == found[1].sha256
    assert found[0].sha256 != found[1].sha256


@pytest.mark.parametrize("at", [STEPS, STEPS + 1])
def test_an_interrupted_call_is_resumed_to_the_same_bytes(at, whole, tmp_path, monkeypatch):
    step, count = SearchJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    target = tmp_path / "run.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(SearchJob, "step", counted)
        with pytest.raises(Interrupted) as caught:
            nascli.search_all(CONFIG, [3, 1], Destination(target))
    assert caught.value.exit_code == 130
    assert len(contents(tmp_path)) == at // STEPS
    assert not (tmp_path / "run-seed1.run").exists() or at > STEPS, "a signal in the last step begins no other search"
    nascli.search_all(CONFIG, [3, 1], Destination(target, resume=True))
    assert contents(tmp_path) == contents(whole[0])


@pytest.mark.parametrize(
    ("seeds", "given", "message"),
    [
        ([], {}, "no seed"),
        ([1, 2, 1], {}, "seed 1 is given twice: the second search would be the same"),
        ([1, 2], {"output": "-"}, "several distributions cannot share standard output"),
        ([1, 2], {"run_dir": "there"}, "--run-dir is the folder of one run"),
    ],
)
def test_what_cannot_be_several_searches_is_refused(seeds, given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        nascli.search_all(CONFIG, seeds, Destination(**{"output": "run.safetensors", **given}))
    assert list(tmp_path.iterdir()) == []


def test_destinations_are_checked_before_the_first_search(tmp_path):
    (tmp_path / "run-seed1.safetensors").write_text("not to be lost")
    with pytest.raises(UsageError, match=r"run-seed1\.safetensors exists"):
        nascli.search_all(CONFIG, [0, 1], Destination(tmp_path / "run.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["run-seed1.safetensors"]
