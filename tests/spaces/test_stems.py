"""The stems: sizes, states and parameters."""

import pytest
import torch
from torch import Tensor

from nascli.core.nn.build import build_network
from nascli.core.nn.graph_network import GraphNetwork
from nascli.errors import UsageError
from nascli.graphs.builder import Builder
from nascli.spaces.stems import STRIDES, stem


def network_of(name: str, image_channels: int, channels: int, side: int = 64) -> tuple[GraphNetwork, tuple[str, str]]:
    build = Builder(image_channels, side)
    states = stem(build, name, channels)
    return build_network(build.graph(), seed=0), states


def normalised(x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (27, 28), (9, 8)])
@pytest.mark.parametrize("name", STRIDES)
def test_states_have_the_channels_and_the_strides_of_the_table(name: str, height: int, width: int) -> None:
    network, states = network_of(name, 2, 8)
    values = network.values(torch.randn(2, 2, height, width), states)
    for state, stride in zip(states, STRIDES[name], strict=True):
        assert values[state].shape == (2, 8, -(-height // stride), -(-width // stride))
        assert network.graph.shapes[state].channels == 8


def test_the_cifar_stem_is_one_convolution_read_twice() -> None:
    network, (first, second) = network_of("cifar", 3, 12)
    assert first == second
    assert network.graph.parameters == 3 * 12 * 9 + 2 * 12


def test_the_imagenet_stem_follows_its_description() -> None:
    """To C/2, norm, ReLU, to C, norm: the first state; then ReLU, to C, norm: the second."""
    network, states = network_of("imagenet", 3, 8)
    network.double()
    images = torch.randn(2, 3, 33, 32, dtype=torch.float64)
    weights = [network.get_parameter(f"stem.{number}.conv.weight") for number in (1, 2, 3)]
    conv = torch.nn.functional.conv2d
    x = normalised(conv(images, weights[0], stride=2, padding=1))
    first = normalised(conv(x.clamp(min=0), weights[1], stride=2, padding=1))
    second = normalised(conv(first.clamp(min=0), weights[2], stride=2, padding=1))
    values = network.values(images, states)
    for state, expected in zip(states, (first, second), strict=True):
        torch.testing.assert_close(values[state], expected, rtol=1e-10, atol=1e-10)
    assert network.graph.parameters == 9 * (3 * 4 + 4 * 8 + 8 * 8) + 2 * (4 + 8 + 8)


def test_what_no_stem_can_be_is_refused() -> None:
    with pytest.raises(UsageError, match="2 channels or more"):
        network_of("imagenet", 3, 1)
    with pytest.raises(UsageError, match="unknown stem 'cifr': did you mean 'cifar'"):
        network_of("cifr", 3, 8)
