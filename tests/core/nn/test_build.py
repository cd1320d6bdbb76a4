"""Fresh weights by seed, weights from files, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import ChannelsGenotype
from nascli.core.nn.build import build_network, load_network, load_weights
from nascli.errors import ArtifactError, UsageError
from nascli.graphs.graph import Graph
from nascli.spaces.network_settings import DataShape, NetworkSettings
from nascli.supernets import supernet

SETTINGS = NetworkSettings(layers=3, channels=4, stem="cifar", classes=5, image_channels=3, image_size=8)


def graph(**changes: Any) -> Graph:
    return published.load("darts-v2").genotype.graph(SETTINGS.model_copy(update=changes))


GRAPH = graph()
Weights = dict[str, np.ndarray]


def weights(seed: int = 0) -> Weights:
    return {name: tensor.numpy() for name, tensor in build_network(GRAPH, seed).state_dict().items()}


def test_the_seed_decides_the_weights_and_torchs_generators_stay_as_they_are() -> None:
    before = torch.get_rng_state()
    one, same, other = weights(1), weights(1), weights(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["stem.conv.weight"], other["stem.conv.weight"])


def test_weights_start_uniform_in_one_over_the_root_of_their_inputs() -> None:
    bound = 1 / np.sqrt(3 * 9)
    stem = weights()["stem.conv.weight"]
    assert 0.95 * bound < np.abs(stem).max() <= bound
    assert abs(stem.std() - bound / np.sqrt(3)) < 0.1 * bound


def test_weights_survive_a_file() -> None:
    source = build_network(GRAPH, seed=3)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    source(images)  # moves the running statistics
    arrays = {name: tensor.numpy().copy() for name, tensor in source.state_dict().items()}
    for array in arrays.values():
        array.flags.writeable = False
    loaded = load_network(GRAPH, arrays, "model.safetensors")
    other = build_network(GRAPH, seed=4)
    load_weights(other, arrays, "model.safetensors")
    for network in (loaded, other):
        assert torch.equal(network.eval()(images), source.eval()(images))
        assert all(parameter.requires_grad for parameter in network.parameters())


def test_loaded_weights_are_a_copy() -> None:
    arrays = weights()
    network = load_network(GRAPH, arrays, "model.safetensors")
    with torch.no_grad():
        network.classifier.bias.fill_(7.0)
    assert not (arrays["classifier.bias"] == 7.0).any()


def without(arrays: Weights, name: str) -> None:
    del arrays[name]


def replaced(arrays: Weights, name: str, value: Any) -> None:
    arrays[name] = np.asarray(value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: without(w, "classifier.bias"), "classifier.bias is missing"),
        (lambda w: replaced(w, "head.weight", 1.0), "head.weight is not in the network"),
        (
            lambda w: replaced(w, "classifier.bias", np.zeros(4, np.float32)),
            r"classifier.bias has the shape \[4\], not \[5\]",
        ),
        (lambda w: replaced(w, "classifier.bias", np.zeros(5)), "classifier.bias is float64, not float32"),
        (lambda w: w.clear(), "; and [0-9]+ more$"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_change_nothing(spoil: Callable[[Weights], None], message: str) -> None:
    arrays = weights(5)
    spoil(arrays)
    network = build_network(GRAPH, seed=6)
    with pytest.raises(ArtifactError, match=rf"^m.safetensors: the weights don't fit the network: .*{message}"):
        load_weights(network, arrays, "m.safetensors")
    assert all(np.array_equal(network.state_dict()[name], array) for name, array in weights(6).items())


def test_a_file_that_claims_a_huge_network_allocates_none() -> None:
    """Convolutions of 4,096 · 3 channels and up: gigabytes, if anything were allocated before the names are checked."""
    with pytest.raises(ArtifactError, match="stem.conv.weight has the shape"):
        load_network(graph(channels=4096), weights(), "m.safetensors")


CHANNELS = ChannelsGenotype.of(
    "enas",
    4,
    (1, 1, 1),
    {
        conv: range(0, sum(op.sources), 2) if number % 7 != 5 else ()
        for number, (conv, op) in enumerate(
            supernet("enas", 4, (1, 1, 1), classes=5, image_channels=3, image_size=32).masked.items()
        )
    },
)
"""Some convolutions read nothing, the others every second channel."""
SIZES: dict[str, int] = {"classes": 5, "image_channels": 3, "image_size": 32}
SHAPE = DataShape(**SIZES)


def test_a_network_of_channels_survives_a_file_too() -> None:
    source = build_network(CHANNELS.graph(SHAPE), seed=3)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    source(images)
    arrays = {name: tensor.numpy().copy() for name, tensor in source.state_dict().items()}
    loaded = load_network(CHANNELS.graph(SHAPE), arrays, "model.safetensors")
    assert torch.equal(loaded.eval()(images), source.eval()(images))
    # What is left of the convolutions that read nothing starts at zero, and is learnt.
    constants = [value for name, value in loaded.named_parameters() if name.endswith(".value")]
    assert constants
    assert all(value.requires_grad and not value.any() for value in constants)
    other = build_network(CHANNELS.graph(SHAPE), seed=4)
    assert not torch.equal(other.state_dict()["stem.conv.weight"], source.state_dict()["stem.conv.weight"])


def test_a_tower_hangs_where_a_super_network_has_a_place_and_maps_for_it() -> None:
    network = build_network(CHANNELS.graph(SHAPE), seed=0, with_tower=True)
    logits, extra = network(torch.randn(2, 3, 32, 32), with_auxiliary=True)
    assert logits.shape == extra.shape == (2, 5)
    small = CHANNELS.graph(SHAPE.model_copy(update={"image_size": 8}))
    with pytest.raises(UsageError, match="needs images of 29 to 40 pixels a side, not of 8"):
        build_network(small, seed=0, with_tower=True)
    kept = {conv: range(sum(op.sources)) for conv, op in supernet("resnet-mb", 4, (1, 1, 1), **SIZES).masked.items()}
    without_place = ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), kept).graph(SHAPE)
    with pytest.raises(UsageError, match="no place for an auxiliary tower"):
        build_network(without_place, seed=0, with_tower=True)


def test_a_file_that_claims_a_huge_network_of_channels_allocates_none() -> None:
    """A width of 1,024: 3 GB of weights."""
    graph = supernet("resnet-mb", 1024, (1, 1, 1), classes=5, image_channels=3, image_size=32)
    kept = {conv: range(sum(op.sources)) for conv, op in graph.masked.items()}
    huge = ChannelsGenotype.of("resnet-mb", 1024, (1, 1, 1), kept)
    with pytest.raises(ArtifactError, match="stem.conv.weight is missing"):
        load_network(huge.graph(SHAPE), {}, "m.safetensors")
