"""The classes of pictures: the same answers as in an evaluation, in the order of the pictures, whatever is amiss."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nascli
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.artifacts.model import model_bytes
from nascli.data import open_data
from nascli.errors import DataError, UsageError
from tests.data.pictures import CPU, make_folder, noise, save
from tests.small_cells import SMALL_CELL

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    make_folder(root / "train", {"cat": 6, "dog": 6}, side=(16, 20))
    make_folder(root / "test", {"cat": 3, "dog": 2}, side=(18, 16))
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedArtifact:
    config = nascli.TrainConfig(
        dataset="folder", data_dir=folder, image_size=12, epochs=1, batch_size=4, layers=1, channels=2
    )
    return nascli.train(SMALL_CELL, config)


def seen_at(model: LoadedArtifact, side: int) -> LoadedArtifact:
    """The same network for larger pictures."""
    side_of = {"image_size": side}
    data, network = (part.model_copy(update=side_of) for part in (model.value.data, model.value.network))
    return read_artifact(model_bytes(dataclasses.replace(model.value, data=data, network=network)), f"at{side}")


def evaluated(model: LoadedArtifact, folder: Path) -> torch.Tensor:
    """Probabilities of the test images, as an evaluation sees them."""
    config = nascli.EvalConfig(dataset="folder", data_dir=folder)
    data = open_data(config, device=CPU, classes=model.value.data.classes, like=model.value.data)
    network = nascli.load_network(model)
    return torch.cat([network(images).detach() for images, _ in data.test_batches(10)]).double().softmax(1)


@pytest.mark.parametrize("side", [12, 72])
def test_pictures_are_seen_as_in_an_evaluation(model: LoadedArtifact, folder: Path, side: int):
    """Small ones and large ones, which are read in different ways."""
    model = model if side == 12 else seen_at(model, side)
    found = nascli.predict(model, folder / "test", nascli.PredictConfig(batch_size=2, top=9, workers=0))
    assert [one.path for one in found] == sorted(str(path) for path in (folder / "test").rglob("*.png"))
    for one, expected in zip(found, evaluated(model, folder), strict=True):
        assert dict(zip(one.classes, one.probabilities, strict=True)) == pytest.approx(
            dict(zip(("cat", "dog"), expected.tolist(), strict=True)), rel=1e-5
        )
        assert one.probabilities[0] >= one.probabilities[1]
    assert nascli.predict(model, folder / "test", nascli.PredictConfig(batch_size=2, top=2, workers=2)) == found


def test_several_models_answer_with_the_mean_of_their_probabilities(model: LoadedArtifact, folder: Path):
    larger = seen_at(model, 20)
    weights = {name: value + 0.1 if name == "classifier.bias" else value for name, value in model.value.weights.items()}
    weights = {name: value * 1.5 if name.startswith("classifier") else value for name, value in weights.items()}
    other = read_artifact(model_bytes(dataclasses.replace(model.value, weights=weights)), "other.safetensors")
    members = [model, larger, other]
    found = nascli.predict(members, folder / "test", nascli.PredictConfig(workers=0))
    mean = torch.stack([evaluated(one, folder) for one in members]).mean(0)
    assert [one.probabilities[0] for one in found] == pytest.approx(mean.amax(1).tolist(), rel=1e-5)
    with pytest.raises(UsageError, match="an ensemble counts each member once"):
        nascli.predict([model, model], folder / "test")


def test_unreadable_pictures_are_told_in_their_place_and_any_mode_and_size_is_read(
    model: LoadedArtifact, tmp_path: Path
):
    save(tmp_path / "grey.png", noise(0, 30, 9, channels=1))
    Image.fromarray(noise(1, 8, 8)).convert("RGBA").save(tmp_path / "see-through.png")
    Image.fromarray(noise(2, 8, 8)).convert("CMYK").save(tmp_path / "print.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "empty.png").touch()
    names = ["broken.jpg", "grey.png", "nowhere.png", "see-through.png", "empty.png", "print.jpg"]
    found = nascli.predict(model, [tmp_path / name for name in names], nascli.PredictConfig(batch_size=1))
    assert [Path(one.path).name for one in found] == names
    assert [one.error is None for one in found] == [False, True, False, True, False, True]
    assert found[2].error == f"{tmp_path / 'nowhere.png'}: No such file or directory"
    assert found[2].document() == {"path": found[2].path, "error": found[2].error}
    assert all(np.isclose(one.probabilities, 0.5, atol=0.5).all() and len(one.classes) == 1 for one in found[1::2])


def test_a_folder_without_pictures_is_refused(model: LoadedArtifact, tmp_path: Path):
    (tmp_path / "notes.md").touch()
    with pytest.raises(DataError, match="no picture in"):
        nascli.predict(model, tmp_path)
    with pytest.raises(UsageError, match="no picture is given"):
        nascli.predict(model, [])
