"""`densenet121` against torchvision's, and the sources that its convolutions read."""

import re
from collections.abc import Iterator

import pytest
import torch
from torchvision.models import DenseNet

from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.graph import Graph
from nascli.supernets import supernet
from tests.supernets.networks import used


def _torchvision_name(name: str) -> str:
    """Our node's or tensor's name in torchvision's words."""
    rules: list[tuple[str, str]] = [
        (r"^stem\.(conv|norm)", r"features.\g<1>0"),
        (r"^norm\.", "features.norm5."),
        (r"^stage(\d)\.transition\.", r"features.transition\1."),
    ]
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return re.sub(
        r"^stage(\d)\.layer(\d+)", lambda m: f"features.denseblock{int(m[1]) + 1}.denselayer{int(m[2]) + 1}", name
    )


@pytest.mark.parametrize("image_size", [32, 45, 64])
def test_the_same_logits_as_torchvision_with_the_same_weights(image_size: int) -> None:
    """Small, with stages of different lengths; 45 pixels make odd maps, whose last row the transitions leave out."""
    theirs = DenseNet(growth_rate=6, block_config=(2, 3, 1, 2), num_init_features=12, num_classes=7)
    used(theirs, torch.randn(8, 3, image_size, image_size))
    graph = supernet("densenet121", 6, (2, 3, 1, 2), classes=7, image_channels=3, image_size=image_size)
    ours = GraphNetwork(graph).double().eval()
    weights = theirs.state_dict()
    ours.load_state_dict({name: weights.pop(_torchvision_name(name)) for name in ours.state_dict()})
    assert not weights
    images = torch.rand(2, 3, image_size, image_size, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=1e-12)


def _masked_sources(graph: Graph) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, conv in graph.masked.items():
        yield name, conv.sources


def test_sources_are_the_stage_input_and_each_earlier_layer() -> None:
    graph = supernet("densenet121", 4, (3, 2, 1, 1), classes=7, image_channels=3, image_size=32)
    assert dict(_masked_sources(graph)) == {
        "stage0.layer0.conv1": (8,),
        "stage0.layer0.conv2": (16,),
        "stage0.layer1.conv1": (8, 4),
        "stage0.layer1.conv2": (16,),
        "stage0.layer2.conv1": (8, 4, 4),
        "stage0.layer2.conv2": (16,),
        "stage1.transition.conv": (8, 4, 4, 4),
        "stage1.layer0.conv1": (10,),
        "stage1.layer0.conv2": (16,),
        "stage1.layer1.conv1": (10, 4),
        "stage1.layer1.conv2": (16,),
        "stage2.transition.conv": (10, 4, 4),
        "stage2.layer0.conv1": (9,),
        "stage2.layer0.conv2": (16,),
        "stage3.transition.conv": (9, 4),
        "stage3.layer0.conv1": (6,),
        "stage3.layer0.conv2": (16,),
    }
