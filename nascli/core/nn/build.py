"""From a graph to its network: with fresh weights, with those of a file, or with those of its super-network."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.genotypes.genotype import ChannelsGenotype
from nascli.artifacts.genotypes.masks import mask_of
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.errors import ArtifactError
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim

FAULTS_SHOWN = 3

Network = TypeVar("Network", bound=nn.Module)


def build_network(graph: Graph, seed: int, *, with_tower: bool = False) -> GraphNetwork:
    """The graph's network with fresh weights, float32 on the CPU, in training mode.

    The same seed gives the same weights on every machine's CPU build of torch; torch's own generators are unchanged.
    Weights start as torch starts them, like the published networks of these spaces: convolutions and linear layers
    uniform in ±1/sqrt(inputs of an output), batch norms as the identity. Every convolution is followed by a batch
    norm, which makes the network's function independent of the weights' scale (the tower's last one on ImageNet is the
    exception), so a finer choice would gain little.

    Raises UsageError for a tower that the network has no place for, or whose maps don't suit it.
    """
    return seeded(lambda: GraphNetwork(graph, with_tower=with_tower), seed)


def seeded(build: Callable[[], Network], seed: int) -> Network:
    """What `build` makes, its weights drawn from the seed; torch's own generators are unchanged."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that reseeds the generators of the GPUs too, which fork_rng doesn't restore here.
        torch.default_generator.manual_seed(seed)
        return build()


def load_network(
    graph: Graph, weights: Mapping[str, np.ndarray], where: str, kind: type[GraphNetwork] = GraphNetwork
) -> GraphNetwork:
    """The graph's network with the weights of a file, on the CPU, in training mode.

    Nothing of the network is allocated before names and shapes have been checked, however large the file claims it to
    be. `where` names the file. Raises ArtifactError where the weights don't fit.
    """
    with torch.device("meta"):
        network = kind(graph)
    load_weights(network, weights, where)
    return network


def inherited_network(
    genotype: ChannelsGenotype, posterior: OfSupernet, where: str, seed: int, *, with_tower: bool = False
) -> GraphNetwork:
    """The genotype's network with the weights of the super-network that it is part of, on the CPU, in training mode.

    In evaluation mode its logits are those of the super-network under the genotype's mask, up to rounding. An auxiliary
    tower, which no posterior has, gets fresh weights from the seed. `where` names the posterior's file. Raises
    ArtifactError where its weights don't fit.
    """
    whole = posterior.graph
    supernet = load_network(whole, posterior.weights, where)
    masks = torch.from_numpy(mask_of(whole, genotype.channels))[None].float()
    cut = slim(whole, genotype.channels)
    network = build_network(cut.graph, seed, with_tower=with_tower)
    inherit(network, cut, supernet, masks)
    return network


def load_weights(network: nn.Module, weights: Mapping[str, np.ndarray], where: str) -> None:
    """Give the network these weights and batch norm statistics, copied.

    Raises ArtifactError unless names, shapes and types are exactly those of `network.state_dict()`; it lists the first
    few faults, and the network is unchanged.
    """
    own = network.state_dict()
    faults = _faults(own, weights)
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise ArtifactError(f"{where}: the weights don't fit the network: {'; '.join(faults[:FAULTS_SHOWN])}{more}")
    tensors = {name: torch.from_numpy(np.array(weights[name])) for name in own}
    network.load_state_dict(tensors, assign=any(tensor.is_meta for tensor in own.values()))


def _faults(own: Mapping[str, Tensor], weights: Mapping[str, np.ndarray]) -> list[str]:
    """What is wrong with the weights: missing names, then unknown ones, then wrong shapes and types."""
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{name} is not in the network" for name in weights if name not in own]
    for name, tensor in own.items():
        if name not in weights:
            continue
        given, dtype = weights[name], str(tensor.dtype).removeprefix("torch.")
        if given.shape != tuple(tensor.shape):
            faults.append(f"{name} has the shape {list(given.shape)}, not {list(tensor.shape)}")
        elif str(given.dtype) != dtype:
            faults.append(f"{name} is {given.dtype}, not {dtype}")
    return faults
