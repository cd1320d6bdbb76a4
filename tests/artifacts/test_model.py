"""A model's file holds the weights and all that they need."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files import tensors
from nascli.artifacts.model import ModelFile, load_model_file, model_bytes
from nascli.errors import ArtifactError
from nascli.spaces.network_settings import NetworkSettings
from tests.artifacts.examples import channels_model_file, data_info, model_file


@pytest.mark.parametrize("make", [model_file, channels_model_file])
def test_round_trip(make: Callable[[], ModelFile]) -> None:
    file = make()
    data = model_bytes(file)
    read = load_model_file(data, "model.safetensors")
    assert model_bytes(read) == data
    for field in ("genotype", "network", "data", "metrics", "provenance"):
        assert getattr(read, field) == getattr(file, field)
    assert type(read.network) is type(file.network)
    assert {name: (w.dtype, w.shape) for name, w in read.weights.items()} == {
        name: (w.dtype, w.shape) for name, w in file.weights.items()
    }


def test_weights_are_kept_to_the_bit() -> None:
    file = model_file()
    read = load_model_file(model_bytes(file), "model.safetensors")
    assert read.weights["steps"].shape == ()
    np.testing.assert_array_equal(read.weights["stem.weight"], file.weights["stem.weight"])


def test_weights_of_torch_and_numpy_make_the_same_file() -> None:
    file = model_file()
    weights: dict[str, Any] = {name: torch.from_numpy(value.copy()) for name, value in file.weights.items()}
    moved = ModelFile(weights, file.genotype, file.network, file.data, file.metrics, file.provenance)
    assert model_bytes(moved) == model_bytes(file)


@pytest.mark.parametrize(
    ("entry", "changes", "message"),
    [
        ("network", {"layers": 0}, "network.layers: must be greater than or equal to 1, not 0"),
        ("network", {"layers": 10**9}, "network.layers: must be less than or equal to 200, not 1000000000"),
        ("network", {"channels": "16"}, "network.channels: must be a valid integer, not '16'"),
        ("network", {"stem": "resnet"}, "network.stem: must be 'cifar' or 'imagenet', not 'resnet'"),
        (
            "network",
            {"classes": 10, "image_channels": 3},
            "network.classes: 10 outputs for 2 classes; network.image_ch",
        ),
        ("network", {"image_size": 16}, "network.image_size: 16 for images of 8 pixels a side"),
        ("network", {"auxiliary": 1}, "network.auxiliary: must be a valid boolean, not 1"),
        ("genotype", {"kind": "chanels"}, "genotype.kind: unknown kind 'chanels': did you mean 'channels'?"),
        ("data", {"std": [0.0]}, "data: a standard deviation is 0; it must be positive"),
        ("data", {"mean": [0.1, 0.2]}, "data: 2 means and 1 deviations for 1 channels"),
        ("data", {"classes": []}, "data.classes: is empty"),
        ("genotype", {"space": "nasbench"}, "genotype.space: unknown space 'nasbench'"),
        ("metrics", {"loss": "low"}, "metrics.loss: must be a valid number, not 'low'"),
    ],
)
def test_faults_are_named(entry: str, changes: dict[str, object], message: str) -> None:
    values, document = tensors.decode(model_bytes(model_file()), "x")
    document[entry] = document[entry] | changes
    with pytest.raises(ArtifactError) as caught:
        load_model_file(tensors.encode(values, document), "model.safetensors")
    assert str(caught.value).startswith(f"model.safetensors: {message}")


@pytest.mark.parametrize(
    ("have", "take", "message"),
    [
        (model_file, channels_model_file, "network.layers: is missing; network.channels: is missing; network.stem: is"),
        (channels_model_file, model_file, "network.layers: unknown field; network.channels: unknown field"),
    ],
)
def test_what_is_said_of_the_network_must_suit_the_genotype(
    have: Callable[[], ModelFile], take: Callable[[], ModelFile], message: str
) -> None:
    file, network = have(), take().network
    with pytest.raises(ValueError, match=r"network\n  layers: "):
        model_bytes(replace(file, network=network))
    values, document = tensors.decode(model_bytes(file), "x")
    with pytest.raises(ArtifactError) as caught:
        load_model_file(tensors.encode(values, document | {"network": network.model_dump()}), "model.safetensors")
    assert str(caught.value).startswith(f"model.safetensors: {message}")


@pytest.mark.parametrize(
    ("make", "message"), [(channels_model_file, "for resnet-mb"), (model_file, "for the cifar stem and 2 layers")]
)
def test_images_must_be_large_enough_for_the_network(make: Callable[[], ModelFile], message: str) -> None:
    """Whoever has read a file may ask for its graph."""
    values, document = tensors.decode(model_bytes(make()), "x")
    for entry in ("network", "data"):
        document[entry]["image_size"] = 3
    with pytest.raises(ArtifactError, match=rf"^m: network: images of 3x3 are too small {message}"):
        load_model_file(tensors.encode(values, document), "m")


@pytest.mark.parametrize("network", [None, 3, [], "x", [{}]])
def test_a_network_that_is_no_object(network: object) -> None:
    values, document = tensors.decode(model_bytes(channels_model_file()), "x")
    with pytest.raises(ArtifactError, match=r"^model\.safetensors: network: must be a valid dictionary"):
        load_model_file(tensors.encode(values, document | {"network": network}), "model.safetensors")


def test_what_could_not_be_read_is_not_written() -> None:
    file = model_file()
    wide = file.network.model_copy(update={"classes": 7})
    with pytest.raises(ValueError, match="7 outputs for 2 classes"):
        model_bytes(ModelFile(file.weights, file.genotype, wide, file.data, file.metrics, file.provenance))
    with pytest.raises(ValueError, match="finite"):
        model_bytes(ModelFile(file.weights, file.genotype, file.network, file.data, {"x": np.inf}, file.provenance))


def test_bounds_hold_in_python_too() -> None:
    with pytest.raises(ValidationError, match="channels"):
        NetworkSettings(layers=2, channels=10**6, stem="cifar", classes=2, image_channels=1, image_size=8)
    with pytest.raises(ValidationError, match="finite"):
        DataInfo.model_validate(data_info().model_dump() | {"mean": (float("nan"),)})


def test_description_of_the_data() -> None:
    description = data_info().description()
    assert (description.dataset, description.train_images, description.classes) == ("digits", 20, ("zero", "one"))
