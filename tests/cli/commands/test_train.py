"""`nascli train` with several genotypes and seeds: what it prints, and what it says of mistakes."""

import json
import os
import signal
import tomllib

import pytest

import nascli as package
from nascli.artifacts.files.disk import sha256
from nascli.core.engine.train import TrainJob
from tests.data.pictures import make_folder
from tests.small_cells import OTHER_SMALL_CELL, SMALL_CELL

TINY = ["--epochs", 1, "--limit-train", 96, "--batch-size", 32, "--layers", 3, "--channels", 2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def two_cells(here):
    """Files with cells whose networks are small."""
    for name, cell in (("one.txt", SMALL_CELL), ("two.txt", OTHER_SMALL_CELL)):
        (here / name).write_text(cell)
    return ["one.txt", "two.txt"]


def test_every_path_is_printed_alone_and_a_table_on_standard_error(two_cells, nascli):
    done = nascli("train", *two_cells, *TINY, "--validation", 0.3, "--seeds", "0-1", "-o", "m.safetensors")
    paths = [f"m-{number}-seed{seed}.safetensors" for number in (1, 2) for seed in (0, 1)]
    assert (done.code, done.out.splitlines()) == (0, paths)
    assert "training 4 of 4: two.txt, seed 1, to m-2-seed1.safetensors" in done.err
    header, *rows = done.err.splitlines()[-5:]
    assert header.split()[:3] == ["model", "seed", "loss"]
    assert header.endswith("validation accuracy")
    assert [row.split()[:2] for row in rows] == [[path, path[-13]] for path in paths]

    evaluated = nascli("eval", *done.out.splitlines(), "-q")
    assert evaluated.code == 0, evaluated.err
    assert "ensemble of 4" in evaluated.out


def test_one_genotype_from_one_seed_is_written_where_it_always_was(here, nascli):
    done = nascli("train", SMALL_CELL, *TINY, "--seed", 4, "-q")
    assert (done.code, done.out, done.err) == (0, "model.safetensors\n", "")
    listed = nascli("train", SMALL_CELL, *TINY, "--seeds", "4", "-q", "--json")
    digest = sha256((here / "model.safetensors").read_bytes())
    assert json.loads(listed.out) == [{"path": "model-seed4.safetensors", "artifact": "model", "sha256": digest}]


def test_an_interrupted_call_says_130_and_goes_on_without_being_told_the_settings_again(here, nascli, monkeypatch):
    step, count = TrainJob.step, 0

    def counted(self):
        nonlocal count
        count += 1
        if count == 5:  # the second of three steps of the second training
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", counted)
        stopped = nascli("train", SMALL_CELL, *TINY, "--seeds", "0-2", "-q")
    assert (stopped.code, stopped.out) == (130, "")
    assert "model-seed1.run" in stopped.err
    assert "--resume" in stopped.err
    done = nascli("train", SMALL_CELL, "--seeds", "0-2", "--resume")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [f"model-seed{seed}.safetensors" for seed in range(3)]
    assert "this run is complete" in done.err
    assert "resumed after step 2" in done.err
    alone = nascli("train", SMALL_CELL, *TINY, "--seed", 2, "-q", "-o", "alone.safetensors")
    assert alone.code == 0
    assert (here / "alone.safetensors").read_bytes() == (here / "model-seed2.safetensors").read_bytes()


def test_resuming_needs_no_genotype(here, nascli, monkeypatch):
    def interrupt(self):
        os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    step = TrainJob.step
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    with monkeypatch.context() as patched:
        patched.setattr(TrainJob, "step", interrupt)
        assert nascli("train", text, *TINY, "-q", "-o", "a.safetensors").code == 130
    assert nascli("train", text, *TINY, "-q", "-o", "whole.safetensors").code == 0
    done = nascli("train", "--resume", "-q", "-o", "a.safetensors")
    assert (done.code, done.out) == (0, "a.safetensors\n"), done.err
    assert (here / "a.safetensors").read_bytes() == (here / "whole.safetensors").read_bytes()
    # And once more, now that it is complete.
    assert nascli("train", "--resume", "-q", "-o", "a.safetensors").code == 0


def test_without_a_genotype_there_is_nothing_to_train(here, nascli):
    for arguments in ((), ("--resume",), ("--resume", "--seeds", "0-1")):
        done = nascli("train", *arguments)
        assert done.code == 2
        assert "no genotype is given" in done.err
    assert "model.run holds none: name the one to train" in nascli("train", "--resume").err


def test_a_dry_run_tells_of_every_training_and_writes_nothing(two_cells, here, nascli):
    arguments = ["train", *two_cells, *TINY, "--seeds", "0,5", "--method", "darts", "--dry-run", "-q"]
    done = nascli(*arguments)
    assert done.code == 0, done.err
    assert "seed" not in tomllib.loads(done.out)
    assert tomllib.loads(done.out)["channels"] == 2
    for number, name in enumerate(two_cells, start=1):
        for seed in (0, 5):
            assert f"# {name}, seed {seed}, to model-{number}-seed{seed}.safetensors:\n" in done.out
    plans = json.loads(nascli(*arguments, "--json").out)
    assert [plan["config"]["seed"] for plan in plans] == [0, 5, 0, 5]
    assert plans[0]["parameters"] == plans[1]["parameters"] != plans[2]["parameters"]
    assert sorted(path.name for path in here.iterdir()) == two_cells


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["darts-v1", "darts-v1"], 2, "darts-v1 is given twice"),
        (["-", "-"], 2, "'-' is given twice"),
        (["darts-v1", "enas", "-o", "-"], 2, "cannot share standard output"),
        (["darts-v1", "enas", "--run-dir", "there"], 2, "--run-dir is the folder of one run"),
        (["darts-v1", "--seeds", "0,1", "--seed", "0"], 2, "--seed and --seeds contradict"),
        (["darts-v1", "--seeds", "0,1,0"], 2, "seed 0 is given twice"),
        (["darts-v1", "--seeds", "0;1"], 2, "'0;1' is no seed"),
        (["darts-v1", "pc-darts-cifar10"], 2, "say with --method which of them all shall use"),
        (["darts-v1", "missing.json"], 3, "no such file: missing.json"),
        ([], 2, "no genotype is given"),
        (["darts-v1", "--lr-tail-epochs", "1", "--schedule", "cosine"], 2, "--lr-tail-epochs needs a linear schedule"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_trained(arguments, code, message, here, nascli):
    done = nascli("train", *arguments, *TINY)
    assert (done.code, done.out) == (code, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_cells_of_different_methods_and_data_are_trained_by_what_is_given(here, nascli):
    for number, dataset in enumerate(("digits", "cifar10"), start=1):
        config = package.SearchConfig(method="darts" if number == 1 else "pc-darts", dataset=dataset)
        cell = json.loads(package.load_artifact("darts-v1").value.model_dump_json())
        cell["provenance"] |= {"stage": "derive", "method": config.method, "config": config.model_dump(mode="json")}
        cell["genotype"]["cells"]["normal"]["nodes"][0][0]["op"] = ("skip_connect", "max_pool_3x3")[number - 1]
        (here / f"cell-{number}.json").write_text(json.dumps(cell))
    cells = ["cell-1.json", "cell-2.json"]
    done = nascli("train", *cells, *TINY, "--dry-run", "--method", "darts")
    assert done.code == 2
    assert "cell-1.json comes with dataset 'digits', cell-2.json with 'cifar10': say with --dataset" in done.err
    done = nascli("train", *cells, *TINY, "--dry-run", "--method", "darts", "--dataset", "digits", "-q")
    assert done.code == 0, done.err
    (here / "mine.toml").write_text('method = "pc-darts"\ndataset = "digits"\n')
    done = nascli("train", *cells, *TINY, "--dry-run", "--config", "mine.toml", "-q", "--json")
    assert {plan["config"]["method"] for plan in json.loads(done.out)} == {"pc-darts"}


def test_val_beside_test_watches_a_training(here, nascli, monkeypatch):
    monkeypatch.setattr("nascli.core.engine.train.FEW_STEPS", 0)
    for part, count in (("train", 12), ("test", 2), ("val", 5)):
        make_folder(here / "p" / part, {"a": count, "b": count}, side=8)
    words = [
        "train",
        SMALL_CELL,
        *TINY[:2],
        *TINY[6:],
        "--batch-size",
        8,
        "--auxiliary",
        0,
        "--dataset",
        "folder",
        "--data-dir",
        "p",
        "-q",
    ]
    assert nascli(*words).code == 0
    last = json.loads((here / "model.run" / "metrics.jsonl").read_text().splitlines()[-1])
    (here / "p" / "test").rename(here / "p" / "kept")
    told = json.loads(nascli("eval", "model.safetensors", "--json").out)
    assert told["images"] == 10, "val/ alone is the test"
    assert last["validation_accuracy"] == told["top1"]
    assert last["validation_loss"] == pytest.approx(told["loss"], rel=1e-5)
    (here / "p" / "kept").rename(here / "p" / "test")
    held_out = nascli(*words, "--validation", 0.25, "-o", "other.safetensors")
    assert held_out.code == 0
    other = json.loads((here / "other.run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert other["validation_accuracy"] * 6 == pytest.approx(round(other["validation_accuracy"] * 6)), "a quarter of 24"


def test_of_several_cells_the_best_is_printed_alone(two_cells, nascli):
    words = [*two_cells, *TINY, "--validation", 0.3, "--keep-best", "-o", "m.safetensors"]
    done = nascli("train", *words)
    assert done.code == 0, done.err
    assert done.out.removesuffix("\n") in two_cells
    header, first, second, table = done.err.splitlines()[-4:]
    assert header.split()[:4] == ["rank", "cell", "validation", "accuracy"]
    assert first.split()[:2] == ["1", done.out.strip()]
    assert second.split()[0] == "2"
    assert table == "table: m-ranked.csv"
    told = json.loads(nascli("train", *words, "--resume", "--json", "-q").out)
    assert (told["best"], told["table"]) == (done.out.strip(), "m-ranked.csv")
    assert [cell["cell"] for cell in told["cells"]] == [first.split()[1], second.split()[1]]
    assert told["cells"][0]["validation_accuracy"] >= told["cells"][1]["validation_accuracy"]
    assert nascli("train", *words, "-q").err.startswith("nascli: m-ranked.csv exists")


def test_a_text_is_printed_as_it_was_given(here, nascli):
    cells = [f"|{op}~0|+|none~0|{op}~1|+|none~0|none~1|{op}~2|" for op in ("nor_conv_3x3", "avg_pool_3x3")]
    done = nascli("train", *cells, *TINY, "--validation", 0.3, "--keep-best", "-q")
    assert done.out.rstrip("\n") in cells


def test_a_dry_run_of_a_comparison(here, nascli):
    words = ["darts-v1", "darts-v1", "enas", *TINY, "--keep-best", "--dry-run", "-q"]
    assert "--keep-best needs validation images" in nascli("train", *words).err
    done = nascli("train", *words, "--validation", 0.3)
    assert done.code == 0, done.err
    assert "# darts-v1, to model-1.safetensors:" in done.out
    assert "# enas, to model-3.safetensors:" in done.out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["darts-v1", "--keep-best"], "--keep-best chooses among several cells, and one is given"),
        (["--keep-best"], "and none is given"),
        (["--keep-best", "--resume"], "and none is given"),
        (["-", "enas", "--keep-best"], "'-' cannot be given on"),
        (["darts-v1", "enas", "--keep-best"], "--keep-best needs validation images"),
        (["darts-v1", "enas", "--keep-b"], "No such option: --keep-b"),
        (["darts-v1", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "--keep-best"], "comes with space 'darts'"),
        (["darts-v1", "enas", "--keep-best", "-o", "-"], "cannot share standard output"),
    ],
)
def test_mistakes_with_a_comparison_are_one_line(words, message, here, nascli):
    done = nascli("train", *words, *TINY)
    assert (done.code, done.out) == (2, ""), done.err
    assert message in done.err
    assert done.err.count("\n") == 1
    assert list(here.iterdir()) == []
