"""`nascli eval`: one model, and several as an ensemble."""

import csv
import json
import shutil

import pytest

from tests.small_cells import SMALL_CELL

TINY = ["--epochs", 1, "--limit-train", 96, "--batch-size", 32, "--layers", 3, "--channels", 2, "-q"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from nascli.cli.main import run

    output = tmp_path_factory.mktemp("models") / "model.safetensors"
    arguments = ["train", SMALL_CELL, "--seeds", "0-1", *TINY, "-o", output]
    assert run([str(argument) for argument in arguments]) == 0
    return [output.with_name(f"model-seed{seed}.safetensors") for seed in (0, 1)]


def test_one_model_is_told_with_its_likelihood_and_its_calibration(models, nascli):
    result = json.loads(nascli("eval", models[0], "--json", "-q").out)
    table = dict(line.rsplit("  ", 1) for line in nascli("eval", models[0], "-q").out.splitlines() if "  " in line)
    figures = {name.strip(): value for name, value in table.items()}
    assert figures["neg. log-likelihood"] == f"{result['loss']:.4f}"
    assert figures["calibration error"] == f"{result['calibration_error']:.2%}"
    assert 0 <= result["calibration_error"] <= 1


def test_several_models_are_a_row_each_and_one_for_all(models, nascli):
    result = json.loads(nascli("eval", *models, "--json", "-q").out)
    assert result.keys() == {"members", "ensemble"}
    assert [member["file"] for member in result["members"]] == [str(path) for path in models]
    rows = nascli("eval", *models, "-q").out.splitlines()
    assert rows[0] == "digits: 359 test images on cpu"
    names = [*map(str, models), "ensemble of 2"]
    for row, name, one in zip(rows[3:6], names, [*result["members"], result["ensemble"]], strict=True):
        shown = [f"{one[name]:.2%}" for name in ("top1", "top5", "balanced_accuracy")]
        shown += [f"{one['loss']:.4f}", f"{one['calibration_error']:.2%}"]
        shown += [f"{one['parameters']:,}", f"{one['multiply_adds']:,}"]
        assert row.removeprefix(name).split() == shown
    assert "(rows: the true class; columns: the answers)" in rows


def test_figures_are_those_of_scikit_learn(models, nascli):
    from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

    result = json.loads(nascli("eval", models[0], "--json", "-q").out)
    pairs = [(i, j) for i, row in enumerate(result["confusion"]) for j, count in enumerate(row) for _ in range(count)]
    truth, answers = zip(*pairs, strict=True)
    assert result["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, answers))
    means = precision_recall_fscore_support(truth, answers, average="macro", zero_division=0)
    names = ("precision", "recall", "f1")
    assert [result[f"macro_{name}"] for name in names] == pytest.approx(means[:3])
    rows = nascli("eval", models[0], "-q").out.splitlines()
    start = rows.index("class            images  precision  recall     F1")
    for row, name in zip(rows[start + 1 :], result["classes"], strict=False):
        each = [result[share][name] for share in names]
        assert row.split() == [name, str(sum(result["confusion"][int(name)]))] + [
            "-" if share is None else f"{share:.1%}" for share in each
        ]
    assert rows[start + 11].split()[:5] == ["mean", "of", "classes", "359", f"{means[0]:.1%}"]


@pytest.mark.parametrize("members", [1, 2])
def test_wrong_answers_are_a_table_that_agrees_with_the_confusions(members, models, tmp_path, nascli):
    path = tmp_path / "errors.csv"
    done = nascli("eval", *models[:members], "--json", "--errors", path)
    result = json.loads(done.out)
    result = result.get("ensemble", result)
    assert f"wrong answers are in {path}: " in done.err
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert rows[0].keys() == {"index", "truth", "answer", "probability", "truth_probability"}
    confusion = [[0] * 10 for _ in range(10)]
    for row in rows:
        confusion[int(row["truth"])][int(row["answer"])] += 1
    assert confusion == [[n * (i != j) for j, n in enumerate(row)] for i, row in enumerate(result["confusion"])]
    shares = [float(row["probability"]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert all(float(row["truth_probability"]) <= share for row, share in zip(rows, shares, strict=True))
    assert len({row["index"] for row in rows}) == len(rows)

    piped = nascli("eval", *models[:members], "--errors", "-", "-q")
    assert piped.raw == path.read_bytes()
    assert "balanced accuracy" in piped.err or "ensemble of 2" in piped.err
    assert "exists" in nascli("eval", *models[:members], "--errors", path).err
    done = nascli("eval", *models[:members], "--errors", path, "--overwrite", "-q")
    assert (done.code, path.read_bytes()) == (0, piped.raw)
    assert done.out.startswith("digits: 359 test images")


def test_one_member_may_come_from_standard_input(models, nascli):
    done = nascli("eval", models[0], "-", "--json", "-q", stdin=models[1].read_bytes())
    assert [member["file"] for member in json.loads(done.out)["members"]] == [str(models[0]), "standard input"]


def test_mistakes_are_one_line(models, tmp_path, nascli):
    copy = shutil.copy(models[0], tmp_path / "copy.safetensors")
    for arguments, code, message in (
        ([models[0], models[0]], 2, "is given twice"),
        ([models[0], copy], 2, "are the same"),
        (["-", "-"], 2, "'-' is given twice"),
        ([models[0], "darts-v1"], 3, "darts-v1 holds a genotype, not a model"),
        ([models[0], tmp_path / "missing.safetensors"], 3, "no such file"),
        ([*models, "--image-size", 16], 2, "for images of 8 pixels"),
        ([models[0], "--errors", "-", "--json"], 2, "both write to standard output"),
        ([models[0], "--errors", tmp_path / "errors.json"], 2, "call it"),
        ([copy, "--errors", copy, "--overwrite"], 2, "call it"),
    ):
        done = nascli("eval", *arguments)
        assert (done.code, done.out) == (code, ""), done.err
        assert message in done.err
        assert done.err.count("\n") == 1
