"""Whatever happens to one rank, the job ends with one message, the checkpoint is whole, and the run can go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nascli.artifacts.runs.rundir import RunDir
from tests.distributed import faults
from tests.distributed.forked import Jobs

SEARCH = ["search", "--method", "spos", "--space", "nas-bench-201", "--channels", "2", "--dataset", "digits", "-q"]
SEARCH += ["--limit-train", "32", "--epochs", "2", "--device", "cpu"]
OWN = [*SEARCH, "--no-sync-batch-norm"]
"""The statistics of batch norms are each rank's own: ten times fewer exchanges, which take most of the time."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    return Jobs(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="module")
def whole(jobs):
    """The result of two undisturbed ranks."""
    ended = jobs.run([*OWN, "-o", "whole.safetensors"])
    assert (ended.codes, ended.err) == ([0, 0], "")
    return (jobs.folder / "whole.safetensors").read_bytes()


def one_message(ended):
    """The only line of a job that has failed, without the name of the program."""
    assert not ended.out
    (line,) = ended.err.splitlines()
    assert line.startswith("nascli: ")
    return line.removeprefix("nascli: ")


def resumed(jobs, name, count=2):
    """The result of a run that goes on."""
    ended = jobs.run([*OWN, "-o", f"{name}.safetensors", "--resume"], count)
    assert (ended.codes, ended.err) == ([0] * count, "")
    assert not list((jobs.folder / f"{name}.run").glob(".nascli-*"))
    return (jobs.folder / f"{name}.safetensors").read_bytes()


def test_only_the_first_rank_writes_and_prints(jobs, whole):
    ended = jobs.run([*(text for text in OWN if text != "-q"), "-o", "-", "--run-dir", "piped"])
    assert (ended.codes, ended.out) == ([0, 0], whole)
    told = ended.err.splitlines()
    assert len(told) == len(set(told)) > 3
    rows = RunDir(jobs.folder / "piped").read_metrics()
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    files = sorted(path.name.split(".")[0] for path in (jobs.folder / "piped").iterdir() if path.name != ".lock")
    assert files == ["checkpoint", "config", "events", "metrics"]


@pytest.mark.parametrize(
    ("fault", "rank"),
    [
        (faults.killed_in_a_step, 0),
        (faults.killed_at_the_end_of_an_epoch, 1),
        (faults.killed_while_the_second_checkpoint_is_written, 0),
        (faults.killed_while_the_result_is_written, 0),
    ],
)
def test_a_killed_rank_is_named_and_the_run_goes_on_to_the_same_bytes(jobs, whole, fault, rank):
    name = fault.__name__
    ended = jobs.run([*OWN, "-o", f"{name}.safetensors"], fault=fault, rank=rank)
    assert ended.codes == ([-signal.SIGKILL, 1] if rank == 0 else [1, -signal.SIGKILL])
    assert one_message(ended).startswith(f"rank {rank} of 2 ended without a word")
    assert resumed(jobs, name) == whole


@pytest.mark.parametrize("fault", [faults.kill, faults.killed_while_data_is_read])
def test_a_rank_that_is_killed_before_the_first_step_is_named(jobs, fault):
    """Before it joins the others, and after."""
    ended = jobs.run([*OWN, "-o", "early.safetensors", "--overwrite"], fault=fault, rank=1)
    assert ended.codes == [1, -signal.SIGKILL]
    assert one_message(ended).startswith("rank 1 of 2 ended without a word")


@pytest.fixture(scope="module")
def stopped(jobs, whole):
    """What SIGTERM to all ranks leaves."""
    faulty = {"fault": faults.asks_for_a_signal, "rank": 1, "signal_at": faults.SIGNAL}
    return jobs.run([*OWN, "-o", "stopped.safetensors"], **faulty)


