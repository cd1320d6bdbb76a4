"""A masked network's own batch-norm statistics: the averages of its batches' moments, computed by hand."""

import pytest
import torch
from torch import nn

from nascli.core.nn.recalibrate import recalibrated
from nascli.registry import SUPERNETS
from tests.supernets.masks import random_mask
from tests.supernets.networks import images, network_of, small_graph


@pytest.mark.parametrize("name", sorted(SUPERNETS.keys() - {"resnet-mb-inflated", "enas-inflated"}))  # but for width
def test_statistics_are_the_averages_of_the_batches_under_the_mask(name: str) -> None:
    graph = small_graph(name, 32)
    network = network_of(graph)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    masks = torch.from_numpy(random_mask(graph, 7, drop=0.4))[None].double()
    batches = [images(graph, 6)[:3], images(graph, 6)[3:]]
    own = recalibrated(network, masks, batches)

    modules = dict(own.named_modules())
    norms = {node.name: node.inputs[0] for node in graph.nodes if isinstance(modules.get(node.name), nn.BatchNorm2d)}
    network.train()
    with torch.no_grad():
        maps = [network.values(batch, tuple(norms.values()), masks) for batch in batches]
    for norm, read in norms.items():
        module = modules[norm]
        mean = sum(one[read].mean(dim=(0, 2, 3)) for one in maps) / 2
        variance = sum(one[read].var(dim=(0, 2, 3)) for one in maps) / 2
        torch.testing.assert_close(module.running_mean, mean)
        torch.testing.assert_close(module.running_var, variance)
        assert module.momentum == network.get_submodule(norm).momentum
    assert not own.training
    theirs = own.state_dict()
    assert all(
        torch.equal(value, theirs[key]) for key, value in before.items() if "running" not in key and "num_" not in key
    )


def test_the_network_that_it_comes_from_stays_as_it_is() -> None:
    graph = small_graph("resnet-mb", 9)
    network = network_of(graph)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    recalibrated(network, torch.ones(1, graph.mask_size).double(), [images(graph, 4)])
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
