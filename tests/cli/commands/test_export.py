"""`nascli export`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from nascli.artifacts.model import model_bytes
from tests.core.engine.export import networks


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(model_bytes(networks.cells(layers=3).value))
    return Path("model.safetensors")


def test_the_path_alone_is_printed_and_a_model_comes_from_standard_input(model, nascli):
    done = nascli("export", "-", "-o", "net/", stdin=model.read_bytes())
    assert (done.code, done.out) == (0, "net\n")
    assert done.err.startswith("checked on 64 pictures of noise, for want of test images: logits within ")
    done = nascli("export", model, "-o", "net", "--overwrite", "--json", "-q")
    assert done.err == ""
    assert json.loads(done.out).keys() == {"path", "form", "input", "checked_on", "largest_difference"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{model}", "-o", "net.tflite"], 2, "no form of a network is called .tflite"),
        (["{model}", "-o", "-"], 2, "not to standard output"),
        (["{model}", "-o", "there.pt2"], 2, "there.pt2 exists"),
        (["{model}", "-o", "nowhere/net.pt2"], 2, "there is no folder nowhere"),
        (["{model}", "-o", "nowhere/net/"], 2, "there is no folder nowhere"),
        (["{model}", "-o", "."], 2, "is a folder with other files"),
        (["{model}", "-o", "net/", "--input", "uint9"], 2, "did you mean 'uint8'"),
        (["{model}", "-o", "net/", "--check", "empty"], 4, "no picture in empty"),
        (["darts-v1", "-o", "net/"], 3, "holds a genotype, not a model"),
        (["there.pt2", "-o", "net/"], 3, "there.pt2"),
        (["net.onnx", "-o", "net/"], 3, "is an ONNX file"),
        (["{model}"], 2, "--output"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(model, nascli, arguments, code, message):
    Path("empty").mkdir()
    Path("there.pt2").write_bytes(b"PK\x03\x04")
    Path("net.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    before = sorted(Path().rglob("*"))
    done = nascli("export", *(argument.format(model=model) for argument in arguments), "-q")
    assert done.code == code, done.err
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert sorted(Path().rglob("*")) == before


def test_other_commands_say_what_an_onnx_file_is(nascli, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    done = nascli("eval", tmp_path / "net.onnx")
    assert (done.code, len(done.err.splitlines())) == (3, 1)
    assert "is an ONNX file, made for other programs" in done.err
