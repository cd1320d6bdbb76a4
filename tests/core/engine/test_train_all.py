"""Several trainings in one call: their names, what is checked before, and what is left when one is interrupted."""

import os
import signal

import pytest

import nascli
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.published import load
from nascli.core.engine.reporter import Silent
from nascli.core.engine.train import TrainJob
from nascli.core.engine.train_all import members
from nascli.errors import Interrupted, UsageError
from tests.small_cells import OTHER_SMALL_CELL, SMALL_CELL

SMALL = {"dataset": "digits", "epochs": 1, "limit_train": 96, "batch_size": 32, "layers": 1, "channels": 2}
STEPS = 3
"""Steps of each training: 96 images, 32 at a time."""


def config(**given) -> nascli.TrainConfig:
    return nascli.TrainConfig(**{**SMALL, **given})


def contents(folder) -> dict[str, str]:
    """The digest of every result."""
    return {path.name: sha256(path.read_bytes()) for path in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two genotypes with two seeds each, trained without a break."""
    folder = tmp_path_factory.mktemp("whole")
    models = nascli.train_all(
        [SMALL_CELL, OTHER_SMALL_CELL], config(), nascli.Destination(folder / "model.safetensors"), seeds=[3, 1]
    )
    return folder, models


def signalled(monkeypatch, at: int, number: int = signal.SIGINT) -> None:
    """Let a signal arrive in step `at`, counted from 1 over all trainings."""
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), number)
        return step(self)

    monkeypatch.setattr(TrainJob, "step", counted)


@pytest.mark.parametrize(
    ("genotypes", "seeds", "names"),
    [
        (["darts-v1"], None, ["model"]),
        (["darts-v1"], [7], ["model-seed7"]),
        (["darts-v1"], [1, 0], ["model-seed1", "model-seed0"]),
        (["darts-v1", "enas"], None, ["model-1", "model-2"]),
        (["darts-v1", "enas"], [0, 1], ["model-1-seed0", "model-1-seed1", "model-2-seed0", "model-2-seed1"]),
    ],
)
def test_files_are_called_by_genotype_and_seed(genotypes, seeds, names, tmp_path):
    planned = members(genotypes, seeds, nascli.Destination(tmp_path / "model.safetensors"))
    assert [member.destination.output for member in planned] == [tmp_path / f"{name}.safetensors" for name in names]
    assert [member.destination.run_path for member in planned] == [tmp_path / f"{name}.run" for name in names]


def test_every_genotype_is_trained_from_every_seed_as_it_would_be_alone(whole, tmp_path):
    folder, models = whole
    assert [model.where for model in models] == [
        str(folder / f"model-{number}-seed{seed}.safetensors") for number in (1, 2) for seed in (3, 1)
    ]
    alone = nascli.train(OTHER_SMALL_CELL, config(seed=1), nascli.Destination(tmp_path / "alone.safetensors"))
    assert models[3].sha256 == alone.sha256 == sha256((folder / "model-2-seed1.safetensors").read_bytes())
    assert len({model.sha256 for model in models}) == 4


@pytest.mark.parametrize("at", [1, STEPS - 1, STEPS + 2])
def test_an_interrupted_call_is_resumed_to_the_same_bytes(at, whole, tmp_path, monkeypatch):
    """In the first training or in the second; what is complete is not trained again."""
    destination = nascli.Destination(tmp_path / "model.safetensors")
    genotypes, seeds = [SMALL_CELL, OTHER_SMALL_CELL], [3, 1]
    with monkeypatch.context() as patched:
        signalled(patched, at)
        with pytest.raises(Interrupted) as caught:
            nascli.train_all(genotypes, config(), destination, seeds=seeds)
    assert caught.value.exit_code == 130
    complete = contents(tmp_path)
    assert len(complete) == (at - 1) // STEPS
    kept = {name: (tmp_path / name).stat().st_mtime_ns for name in complete}
    nascli.train_all(genotypes, config(), nascli.Destination(tmp_path / "model.safetensors", resume=True), seeds=seeds)
    assert contents(tmp_path) == contents(whole[0])
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == kept


def test_a_signal_in_the_last_step_of_a_training_keeps_the_next_from_starting(tmp_path, monkeypatch):
    destination = nascli.Destination(tmp_path / "model.safetensors")
    with monkeypatch.context() as patched:
        signalled(patched, STEPS, signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM after 1 of 2 trainings.*--resume") as caught:
            nascli.train_all([SMALL_CELL], config(), destination, seeds=[0, 1])
        assert caught.value.exit_code == 143
    assert {path.name for path in tmp_path.iterdir()} == {"model-seed0.safetensors", "model-seed0.run"}


def test_a_signal_in_the_very_last_step_comes_too_late(tmp_path, monkeypatch):
    signalled(monkeypatch, 2 * STEPS)
    nascli.train_all([SMALL_CELL], config(), nascli.Destination(tmp_path / "model.safetensors"), seeds=[0, 1])
    assert len(contents(tmp_path)) == 2


def test_destinations_are_checked_before_the_first_training(tmp_path):
    (tmp_path / "model-seed1.safetensors").write_text("not to be lost")
    with pytest.raises(UsageError, match=r"model-seed1\.safetensors exists"):
        nascli.train_all([SMALL_CELL], config(), nascli.Destination(tmp_path / "model.safetensors"), seeds=[0, 1])
    assert [path.name for path in tmp_path.iterdir()] == ["model-seed1.safetensors"]


def test_genotypes_are_read_before_the_first_training(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(nascli.NascliError, match=r"bad\.json"):
        nascli.train_all(
            [SMALL_CELL, tmp_path / "bad.json"], config(), nascli.Destination(tmp_path / "model.safetensors")
        )
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]


def test_resuming_with_the_genotypes_in_another_order_is_refused(whole):
    folder, _ = whole
    destination = nascli.Destination(folder / "model.safetensors", resume=True)
    before = contents(folder)
    with pytest.raises(UsageError, match="started from another file"):
        nascli.train_all([OTHER_SMALL_CELL, SMALL_CELL], config(), destination, seeds=[3, 1])
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("genotypes", "given", "seeds", "message"),
    [
        (["darts-v1", "darts-v1"], {}, None, "darts-v1 is given twice"),
        (["darts-v1", "darts-v1"], {}, [0, 1], "darts-v1 is given twice"),
        ([SMALL_CELL], {}, [0, 1, 0], "seed 0 is given twice"),
        ([SMALL_CELL], {}, [], "no seed"),
        ([], {}, None, "no genotype"),
        (["-", "-"], {}, None, "'-' is given twice"),
        ([SMALL_CELL], {"output": "-"}, [0], "cannot share standard output"),
        ([SMALL_CELL, "enas"], {"run_dir": "there"}, None, "--run-dir is the folder of one run"),
        ([SMALL_CELL], {"output": "."}, [0], "is a folder"),
    ],
)
def test_what_cannot_be_several_models_is_refused(genotypes, given, seeds, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    destination = nascli.Destination(**{"output": "model.safetensors", **given})
    with pytest.raises(UsageError, match=message):
        nascli.train_all(genotypes, config(), destination, seeds=seeds)
    assert list(tmp_path.iterdir()) == []


def test_without_a_destination_the_models_are_returned():
    notes: list[str] = []
    reporter = Silent()
    reporter.notice = notes.append
    models = nascli.train_all(["darts-v1", "enas"], config(), reporter=reporter)
    assert [model.value.genotype for model in models] == [load(name).genotype for name in ("darts-v1", "enas")]
    assert [text for text in notes if "running statistics" not in text] == [
        "training 1 of 2: darts-v1",
        "training 2 of 2: enas",
    ]
