"""Networks of graphs whose batch norms are in use, so that a wrong order, scale or statistic shows in the logits."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.graph import Graph
from nascli.supernets import stages_of, supernet


def small_graph(name: str, image_size: int = 32, *, width: int = 4, depth: int = 1) -> Graph:
    """A super-network for 5 classes of images of 2 channels."""
    return supernet(name, width, stages_of(name, depth), classes=5, image_channels=2, image_size=image_size)


def used(network: nn.Module, images: torch.Tensor, seed: int = 0) -> nn.Module:
    """The network itself in double precision and evaluation mode, with random weights, scales and shifts.

    Batch norms have the statistics of the `images`, so that signals neither die nor blow up and logits are of order 1.
    """
    generator = torch.Generator().manual_seed(seed)
    network.double().train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
            module.momentum = 1.0
        elif isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data.normal_(0, module.weight[0].numel() ** -0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-0.5, 0.5, generator=generator)
    with torch.no_grad():
        network(images.double())
    return network.eval()


def network_of(graph: Graph, *, with_tower: bool = False) -> GraphNetwork:
    """The graph's network, in use."""
    network = GraphNetwork(graph, with_tower=with_tower)
    used(network, images(graph, 16, seed=3))
    return network


def images(graph: Graph, count: int = 3, seed: int = 1) -> torch.Tensor:
    """Images for a graph: [count, channels, side, side], double precision."""
    channels = graph.shapes[graph.nodes[0].name].channels
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, graph.image_size, graph.image_size, generator=generator, dtype=torch.float64)


def multiply_adds(network: GraphNetwork) -> int:
    """Those of one image, by torch's own count."""
    network.requires_grad_(False)  # of weights that are learnt the counter asks for a history, also where it has none
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images(network.graph, 1).to(next(network.parameters()).dtype))
    network.requires_grad_(True)
    return counter.get_total_flops() // 2
