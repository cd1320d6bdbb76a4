"""How large a network is. Sizes that follow from the graph alone are in `nascli.graphs.graph`."""

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """The number of learnt values in a module."""
    return sum(parameter.numel() for parameter in network.parameters())
