"""How large a network is. What a graph can say of itself without one is in `nascli.graphs.graph`."""

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """The number of learnt values in a module."""
    return sum(parameter.numel() for parameter in network.parameters())
