import json
import os
import signal
import time

import pytest
import torch

from nascli.artifacts.runs.rundir import RunDir
from nascli.core.engine.loop import all_finite, drive
from nascli.core.engine.reporter import Silent
from nascli.errors import Diverged, Interrupted
from tests.core.engine.toy import Parabola

EPOCHS, STEPS = 4, 5


def run(job, path, *, resume=False, compiles=False):
    with RunDir(path).locked() as held:
        return drive(
            job,
            stage="search",
            facts={},
            epochs=EPOCHS,
            steps_per_epoch=STEPS,
            run=held,
            resume=resume,
            reporter=Silent(),
            compiles=compiles,
        )


def without_time(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the loop may catch it."""


@pytest.mark.parametrize("moment", range(0, EPOCHS * STEPS, 3))
def test_a_run_killed_at_any_step_and_resumed_ends_like_one_that_was_not(tmp_path, moment):
    whole = Parabola()
    rows = run(whole, tmp_path / "whole")

    def kill(step):
        if step == moment:
            raise Killed

    killed = Parabola()
    killed.on_step = kill
    with pytest.raises(Killed):
        run(killed, tmp_path / "killed")
    resumed = Parabola()
    again = run(resumed, tmp_path / "killed", resume=True)

    assert torch.equal(resumed.weight, whole.weight)
    assert resumed.steps_done == EPOCHS * STEPS
    assert without_time(again) == without_time(rows)
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint_in_mid_epoch(tmp_path, number):
    job = Parabola()
    job.on_step = lambda step: os.kill(os.getpid(), number) if step == 7 else None
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="after step 8 of 20.*--resume") as caught:
        run(job, tmp_path / "run")
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before

    resumed = Parabola()
    steps = []
    resumed.on_step = steps.append
    rows = run(resumed, tmp_path / "run", resume=True)
    assert steps[0] == 8
    whole = Parabola()
    assert without_time(rows) == without_time(run(whole, tmp_path / "whole"))
    assert torch.equal(resumed.weight, whole.weight)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_wait_for_a_network_to_be_compiled(tmp_path, number):
    def compiling(step):
        try:
            os.kill(os.getpid(), number)
            time.sleep(0)
        except Exception:  # what a compiler does with whatever goes wrong in it
            pytest.fail("the signal was taken for a fault of the compiler")
        pytest.fail("the step went on")

    job = Parabola()
    job.on_step = compiling
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="while the network was compiled") as caught:
        run(job, tmp_path / "run", compiles=True)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    # A signal waits for the end of any later step.
    job = Parabola()
    job.on_step = lambda step: os.kill(os.getpid(), number) if step == 1 else None
    with pytest.raises(Interrupted, match="after step 2 of 20"):
        run(job, tmp_path / "run", resume=True, compiles=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint_before_it(tmp_path):
    with pytest.raises(Diverged, match=r"train_loss.*step 14 \(learning rate 0.1\).*checkpoint"):
        run(Parabola(breaks_at=13), tmp_path / "run")
    repaired = Parabola()
    run(repaired, tmp_path / "run", resume=True)
    whole = Parabola()
    run(whole, tmp_path / "whole")
    assert torch.equal(repaired.weight, whole.weight)


def test_a_weight_that_is_not_finite_stops_the_run_though_the_loss_is(tmp_path):
    job = Parabola()

    def overflow(step):
        if step == 13:
            with torch.no_grad():
                job.weight[1] = float("inf")

    whole = job.step

    def blind():  # to the weight that it has lost
        metrics = whole()
        return metrics if job.steps_done < 14 else {"train_loss": torch.zeros(())}

    job.on_step, job.step = overflow, blind
    with pytest.raises(Diverged, match=r"a weight is no longer finite at step 15 .*checkpoint"):
        run(job, tmp_path / "run")
    resumed = Parabola()
    run(resumed, tmp_path / "run", resume=True)
    assert torch.isfinite(resumed.weight).all()


def test_several_numbers_that_are_not_finite_are_told_together(tmp_path):
    class Broken(Parabola):
        def step(self):
            return {**super().step(), "train_loss": torch.tensor(float("nan")), "b": torch.tensor(float("inf"))}

    with pytest.raises(Diverged, match="^train_loss, b are no longer finite at step 1 "):
        run(Broken(), tmp_path / "run")


def test_every_tensor_of_a_state_is_asked_whether_it_is_finite():
    good = {"a": [torch.ones(2), (torch.zeros(0), {"b": torch.tensor(3)})], "c": 1.5, "d": None}
    assert all_finite(good)
    for bad in (torch.tensor([1.0, float("nan")]), torch.tensor(float("inf"), dtype=torch.float64)):
        assert not all_finite({**good, "e": [{"f": (bad,)}]})
    assert all_finite({})


def test_metrics_are_means_over_the_epoch(tmp_path):
    losses = []

    class Recorded(Parabola):
        def step(self):
            metrics = super().step()
            losses.append(float(metrics["train_loss"]))
            return metrics

    rows = run(Recorded(), tmp_path / "run")
    assert {key: rows[0][key] for key in ("epoch", "step", "weight")} == {"epoch": 0, "step": 0, "weight": 0.0}
    for epoch, row in enumerate(rows[1:]):
        assert row["train_loss"] == pytest.approx(sum(losses[epoch * STEPS : (epoch + 1) * STEPS]) / STEPS, rel=1e-12)
        assert row["step"] == (epoch + 1) * STEPS
