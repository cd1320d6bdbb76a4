import json
import os
import shutil
import signal

import pytest

import nascli
from nascli.core.engine.destination import stored_config
from nascli.core.methods.pc_darts import PcDarts
from nascli.errors import DataError, Interrupted, UsageError

SMALL = {"epochs": 2, "limit_train": 160, "batch_size": 32, "layers": 3, "channels": 4, "nodes": 1}


def config(**given):
    return nascli.SearchConfig(**{**SMALL, **given})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    nascli.search(config(), nascli.Destination(folder / "run.safetensors"))
    return folder


def test_a_run_leaves_its_configuration_and_a_row_for_the_start_and_every_epoch(folder):
    rows = [json.loads(line) for line in (folder / "run.run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    # 160 images, half of them for the weights, 32 a batch: two steps an epoch.
    assert [row["step"] for row in rows] == [0, 2, 4]
    saved = stored_config(nascli.Destination(folder / "run.safetensors"), "search")
    assert nascli.SearchConfig(**saved) == config()


def test_nothing_is_overwritten_unless_asked(folder):
    before = (folder / "run.safetensors").read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        nascli.search(config(seed=1), nascli.Destination(folder / "run.safetensors"))
    with pytest.raises(UsageError, match="holds a run already.*--resume.*--overwrite"):
        nascli.search(config(seed=1), nascli.Destination(folder / "other.safetensors", run_dir=folder / "run.run"))
    assert (folder / "run.safetensors").read_bytes() == before


def test_resuming_what_is_complete_returns_it(folder):
    again = nascli.search(config(), nascli.Destination(folder / "run.safetensors", resume=True))
    assert again.where == str(folder / "run.safetensors")


def test_resuming_with_other_settings_names_them_all(folder):
    (folder / "copy").mkdir()
    destination = nascli.Destination(folder / "copy" / "x.safetensors", run_dir=folder / "run.run", resume=True)
    with pytest.raises(UsageError, match=r"other settings: lr was 0\.1 and is 0\.2; nodes was 1 and is 2"):
        nascli.search(config(nodes=2, lr=0.2), destination)


def test_a_setting_that_is_newer_than_the_run_had_its_default(folder, tmp_path):
    old = tmp_path / "old.run"
    shutil.copytree(folder / "run.run", old)
    document = json.loads((old / "config.json").read_text())
    del document["config"]["background"]
    del document["config"]["settings"]["recompute"]
    (old / "config.json").write_text(json.dumps(document))
    destination = nascli.Destination(tmp_path / "x.safetensors", run_dir=old, resume=True)
    with pytest.raises(UsageError, match="background was 'white' and is 'black'; recompute was False and is True"):
        nascli.search(config(background="black", recompute=True), destination)
    nascli.search(config(), destination)
    assert (tmp_path / "x.safetensors").read_bytes() == (folder / "run.safetensors").read_bytes()


def test_a_finished_run_whose_result_was_lost_is_written_again_from_its_checkpoint(folder):
    destination = nascli.Destination(folder / "again.safetensors", run_dir=folder / "run.run", resume=True)
    nascli.search(config(), destination)
    assert (folder / "again.safetensors").read_bytes() == (folder / "run.safetensors").read_bytes()


def test_a_search_run_is_not_resumed_as_a_training(folder):
    destination = nascli.Destination(folder / "m.safetensors", run_dir=folder / "run.run", resume=True)
    with pytest.raises(UsageError, match="holds a search run"):
        nascli.train("darts-v1", nascli.TrainConfig(dataset="digits"), destination)


def test_a_run_of_another_stage_is_not_overwritten(folder):
    before = sorted((path.name, path.read_bytes()) for path in (folder / "run.run").iterdir())
    destination = nascli.Destination(folder / "m.safetensors", run_dir=folder / "run.run", overwrite=True)
    with pytest.raises(UsageError, match="holds a search run: choose another --run-dir or --output"):
        nascli.train("darts-v1", nascli.TrainConfig(dataset="digits"), destination)
    assert sorted((path.name, path.read_bytes()) for path in (folder / "run.run").iterdir()) == before


def test_the_same_seed_gives_the_same_bytes_wherever_they_are_written(folder, tmp_path):
    nascli.search(config(), nascli.Destination(tmp_path / "elsewhere.safetensors"))
    assert (tmp_path / "elsewhere.safetensors").read_bytes() == (folder / "run.safetensors").read_bytes()


def test_a_failure_before_the_first_step_leaves_nothing_that_blocks_the_next_try(tmp_path):
    destination = nascli.Destination(tmp_path / "run.safetensors")
    with pytest.raises(DataError):
        nascli.search(config(dataset="folder", data_dir=tmp_path / "nowhere"), destination)
    with pytest.raises(UsageError, match="more than the"):
        nascli.search(config(batch_size=500), destination)
    assert list(tmp_path.iterdir()) == []
    nascli.search(config(epochs=1), destination)
    assert (tmp_path / "run.safetensors").exists()


def test_resuming_an_interrupted_overwrite_does_not_take_the_old_result_for_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    nascli.search(config(seed=1), nascli.Destination(path))
    old = path.read_bytes()
    steps = PcDarts.step

    def interrupted(self, streams):
        if self.steps_done == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return steps(self, streams)

    with monkeypatch.context() as patched:
        patched.setattr(PcDarts, "step", interrupted)
        with pytest.raises(Interrupted):
            nascli.search(config(seed=2), nascli.Destination(path, overwrite=True))
    assert path.read_bytes() == old
    nascli.search(config(seed=2), nascli.Destination(path, resume=True))
    nascli.search(config(seed=2), nascli.Destination(tmp_path / "whole.safetensors"))
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes() != old
