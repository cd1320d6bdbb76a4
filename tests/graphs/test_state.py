"""What a graph says of a network's state is what torch finds there."""

import pytest
import torch
from torch import nn

from nascli.artifacts.genotypes import published
from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.graphs.state import state_of
from nascli.registry import SPACES, SUPERNETS
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Shared
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


SETTINGS = NetworkSettings(layers=3, channels=4, stem="cifar", classes=5, image_channels=3, image_size=8)


@pytest.mark.parametrize("name", published.names())
def test_every_published_network_of_cells(name: str) -> None:
    """AmoebaNet-A's has crossed convolutions."""
    graph = published.load(name).genotype.graph(SETTINGS)
    assert state_of(graph) == of_torch(graph)
    assert any(".crossed." in tensor for tensor in state_of(graph)) == (name == "amoebanet-a")


@pytest.mark.parametrize("name", SPACES)
def test_all_operations_of_a_space_with_norms_that_learn_nothing(name: str) -> None:
    space = cell_space(name)
    graph = space.graph(space.everything(), SETTINGS, Shared())
    assert state_of(graph) == of_torch(graph)
    assert "cells.0.edges.0-2.sep_conv_3x3.first.norm.weight" not in state_of(graph)
