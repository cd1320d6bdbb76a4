"""Several cells trained alike: the ranking, what is written, what is trained once, and what is left by an interrupt."""

import csv
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import nascli
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.published import load
from nascli.core.engine.compare import Contest, contest, ranked
from nascli.core.engine.destination import Destination
from nascli.core.engine.reporter import Silent
from nascli.core.engine.train import TrainJob
from nascli.data import DataModule, open_data
from nascli.errors import Interrupted, UsageError

SMALL = {"dataset": "digits", "epochs": 1, "limit_train": 40, "batch_size": 10, "layers": 1, "channels": 2}
STEPS = 3
"""Steps of a training: 30 images, 10 at a time."""

CELLS = ["darts-v1", "enas"]


def config(**given) -> nascli.TrainConfig:
    return nascli.TrainConfig(**{**SMALL, "validation": 0.25, **given})


def contents(folder) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    patched = pytest.MonkeyPatch()
    patched.setattr(DataModule, "test_batches", lambda *_: pytest.fail("the test images are read"))
    with patched.context():
        found = nascli.compare(CELLS, config(), Destination(folder / "m.safetensors"), seeds=[0, 4])
        patched.undo()
    return folder, found


def contest_of(*groups: tuple[str, list[tuple[float, float | None]]]) -> tuple[Contest, list[SimpleNamespace]]:
    """Cells by name with the accuracy and the loss of each of their networks."""
    members, models = [], []
    for name, networks in groups:
        for seed, (accuracy, loss) in enumerate(networks):
            genotype = SimpleNamespace(sha256=name, where=name)
            members.append(SimpleNamespace(genotype=genotype, destination=Destination()))
            metrics = {"validation_accuracy": accuracy, **({} if loss is None else {"validation_loss": loss})}
            value = SimpleNamespace(metrics=metrics, graph=SimpleNamespace(parameters=1))
            models.append(SimpleNamespace(value=value, provenance=SimpleNamespace(seed=seed)))
    numbers = {name: number for number, (name, _) in enumerate(groups, start=1)}
    return Contest(tuple(members), numbers, dict.fromkeys(numbers, ()), ()), models


@pytest.mark.parametrize(
    ("groups", "order"),
    [
        ([("a", [(0.5, 1.0)]), ("b", [(0.6, 9.0)])], "ba"),  # accuracy first
        ([("a", [(0.5, 1.0)]), ("b", [(0.5, 0.9)])], "ba"),  # then the loss
        ([("a", [(0.5, 1.0)]), ("b", [(0.5, 1.0)])], "ab"),  # then the order
        ([("a", [(0.5, None)]), ("b", [(0.5, 7.0)])], "ba"),  # a loss that is not finite is the worst
        ([("a", [(0.9, 1.0), (0.1, 1.0)]), ("b", [(0.5, 1.0), (0.6, 1.0)])], "ba"),  # means: 0.50 and 0.55
        ([("a", [(0.4, 3.0), (0.6, 1.0)]), ("b", [(0.5, 1.5), (0.5, 1.9)])], "ba"),  # means of the loss: 2.0 and 1.7
    ],
)
def test_cells_are_ranked_by_accuracy_then_loss_then_order(groups, order):
    found = ranked(*contest_of(*groups))
    assert "".join(one.cell for one in found) == order
    assert [one.rank for one in found] == [1, 2]


def test_the_figures_are_those_of_the_networks_on_the_images_that_they_have_not_seen(whole):
    """Counted once more, from the files of the models and the split of the data."""
    folder, found = whole
    for cell in found.cells:
        shares = []
        for seed in (0, 4):
            data = open_data(config(seed=seed), device=torch.device("cpu"))
            held_out = data.split({"validation": 0.25, "train": 0.75}, seed)["validation"]
            network = nascli.load_network(folder / f"m-{cell.number}-seed{seed}.safetensors").eval()
            ((images, labels),) = data.batches(held_out, 64)
            with torch.no_grad():
                shares.append(float((network(images).argmax(1) == labels).float().mean()))
        assert cell.validation_accuracy == pytest.approx(sum(shares) / 2)
        assert cell.models == tuple(str(folder / f"m-{cell.number}-seed{seed}.safetensors") for seed in (0, 4))
    assert found.best.value.genotype == load(found.cells[0].cell).genotype
    accuracies = [cell.validation_accuracy for cell in found.cells]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_table_says_the_same(whole):
    folder, found = whole
    assert found.table == folder / "m-ranked.csv"
    with found.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["cell"], row["seeds"]) for row in rows] == [
        (str(cell.rank), cell.cell, "0 4") for cell in found.cells
    ]
    assert [float(row["validation_accuracy"]) for row in rows] == [one.validation_accuracy for one in found.cells]