def test_a_signal_stops_all_ranks_after_the_same_step(stopped):
    assert stopped.codes == [143, 143]
    assert one_message(stopped).startswith("stopped by SIGTERM after step ")
    assert one_message(stopped).endswith("checkpoint in stopped.run; continue with --resume")


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_ranks_goes_on(jobs, stopped, count):
    shutil.copytree(jobs.folder / "stopped.run", jobs.folder / f"other-{count}.run")
    assert resumed(jobs, f"other-{count}", count)


def test_a_stopped_run_goes_on_to_the_same_bytes(jobs, stopped, whole):
    assert resumed(jobs, "stopped") == whole


def test_an_interrupt_has_its_own_exit_code(jobs):
    faulty = {"fault": faults.asks_for_a_signal, "signal_at": faults.SIGNAL, "number": signal.SIGINT}
    ended = jobs.run([*OWN, "-o", "interrupted.safetensors"], **faulty)
    assert ended.codes == [130, 130]
    assert one_message(ended).startswith("stopped by SIGINT after step ")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_is_named_in_time(jobs, rank):
    """And one that torchrun kills afterwards, which the test does here."""
    arguments = [*OWN, "-o", f"hung-{rank}.safetensors", "--dist-timeout", "2"]
    ended = jobs.run(arguments, fault=faults.hangs, rank=rank)
    assert ended.codes == ([-signal.SIGKILL, 1] if rank == 0 else [1, -signal.SIGKILL])
    assert one_message(ended).startswith(f"rank {rank} of 2 did not answer in time (--dist-timeout)")
    assert ended.seconds < 30


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (faults.without_memory, 5, "rank 1: out of memory at batch size 8: try --batch-size 4"),
        (faults.without_pictures, 4, "rank 1: /images: there are no pictures"),
        (faults.with_a_poisoned_batch, 1, "no longer finite at step 3 "),
    ],
)
def test_what_fails_on_one_rank_ends_all_with_its_code(jobs, whole, fault, code, text):
    name = fault.__name__
    ended = jobs.run([*OWN, "-o", f"{name}.safetensors"], fault=fault, rank=1)
    assert ended.codes == [code, code]
    assert text in one_message(ended)
    for rank in range(2):  # torchrun's report repeats it
        told = json.loads((jobs.folder / f"rank-{rank}.json").read_text())["message"]
        assert told["message"] == told["extraInfo"]["py_callstack"] == f"nascli: {one_message(ended)}"
    if code == 1:  # the checkpoint is one from before the fault
        assert resumed(jobs, name) == whole


def test_a_rank_that_differs_is_named(jobs):
    ended = jobs.run([*OWN, "-o", "differs.safetensors"], 3, fault=faults.with_another_weight, rank=1)
    assert ended.codes == [1, 1, 1]
    assert "rank 1 of 3 differs from the others" in one_message(ended)


def test_with_synchronised_batch_norms_a_stopped_run_goes_on_to_the_same_bytes(jobs, whole):
    names = "synced", "synced-stopped"
    ended = jobs.run([*SEARCH, "-o", "synced.safetensors"])
    assert (ended.codes, ended.err) == ([0, 0], "")
    arguments = [*SEARCH, "-o", "synced-stopped.safetensors"]
    assert jobs.run(arguments, fault=faults.asks_for_a_signal, signal_at=faults.SIGNAL).codes == [143, 143]
    assert jobs.run([*arguments, "--resume"]).codes == [0, 0]
    first, second = ((jobs.folder / f"{name}.safetensors").read_bytes() for name in names)
    assert first == second != whole


def test_torchrun_starts_a_job_again_and_it_ends_in_the_same_bytes(tmp_path, whole):
    """A rank is killed once. What the ranks of the first attempt have said must not count in the second."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "3", "-m", "tests.distributed.killed_once", str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, *OWN, "-o", tmp_path / "again.safetensors", "--resume"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    (said,) = (line for line in ended.stderr.splitlines() if line.startswith("nascli:"))
    assert "rank 1 of 2 ended without a word" in said
    assert (tmp_path / "again.safetensors").read_bytes() == whole
