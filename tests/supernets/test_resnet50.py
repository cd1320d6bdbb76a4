"""`resnet50-inflated`: torchvision's ResNet-50 when there is one kernel, and what the four of them compute together."""

import re

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet
from torchvision.models.resnet import Bottleneck, ResNet

from nascli.core.nn.graph_network import GraphNetwork
from nascli.supernets import resnet50
from tests.supernets.networks import images, network_of, small_graph, used


def _torchvision_name(name: str) -> str:
    """Our tensor's name in torchvision's words, where one kernel takes the place of four."""
    rules: list[tuple[str, str]] = [
        (r"^stem\.conv", "conv1"),
        (r"^stem\.norm", "bn1"),
        (r"^classifier", "fc"),
        (r"skip\.conv", "downsample.0"),
        (r"skip\.norm", "downsample.1"),
        (r"norm(\d)", r"bn\1"),
        (r"conv2\.kernel0", "conv2"),
    ]
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"^stage(\d)\.block(\d)", lambda m: f"layer{int(m[1]) + 1}.{m[2]}", name)


@pytest.mark.parametrize("image_size", [64, 45])
def test_with_one_kernel_it_is_torchvisions_resnet(image_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet50, "KERNELS", ((3, 1),))
    ours = GraphNetwork(resnet50.resnet50_inflated(64, (2, 1, 1, 1), 7, 3, image_size)).double().eval()
    theirs = ResNet(Bottleneck, [2, 1, 1, 1], num_classes=7)
    used(theirs, torch.randn(8, 3, image_size, image_size))
    weights = theirs.state_dict()
    ours.load_state_dict({name: weights.pop(_torchvision_name(name)) for name in ours.state_dict()})
    assert not weights
    batch = torch.rand(2, 3, image_size, image_size, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs(batch)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(batch), expected, rtol=0, atol=1e-11)


def test_with_one_kernel_it_has_the_size_of_resnet_50(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet50, "KERNELS", ((3, 1),))
    graph = resnet50.resnet50_inflated(64, (3, 4, 6, 3), 1000, 3, 224)
    weights = resnet.ResNet50_Weights.IMAGENET1K_V1.meta
    assert graph.parameters == weights["num_params"] == 25_557_032
    # torchvision counts the same multiply-adds, in units of 1e9.
    assert round(graph.multiply_adds / 1e9, 2) == round(weights["_ops"], 2)


@pytest.mark.parametrize("block", ["stage0.block0", "stage1.block0"])
def test_the_four_kernels_are_one_9x9_of_mostly_zeros(block: str) -> None:
    """At stride 1 and 2: kernels of 1, 3, 5 and 9 pixels, each with the taps that its dilation leaves."""
    graph = small_graph("resnet50-inflated", 64, width=8)
    network = network_of(graph)
    read, concatenated = f"{block}.relu1", f"{block}.concat"
    values = network.values(images(graph), [read, concatenated])
    kernels = [network.get_parameter(f"{block}.conv2.kernel{number}.weight") for number in range(4)]
    whole = []
    for kernel, taps in zip(kernels, ([4], [3, 4, 5], [2, 4, 6], [0, 2, 4, 6, 8]), strict=True):
        spread = kernel.new_zeros(*kernel.shape[:2], 9, 9)
        rows = torch.tensor(taps)
        spread[:, :, rows[:, None], rows] = kernel
        whole.append(spread)
    expected = F.conv2d(values[read], torch.cat(whole), stride=2 if block.startswith("stage1") else 1, padding=4)
    torch.testing.assert_close(values[concatenated], expected)


def test_each_kernel_is_a_source_of_the_last_convolution() -> None:
    """A width that four doesn't divide leaves what is over to the last kernels."""
    graph = small_graph("resnet50-inflated", width=6)
    assert graph.masked["stage0.block0.conv3"].sources == (1, 2, 1, 2)
    assert graph.masked["stage1.block0.conv3"].sources == (3, 3, 3, 3)
    assert [graph.masked[f"stage0.block0.conv2.kernel{number}"].sources for number in range(4)] == [(6,)] * 4