def test_each_is_trained_as_it_would_be_alone(whole, tmp_path):
    folder, _ = whole
    nascli.train("enas", config(seed=4), Destination(tmp_path / "alone.safetensors"))
    assert (tmp_path / "alone.safetensors").read_bytes() == (folder / "m-2-seed4.safetensors").read_bytes()


def test_an_interrupted_comparison_is_resumed_to_the_same_bytes(whole, tmp_path, monkeypatch):
    """In the second of four trainings."""
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == STEPS + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    target = Destination(tmp_path / "m.safetensors")
    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", counted)
        with pytest.raises(Interrupted):
            nascli.compare(CELLS, config(), target, seeds=[0, 4])
    assert not (tmp_path / "m-ranked.csv").exists()
    nascli.compare(CELLS, config(), Destination(target.output, resume=True), seeds=[0, 4])
    mine, expected = contents(tmp_path), contents(whole[0])
    # The table names the models by their places, which differ.
    assert mine.pop("m-ranked.csv") != expected.pop("m-ranked.csv")
    assert mine == expected
    text = (tmp_path / "m-ranked.csv").read_text().replace(str(tmp_path), str(whole[0]))
    assert text == (whole[0] / "m-ranked.csv").read_text()


def test_equal_cells_are_trained_once_and_keep_their_numbers(tmp_path):
    (tmp_path / "copy.json").write_bytes(load("darts-v1").model_dump_json().encode())
    sources = ["darts-v1", tmp_path / "copy.json", "enas"]
    planned = contest(sources, [5], Destination(tmp_path / "m.safetensors"))
    assert [Path(member.destination.output).name for member in planned.members] == [
        "m-1-seed5.safetensors",
        "m-3-seed5.safetensors",
    ]
    first, last = (member.genotype for member in planned.members)
    assert (planned.numbers[first.sha256], planned.numbers[last.sha256]) == (1, 3)
    assert planned.copies == {first.sha256: (str(tmp_path / "copy.json"),), last.sha256: ()}
    assert planned.notices == (f"{tmp_path / 'copy.json'} is the same cell as darts-v1: it is trained once",)


def test_one_cell_given_twice_is_told_and_is_the_best(monkeypatch):
    trained = []
    monkeypatch.setattr(
        "nascli.core.engine.compare.train_members", lambda members, *_, **__: trained.extend(members) or ["model"]
    )
    monkeypatch.setattr("nascli.core.engine.compare.ranked", lambda *_: (SimpleNamespace(number=1),))
    notes: list[str] = []
    reporter = Silent()
    reporter.notice = notes.append
    assert nascli.compare(["enas", "enas"], config(), reporter=reporter).best.where == "enas"
    assert len(trained) == 1
    assert "nothing to choose" in notes[-1]


@pytest.mark.parametrize(
    ("cells", "given", "message"),
    [
        (["darts-v1"], {}, "several cells, and one is given.*--keep best"),
        ([], {}, "none is given"),
        (["darts-v1", "-"], {}, "'-' cannot be given on"),
        (CELLS, {"validation": 0.0}, "--keep-best needs validation images, and digits has none"),
        (CELLS, {"validation": 0.0, "keep": "best"}, "--keep-best and --keep best need validation images"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_written(cells, given, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        nascli.compare(cells, config(**given), Destination(tmp_path / "m.safetensors"))
    assert list(tmp_path.iterdir()) == []


def test_an_older_table_is_not_lost(tmp_path):
    (tmp_path / "m-ranked.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"m-ranked\.csv exists"):
        nascli.compare(CELLS, config(), Destination(tmp_path / "m.safetensors"))
    assert contents(tmp_path) == {"m-ranked.csv": sha256(b"mine")}
