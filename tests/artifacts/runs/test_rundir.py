"""A run's folder survives kill -9 at any moment, and belongs to one process at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nascli.artifacts.runs import lock, rundir
from nascli.artifacts.runs.rundir import RunDir
from nascli.errors import ArtifactError, NascliError, UsageError


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    with RunDir(tmp_path / "search.run").locked() as opened:
        yield opened


def test_its_name_comes_from_the_output() -> None:
    assert RunDir.for_output("out/run.safetensors") == Path("out/run.run")
    assert RunDir.for_output(Path("model")) == Path("model.run")
    assert RunDir.for_output("out/run.json") == Path("out/run.ranking"), "both have a folder of their own"
    assert RunDir.for_output("-") is None


def test_configuration(run: RunDir) -> None:
    assert (run.has_run(), run.read_config()) == (False, None)
    run.write_config({"stage": "search", "config": {"lr": 0.1, "data_dir": "é"}})
    assert run.has_run()
    assert run.read_config() == {"stage": "search", "config": {"lr": 0.1, "data_dir": "é"}}
    (run.path / rundir.CONFIG).write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json: is not valid JSON"):
        run.read_config()


def test_checkpoints_replace_each_other(run: RunDir) -> None:
    assert run.read_checkpoint() is None
    run.write_checkpoint(b"one")
    run.write_checkpoint(b"two")
    assert run.read_checkpoint() == b"two" == run.checkpoint.read_bytes()


def test_metrics_after_a_kill_in_the_middle_of_a_line(run: RunDir) -> None:
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "train_loss": 1 / epoch})
    path = run.path / rundir.METRICS_FILE
    whole = path.read_bytes()
    last = whole.rstrip().rfind(b"\n") + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        assert [row["epoch"] for row in run.read_metrics()] == [1, 2]
        run.append_metrics({"epoch": 3, "train_loss": 1 / 3})
        assert path.read_bytes() == whole


def test_metrics_of_epochs_after_the_checkpoint_are_dropped(run: RunDir) -> None:
    run.truncate_metrics(0)
    assert run.read_metrics() == []
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "loss": 0.1 + 0.2})
    before = (run.path / rundir.METRICS_FILE).read_bytes().splitlines(keepends=True)
    with (run.path / rundir.METRICS_FILE).open("ab") as stream:
        stream.write(b'{"epoch": 4, "lo')
    run.truncate_metrics(2)
    assert (run.path / rundir.METRICS_FILE).read_bytes() == b"".join(before[:2])
    assert run.read_metrics() == [{"epoch": 1, "loss": 0.30000000000000004}, {"epoch": 2, "loss": 0.30000000000000004}]


def test_a_malformed_line_is_named(run: RunDir) -> None:
    (run.path / rundir.METRICS_FILE).write_bytes(b'{"epoch": 1}\n{"epoch": \n{"epoch": 3}\n')
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl: line 2: is not valid JSON"):
        run.read_metrics()
    (run.path / rundir.METRICS_FILE).write_bytes(b'{"epoch": "x"}\n')
    with pytest.raises(ArtifactError, match='no whole number as its "epoch"'):
        run.truncate_metrics(1)


def test_what_is_not_finite_becomes_null(run: RunDir) -> None:
    run.append_metrics({"epoch": 1, "loss": float("nan"), "lr": float("inf"), "accuracy": 0.5})
    assert run.read_metrics() == [{"epoch": 1, "loss": None, "lr": None, "accuracy": 0.5}]


def test_events_are_tensorboards(run: RunDir) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run.append_metrics({"epoch": 1, "loss": 0.5, "note": "text is left out"})
    run.append_metrics({"epoch": 2, "loss": 0.25})
    events = accumulator.EventAccumulator(str(run.path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    assert events.Tags()["scalars"] == ["epoch", "loss"]


def test_clear_removes_the_run_and_nothing_else(run: RunDir) -> None:
    (run.path / "notes.txt").write_text("mine")
    run.write_config({})
    run.append_metrics({"epoch": 1})
    run.write_checkpoint(b"")
    run.clear()
    assert sorted(path.name for path in run.path.iterdir()) == [rundir.LOCK, "notes.txt"]
    assert not run.has_run()


def test_leftovers_of_a_killed_writer_go_when_the_next_one_comes(tmp_path: Path) -> None:
    (tmp_path / ".nascli-0123456789abcdef.tmp").write_bytes(b"half a checkpoint")
    with RunDir(tmp_path).locked():
        assert [path.name for path in tmp_path.iterdir()] == [rundir.LOCK]


def test_places_where_there_can_be_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"), RunDir(tmp_path / "file").locked():
        pass
    with pytest.raises(UsageError, match="Not a directory"), RunDir(tmp_path / "file" / "run").locked():
        pass


def test_a_full_disk_while_metrics_are_written(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NascliError, match="No space left"):
        run.append_metrics({"epoch": 1})


def test_two_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    message = f"in use by process {os.getpid()}: wait"
    with RunDir(tmp_path).locked(), pytest.raises(UsageError, match=message), RunDir(tmp_path).locked():
        pass
    with RunDir(tmp_path).locked():
        pass


HOLD = """
import os, sys, time
from nascli.artifacts.runs.rundir import RunDir
with RunDir(sys.argv[1]).locked():
    worker = os.fork()
    if worker == 0:
        time.sleep(1.5)  # a worker that notices late that its parent is gone; it has the parent's lock too
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def test_kill_9_gives_the_folder_free_even_if_a_worker_lives_a_little_longer(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        with pytest.raises(UsageError, match=f"in use by process {holder.pid}"), RunDir(tmp_path).locked():
            pass
        assert time.monotonic() - started < 1, "who is running is not waited for"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    with RunDir(tmp_path).locked() as run:
        run.write_config({})
    assert run.has_run()
    assert lock.ORPHANS_SECONDS > 5
