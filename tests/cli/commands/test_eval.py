"""`nascli eval`: one model, and several as an ensemble."""

import json
import shutil

import pytest

TINY = ["--epochs", 1, "--limit-train", 96, "--batch-size", 32, "--layers", 3, "--channels", 2, "-q"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from nascli.cli.main import run

    output = tmp_path_factory.mktemp("models") / "model.safetensors"
    arguments = ["train", "darts-v1", "--seeds", "0-1", *TINY, "-o", output]
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
        shown = [f"{one['top1']:.2%}", f"{one['top5']:.2%}", f"{one['loss']:.4f}", f"{one['calibration_error']:.2%}"]
        shown += [f"{one['parameters']:,}", f"{one['multiply_adds']:,}"]
        assert row.removeprefix(name).split() == shown
    assert "(rows: the true class; columns: the answers)" in rows


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
    ):
        done = nascli("eval", *arguments)
        assert (done.code, done.out) == (code, ""), done.err
        assert message in done.err
        assert done.err.count("\n") == 1
