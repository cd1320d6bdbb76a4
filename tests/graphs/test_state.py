"""What a graph says of a network's state is what torch finds there."""

import pytest
import torch
from torch import nn

from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.graphs.state import state_of
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of, supernet


def of_torch(graph: Graph) -> dict[str, tuple[tuple[int, ...], str]]:
    with torch.device("meta"):
        network: nn.Module = GraphNetwork(graph)
    return {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in network.state_dict().items()
    }


@pytest.mark.parametrize("name", SUPERNETS)
def test_every_supernet(name: str) -> None:
    width, side = SUPERNETS[name].width, SUPERNETS[name].stride
    graph = supernet(name, width, stages_of(name), classes=10, image_channels=3, image_size=side)
    assert state_of(graph) == of_torch(graph)


def test_a_network_that_was_cut_out_with_its_constants() -> None:
    graph = supernet("resnet-mb", 4, (1, 1, 1), classes=2, image_channels=1, image_size=8)
    kept = {name: () if name.endswith("branch1.conv2") else (0, 2) for name in graph.masked}
    cut = slim(graph, kept).graph
    assert any(name.endswith(".value") for name in state_of(cut))
    assert state_of(cut) == of_torch(cut)
