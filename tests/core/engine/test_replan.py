"""Trainings that keep their best epoch, stop early, or get other epochs; killed, they end in the same bytes."""

import json
import math
import shutil

import pytest

import nascli
from nascli.core.engine.best_epoch import better, without_gain
from nascli.core.engine.reporter import Silent
from nascli.core.engine.train import TrainJob
from nascli.errors import UsageError

SMALL = {"dataset": "digits", "epochs": 6, "limit_train": 64, "batch_size": 24, "layers": 1, "channels": 2}
GIVEN = {**SMALL, "validation": 0.25, "lr": 0.1, "lr_min": 0.0}
CELL = "|skip_connect~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
ACCURACIES = (0.2, 0.5, 0.4, 0.5, 0.5, 0.3, 0.5, 0.5)
LOSSES = (1.0, 1.0, 0.1, 0.8, 0.8, 0.5, 0.9, 0.9)
"""By epoch. The accuracy rises last in the second; the loss at that accuracy is lowest in the fourth, then equal."""
STEPS = 2
"""Steps of an epoch: 48 images, 24 at a time."""


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(autouse=True)
def scripted(monkeypatch):
    """Accuracies and losses on validation images that are known beforehand."""

    def watched(job):
        epoch = job.steps_done // job.steps_per_epoch - 1
        return {"validation_loss": LOSSES[epoch], "validation_accuracy": ACCURACIES[epoch]}

    monkeypatch.setattr(TrainJob, "watched", watched)
    monkeypatch.setattr("nascli.core.engine.train.FEW_STEPS", 0)


def train(path, *, resume=False, reporter=None, **given):
    settings = {"space": "nas-bench-201", "stem": "cifar", "method": "darts", **GIVEN, "layers": 3, **given}
    destination = nascli.Destination(path, resume=resume)
    return nascli.train(CELL, nascli.TrainConfig(**settings), destination, reporter or Silent())


def killed(monkeypatch, path, step, **given) -> None:
    """The same, killed in a step, counted from 0."""
    own = TrainJob.step

    def once(job):
        if job.steps_done == step:
            raise Killed
        return own(job)

    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", once)
        with pytest.raises(Killed):
            train(path, **given)


def noting():
    reporter, notes = Silent(), []
    reporter.notice = notes.append
    return reporter, notes


def test_the_best_epoch_is_by_accuracy_then_by_loss_then_the_earlier():
    rows = [
        {"epoch": epoch, "validation_accuracy": accuracy, "validation_loss": loss}
        for epoch, (accuracy, loss) in enumerate(zip(ACCURACIES, LOSSES, strict=True), start=1)
    ]
    best = None
    for row in rows:
        best = row if better(row, best) else best
    assert best["epoch"] == 4
    assert [without_gain(rows[:count]) for count in range(6)] == [0, 0, 0, 1, 2, 3]
    lost = {"validation_accuracy": 0.5, "validation_loss": math.nan}
    assert not better(lost, rows[1])
    assert better(rows[1], lost)


def test_the_best_epoch_is_kept_and_told(tmp_path):
    reporter, notes = noting()
    best = train(tmp_path / "best.safetensors", keep="best", reporter=reporter)
    assert (best.value.metrics["epoch"], best.value.metrics["epochs_done"]) == (4, 6)
    assert notes[-1] == "the model has the weights of epoch 4 of 6, the best on the validation images (50.0%)"
    # By another way: a run of the same plan, stopped by patience where the other was best.
    fourth = train(tmp_path / "fourth.safetensors", patience=2)
    assert (fourth.value.metrics["epoch"], fourth.value.metrics["step"]) == (4, 8)
    last = train(tmp_path / "last.safetensors")
    assert last.value.metrics["epoch"] == 6
    for name, value in best.value.weights.items():
        assert (value == fourth.value.weights[name]).all(), name
    assert any((value != last.value.weights[name]).any() for name, value in best.value.weights.items())


def test_patience_ends_a_run_which_is_then_complete_or_gets_more(tmp_path):
    path = tmp_path / "m.safetensors"
    reporter, notes = noting()
    train(path, patience=3, reporter=reporter)
    expected = "stopped after epoch 5 of 6: 3 epochs without a validation accuracy above the 50.0% of epoch 2"
    assert notes == [expected]
    before = path.read_bytes()
    train(path, patience=3, resume=True, reporter=reporter)
    assert notes[-1] == "this run is complete: nothing to resume"
    path.unlink()  # the run alone still knows that it has ended
    train(path, patience=3, resume=True)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="has stopped after 3 epochs .*: give a larger --patience too, or 0"):
        train(path, patience=3, epochs=8, resume=True)
    with pytest.raises(UsageError, match="patience was 3 and is 2"):
        train(path, patience=2, resume=True)
    train(path, patience=4, resume=True)
    train(tmp_path / "whole.safetensors", patience=4)
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes() != before


