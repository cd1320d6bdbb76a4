"""A network as plain code: the same answers, few lines, nothing of nascli in it."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nascli
from nascli.core.engine.export import export as engine
from nascli.core.engine.export.folder import folder_files, load_folder
from nascli.core.engine.export.metadata import metadata
from nascli.core.engine.export.normalised import normalised
from nascli.core.engine.export.pictures import unscaled
from nascli.core.engine.export.plain import example
from nascli.data import Pictures
from tests.core.engine.export import networks
from tests.data.pictures import CPU, known, noise, save

KINDS = {
    "cells": (networks.cells, ["Stem", "Cell", "ReductionCell", "Classifier"]),
    "amoebanet": (lambda: networks.cells("amoebanet-a", stem="imagenet", side=32), None),
    "grey": (networks.nas_bench_201, ["Stem", "Cell", "Residual", "Classifier"]),
    "resnet": (lambda: networks.channels("resnet-mb", (2, 2, 2), 8, 0.4), None),
    "bare resnet": (lambda: networks.channels("resnet-mb", (2, 1, 1), 8, 0.75, seed=3), None),
    "densenet": (lambda: networks.channels("densenet121", (2, 2, 1, 1), 32, 0.3), None),
    "enas": (lambda: networks.channels("enas", (1, 1, 1), 8, 0.4), None),
    "resnet50": (lambda: networks.channels("resnet50-inflated", (2, 1, 1, 1), 32, 0.4), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_computes_the_network(kind):
    make, classes = KINDS[kind]
    model = make()
    network = normalised(model, "uint8")
    files = folder_files(model, network, metadata(model, "uint8"))
    data = model.value.data
    images = torch.randint(0, 256, (3, data.channels, data.image_size, data.image_size), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(load_folder(files)(images), network(images), rtol=1e-5, atol=1e-5)
    code = files["model.py"].decode()
    assert max(map(len, code.splitlines())) <= 120
    assert len(code.splitlines()) < 450
    defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
    if classes is not None:
        assert defined[defined.index("Stem") : -1] == classes
    assert {node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)} == {
        "pathlib",
        "torch",
    }


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Of other sizes, modes and orientations."""
    names = (
        "tall.png",
        "turned.png",
        "clear.png",
        "grey.png",
        "deep.png",
        "own.png",
        "large.jpg",
        "large.png",
        "strip.png",
    )
    paths = [tmp_path / "pictures" / name for name in names]
    save(paths[0], noise(0, 31, 12))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(noise(1, 12, 25)).save(paths[1], exif=turned)
    Image.fromarray(np.dstack([noise(2, 9, 9), noise(3, 9, 9, 1)])).save(paths[2])
    save(paths[3], noise(4, 20, 20, 1))
    Image.fromarray(noise(5, 20, 21, 1).astype(np.uint16) * 257).save(paths[4])
    save(paths[5], noise(6, 8, 8))
    Image.fromarray(noise(7, 260, 390)).save(paths[6], exif=turned)
    save(paths[7], noise(8, 190, 270))
    save(paths[8], noise(9, 4, 60))
    return paths


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("fit", "side"), [("crop", 8), ("pad", 8), ("squash", 8), ("crop", 72), ("pad", 72), ("squash", 72)]
)
def test_the_example_reads_pictures_as_predict_does(pictures: list[Path], channels, fit, side):
    seen = known(channels, side, fit=fit, background="teal")
    facts = {"shape": ["batch", channels, side, side], "image_size": side, "fit": fit, "background": "teal"}
    facts |= {"resize": side, "largest": None} if side == 8 else {"resize": 82, "largest": 123}
    ((expected, _, errors),) = Pictures(pictures, unscaled(seen), CPU, 0).batches(99, torch.contiguous_format)
    assert not errors
    found = torch.stack([example.read_picture(path, facts) for path in pictures])
    assert torch.equal(found, (expected * 255).round().to(torch.uint8))


def test_the_example_answers_as_predict_does_without_nascli(tmp_path: Path, pictures: list[Path]):
    model = networks.cells(layers=3)
    nascli.export(model, tmp_path / "net", input="float")
    program = f"""
import runpy, sys
sys.modules["nascli"] = sys.modules["torchvision"] = sys.modules["safetensors"] = None
sys.path[0] = {str(tmp_path / "net")!r}
sys.argv = ["example.py", *{[str(path) for path in pictures]!r}]
runpy.run_path({str(tmp_path / "net" / "example.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = nascli.predict(model, pictures, nascli.PredictConfig(workers=0))
    assert done.stdout.splitlines() == [f"{one.classes[0]}  {one.probabilities[0]:.2%}  {one.path}" for one in expected]


def test_a_folder_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = networks.cells(layers=3)
    nascli.export(model, tmp_path / "net")
    before = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    assert sorted(before) == ["example.py", "model.py", "nascli.json", "weights.safetensors"]
    with pytest.raises(nascli.NascliError, match="net exists"):
        nascli.export(model, tmp_path / "net")

    def broken(files: object) -> torch.nn.Module:
        return lambda images: torch.zeros(len(images), 4)

    monkeypatch.setattr(engine.folder, "load_folder", broken)
    with pytest.raises(nascli.NascliError, match="differs from the model by .* nothing is written") as caught:
        nascli.export(model, tmp_path / "net", input="float", overwrite=True)
    assert caught.value.exit_code == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()} == before
    monkeypatch.undo()
    nascli.export(model, tmp_path / "net", input="float", overwrite=True)
    assert (tmp_path / "net" / "nascli.json").read_bytes() != before["nascli.json"]
    (tmp_path / "net" / "thesis.tex").touch()
    with pytest.raises(nascli.NascliError, match="other files, thesis.tex for one"):
        nascli.export(model, tmp_path / "net", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]
