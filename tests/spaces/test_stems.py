"""The stems: sizes, states and parameters."""

import pytest
import torch
from torch import Tensor

from nascli.core.nn.stem import STEMS, CifarStem, ImageNetStem


def normalised(x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (27, 28), (9, 8)])
@pytest.mark.parametrize("name", STEMS)
def test_states_have_the_channels_and_strides_that_the_stem_says(name: str, height: int, width: int) -> None:
    stem = STEMS[name](2, 8)
    for state, channels, stride in zip(
        stem(torch.randn(2, 2, height, width)), stem.channels, stem.strides, strict=True
    ):
        assert state.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_cifar_stem_is_one_convolution_read_twice() -> None:
    stem = CifarStem(3, 12)
    first, second = stem(torch.randn(2, 3, 8, 8))
    assert first is second
    assert sum(p.numel() for p in stem.parameters()) == 3 * 12 * 9 + 2 * 12


def test_imagenet_stem_follows_its_description() -> None:
    """To C/2, norm, ReLU, to C, norm: the first state; then ReLU, to C, norm: the second."""
    stem = ImageNetStem(3, 8).double()
    images = torch.randn(2, 3, 33, 32, dtype=torch.float64)
    conv = torch.nn.functional.conv2d
    x = normalised(conv(images, stem.conv1.weight, stride=2, padding=1))
    first = normalised(conv(x.clamp(min=0), stem.conv2.weight, stride=2, padding=1))
    second = normalised(conv(first.clamp(min=0), stem.conv3.weight, stride=2, padding=1))
    for state, expected in zip(stem(images), (first, second), strict=True):
        torch.testing.assert_close(state, expected, rtol=1e-10, atol=1e-10)
    assert sum(p.numel() for p in stem.parameters()) == 9 * (3 * 4 + 4 * 8 + 8 * 8) + 2 * (4 + 8 + 8)


def test_imagenet_stem_refuses_a_single_channel() -> None:
    with pytest.raises(ValueError, match="1 is too few"):
        ImageNetStem(3, 1)
