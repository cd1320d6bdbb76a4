"""Do smaller networks give the same logits as the masked super-networks? The largest difference, in float32.

    python benchmarks/slim_masks.py [--masks 100] [--published 1]

Each super-network is tried at a small size, with random masks that drop from nothing to everything, also whole
convolutions and whole sources; and as published, at full width and depth, with fewer masks. Batch norms have random
scales, shifts and statistics. Exits with 1 if a difference is above the promised 1e-4, in units of the logits'
deviation if that is above 1.
"""

import argparse
import sys

import numpy as np
import torch
from torch import nn

from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.graphs.graph import Graph
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of, supernet

PROMISED = 1e-4
WIDTH, DEPTH = 6, 2
SIDES = {4: (32, 31, 9, 6), 32: (64, 75, 33, 32)}
"""Sides of the images by the stride of the super-network, chosen so that the maps' sides are even, odd and tiny."""


WHOLES = ((0.0, 0.0), (0.1, 0.0), (0.4, 0.0), (0.0, 0.4))
"""The shares of convolutions and of sources that are dropped as a whole."""


def network_of(graph: Graph) -> GraphNetwork:
    """A super-network in evaluation mode whose batch norms have an effect."""
    generator = torch.Generator().manual_seed(0)
    network = GraphNetwork(graph).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
            module.running_mean.uniform_(-0.3, 0.3, generator=generator)
            module.running_var.uniform_(0.2, 1.5, generator=generator)
        elif isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, (1.5 / module.weight[0].numel()) ** 0.5, generator=generator)
    return network


def difference(supernet_: GraphNetwork, images: torch.Tensor, drop: float, seed: int) -> float:
    """The largest difference of any logit, in units of the logits' deviation if that is above 1."""
    graph, generator = supernet_.graph, np.random.default_rng(seed)
    mask = generator.random(graph.mask_size) >= drop
    whole, source = WHOLES[seed // 4 % len(WHOLES)]  # there are four sizes of images, in turn
    for entries in graph.mask_ranges.values():
        mask[entries.start : entries.stop] &= generator.random() >= whole
    for group in graph.groups:
        mask[group.start : group.start + group.size] &= generator.random() >= source
    masks = torch.from_numpy(mask[None].astype(np.float32))
    kept = {name: np.flatnonzero(mask[e.start : e.stop]).tolist() for name, e in graph.mask_ranges.items()}
    left = slim(graph, kept)
    network = GraphNetwork(left.graph).eval()
    inherit(network, left, supernet_, masks)
    with torch.no_grad():
        expected = supernet_(images, masks=masks)
        return float((network(images) - expected).abs().max() / max(1.0, expected.std()))


def worst(name: str, width: int, depth: int, sides: tuple[int, ...], masks: int) -> float:
    """The largest difference over `masks` masks, divided evenly among the sizes of images."""
    found = []
    for place, side in enumerate(sides):
        graph = supernet(name, width, stages_of(name, depth), classes=10, image_channels=3, image_size=side)
        network = network_of(graph)
        images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
        for number in range(place, masks, len(sides)):
            drop = number / (masks - 1) if masks > 1 else 0.3
            found.append(difference(network, images, drop, number))
    return max(found)


def main() -> None:
    """Print a line per super-network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--published", type=int, default=1)
    options = parser.parse_args()
    failed = False
    for name, row in SUPERNETS.items():
        sides = SIDES[row.stride]
        small = worst(name, WIDTH, DEPTH, sides, options.masks)
        large = worst(name, row.width, 0, sides[:1], options.published)
        print(f"{name}: small {small:.1e} ({options.masks} masks), published {large:.1e} ({options.published})")
        failed |= max(small, large) > PROMISED
    sys.exit(failed)


if __name__ == "__main__":
    main()
