"""`resnet-mb` against the same network written by hand, and images shifted by one pixel."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.supernets.networks import images, network_of, small_graph


class ByHand:
    """Shake-shake 26 without the shaking, as a function of a state dict; strides are those of torch's own operations.

    Gastaldi, 2017, Section 1.3: the skip where a stage changes is two average poolings of one pixel and stride 2, the
    second on the image shifted by one pixel, each with its 1x1 convolution.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            self.state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def skip(self, name: str, x: Tensor, stride: int) -> Tensor:
        halves = [
            F.conv2d(F.avg_pool2d(shifted, 1, stride), self.state[f"{name}.{conv}.weight"])
            for conv, shifted in (("conv", x), ("shifted_conv", F.pad(x, (-1, 1, -1, 1))))
        ]
        return self.norm(f"{name}.norm", torch.cat(halves, dim=1))

    def block(self, name: str, x: Tensor, stride: int) -> Tensor:
        positive = x.clamp(min=0)
        total = self.skip(f"{name}.skip", positive, stride) if f"{name}.skip.norm.bias" in self.state else x
        for branch in ("branch0", "branch1"):
            y = self.norm(f"{name}.{branch}.norm1", self.conv(f"{name}.{branch}.conv1", positive, stride))
            total = total + self.norm(f"{name}.{branch}.norm2", self.conv(f"{name}.{branch}.conv2", y.clamp(min=0)))
        return total

    def logits(self, x: Tensor, stages: int, blocks: int) -> Tensor:
        x = self.norm("stem.norm", self.conv("stem.conv", x))
        for stage in range(stages):
            for block in range(blocks):
                x = self.block(f"stage{stage}.block{block}", x, 2 if stage > 0 and block == 0 else 1)
        pooled = x.clamp(min=0).mean(dim=(2, 3))
        return pooled @ self.state["classifier.weight"].T + self.state["classifier.bias"]


@pytest.mark.parametrize(("image_size", "width"), [(8, 4), (9, 5), (11, 16)])
def test_the_same_logits_as_by_hand(image_size: int, width: int) -> None:
    """Odd maps and widths too; at width 16 the first block keeps its channels and needs no convolution to skip."""
    graph = small_graph("resnet-mb", image_size, width=width, depth=2)
    network = network_of(graph)
    batch = images(graph)
    with torch.no_grad():
        expected = ByHand(network.state_dict()).logits(batch, stages=3, blocks=2)
        assert expected.std() > 0.1
        torch.testing.assert_close(network(batch), expected, rtol=0, atol=1e-11)


def test_the_skip_is_the_identity_where_channels_stay() -> None:
    masked = small_graph("resnet-mb", 8, width=16, depth=2).masked
    skips = [name for name in masked if ".skip." in name]
    assert skips == [f"stage{stage}.block0.skip.{half}" for stage in (1, 2) for half in ("conv", "shifted_conv")]


def test_an_odd_skip_gives_the_shifted_half_one_more() -> None:
    """As a factorised reduction does in networks of cells."""
    shapes = small_graph("resnet-mb", 8, width=5).shapes
    halves = [shapes[f"stage0.block0.skip.{half}"].channels for half in ("conv", "shifted_conv")]
    assert halves == [2, 3]
