"""ONNX files and programs of torch.export: the model's answers for batches of any size, and what goes with them."""

import io
import json
from pathlib import Path

import pytest
import torch

import nascli
from nascli.core.engine.export import onnx_file
from tests.core.engine.export import networks
from tests.data.pictures import make_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporters warn of themselves

CLASSES = list(networks.CLASSES)


def answers(model, images: torch.Tensor) -> torch.Tensor:
    data = model.value.data
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    with torch.no_grad():
        return nascli.load_network(model)((images.float() / 255 - mean) / std)


def pixels(count: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8)


def test_onnx(tmp_path: Path):
    ort, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    model = networks.channels("resnet-mb", (1, 1, 1), 8, 0.7)
    done = nascli.export(model, tmp_path / "net.onnx")
    assert (done.form, done.checked_on) == ("onnx", "64 pictures of noise, for want of test images")
    content = (tmp_path / "net.onnx").read_bytes()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("images", "tensor(uint8)", ["batch", 3, 8, 8])
    for count in (1, 5):
        images = pixels(count, 3, 8, 8)
        (found,) = session.run(["logits"], {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), answers(model, images), rtol=1e-4, atol=1e-4)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == CLASSES
    assert (facts["fit"], facts["background"], facts["input"]) == ("crop", "white", "uint8")
    assert json.loads(facts["mean"]) == list(model.value.data.mean)
    assert {node.domain for node in onnx.load_from_string(content).graph.node} == {""}
    assert str(Path(nascli.__file__).parent).encode() not in content


def test_pt2(tmp_path: Path):
    model = networks.nas_bench_201(layers=3)
    make_folder(tmp_path / "pictures", {"a": 3}, side=11)
    done = nascli.export(model, tmp_path / "net.pt2", input="float", check=tmp_path / "pictures")
    assert done.checked_on == f"3 pictures in {tmp_path / 'pictures'}"
    content = (tmp_path / "net.pt2").read_bytes()
    extra = {"nascli.json": ""}
    network = torch.export.load(io.BytesIO(content), extra_files=extra).module()
    for count in (1, 5):
        images = pixels(count, 1, 8, 8)
        torch.testing.assert_close(network(images / 255), answers(model, images), rtol=1e-4, atol=1e-4)
    assert json.loads(extra["nascli.json"])["classes"] == CLASSES
    assert str(Path(nascli.__file__).parent).encode() not in content


def test_without_the_extra_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(nascli.NascliError, match=r"ONNX needs onnxscript: pip install 'nascli\[export\]'") as caught:
        nascli.export(networks.nas_bench_201(), tmp_path / "net.onnx")
    assert caught.value.exit_code == 2