def test_a_killed_run_ends_in_the_same_bytes(tmp_path, monkeypatch):
    given = {"keep": "best", "patience": 3}
    train(tmp_path / "whole.safetensors", **given)
    for step in (3, 8, 9):
        path = tmp_path / f"{step}.safetensors"
        killed(monkeypatch, path, step, **given)
        train(path, resume=True, **given)
        assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes(), step


def test_a_complete_run_gets_more_epochs_and_a_kill_changes_nothing(tmp_path, monkeypatch):
    reporter, notes = noting()
    train(tmp_path / "m.safetensors", epochs=4, keep="best")
    shutil.copy(tmp_path / "m.safetensors", tmp_path / "whole.safetensors")
    shutil.copytree(tmp_path / "m.run", tmp_path / "whole.run")
    model = train(tmp_path / "whole.safetensors", epochs=8, keep="best", resume=True, reporter=reporter)
    # Half of a cosine from 0.1 to 0 is 0.05; the first plan had ended at 0.
    assert notes[0] == "epochs were 4 and are 8: epoch 5 goes on with a learning rate of 0.05, by the earlier plan 0"
    assert model.provenance.note == "planned for 4 epochs until step 8"
    killed(monkeypatch, tmp_path / "m.safetensors", 8, epochs=8, keep="best", resume=True)
    killed(monkeypatch, tmp_path / "m.safetensors", 13, epochs=8, keep="best", resume=True)
    train(tmp_path / "m.safetensors", epochs=8, keep="best", resume=True)
    assert (tmp_path / "m.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "m.run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[4]["lr"] == pytest.approx(0.05 * (1 + math.cos(math.pi * 9 / 16)))


def test_a_plan_by_which_no_step_was_done_leaves_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    killed(monkeypatch, path, 5)
    for epochs in (7, 5, 6):
        killed(monkeypatch, path, 4, epochs=epochs, resume=True)
    train(path, resume=True)
    train(tmp_path / "whole.safetensors")
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_fewer_epochs_than_are_done_are_refused_and_as_many_end_the_run(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    killed(monkeypatch, path, 8)
    config = (tmp_path / "m.run" / "config.json").read_bytes()
    with pytest.raises(UsageError, match="is in epoch 4 already: give --epochs 4 or more"):
        train(path, epochs=3, resume=True)
    assert (tmp_path / "m.run" / "config.json").read_bytes() == config
    reporter, notes = noting()
    assert train(path, epochs=4, resume=True, reporter=reporter).value.metrics["epoch"] == 4
    assert notes == ["epochs were 6 and are 4: all of them are done"]
    (tmp_path / "m.run" / "checkpoint.safetensors").unlink()
    with pytest.raises(UsageError, match=r"checkpoint\.safetensors is gone"):
        train(path, epochs=8, resume=True)


def test_searches_get_more_epochs_but_not_those_that_share_them_out(tmp_path):
    given = {"dataset": "digits", "limit_train": 32, "batch_size": 16, "layers": 3, "channels": 2}
    for method, space in (("darts", "nas-bench-201"), ("random", "nas-bench-201")):
        path = tmp_path / f"{method}.safetensors"
        own = {"trials": 1} if method == "random" else {}
        config = nascli.SearchConfig(method=method, space=space, epochs=1, **given, **own)
        nascli.search(config, nascli.Destination(path))
        longer = config.model_copy(update={"epochs": 2})
        if method == "random":
            with pytest.raises(UsageError, match="epochs was 1 and is 2"):
                nascli.search(longer, nascli.Destination(path, resume=True))
        else:
            found = nascli.search(longer, nascli.Destination(path, resume=True))
            assert found.provenance.note == "planned for 1 epoch until step 1"


@pytest.mark.parametrize(
    ("given", "wanted"), [({"keep": "best"}, "--keep best needs"), ({"patience": 2}, "--patience needs")]
)
def test_without_validation_images_there_is_no_best(given, wanted, tmp_path):
    with pytest.raises(UsageError, match=f"{wanted} validation images, and digits has none: .*--validation"):
        train(tmp_path / "m.safetensors", **given, validation=0)
    assert list(tmp_path.iterdir()) == []
