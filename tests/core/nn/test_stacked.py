"""Stacked candidates have the logits of the super-network under their masks, one by one."""

import pytest
import torch

from nascli.core.nn.folded_norm import BatchNorm2d
from nascli.core.nn.stacked import StackedNetwork
from nascli.registry import SUPERNETS
from tests.supernets.masks import random_mask
from tests.supernets.networks import images, network_of, small_graph


@pytest.mark.parametrize("name", sorted(SUPERNETS.keys() - {"resnet-mb-inflated", "enas-inflated"}))  # but for width
@pytest.mark.parametrize("beyond", [0, 3])
def test_equals_one_at_a_time(name: str, beyond: int) -> None:
    graph = small_graph(name, max(SUPERNETS[name].stride, 16) + beyond)
    network, batch = network_of(graph), images(graph, 3)
    drops = ((0.0, 0.0), (0.5, 0.0), (0.2, 0.3), (0.9, 0.5), (1.0, 0.0))
    masks = torch.stack([torch.from_numpy(random_mask(graph, 7, drop=p, drop_whole=q)) for p, q in drops])
    with torch.no_grad():
        alone = torch.stack([network(batch, masks=mask[None]) for mask in masks])
    before, weights = batch.clone(), {key: value.clone() for key, value in network.state_dict().items()}
    stacked = StackedNetwork(network)
    for _ in range(2):
        torch.testing.assert_close(stacked(batch, masks), alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(stacked(batch, masks[2:3]), alone[2:3], rtol=1e-9, atol=1e-9)
    assert torch.equal(batch, before)
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_nothing_masked_has_been_touched_by_a_mask_yet() -> None:
    """A mask that keeps everything gives the plain network's logits, candidate by candidate."""
    graph = small_graph("resnet-mb", 9)
    network, batch = network_of(graph), images(graph)
    whole = torch.ones(2, graph.mask_size)
    with torch.no_grad():
        plain = network(batch)
    torch.testing.assert_close(StackedNetwork(network)(batch, whole), torch.stack([plain] * 2), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "left"), [("resnet-mb", 0), ("densenet121", 62)])
def test_batch_norms_after_convolutions_are_gone(name: str, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """DenseNet's stand before the ReLU: of its 121 only 59, one in each layer and the stem's, follow a convolution."""
    graph = small_graph(name, 32, depth=0)
    network = network_of(graph)
    stacked = StackedNetwork(network)
    seen = []
    forward = BatchNorm2d.forward
    monkeypatch.setattr(BatchNorm2d, "forward", lambda self, x: seen.append(1) or forward(self, x))
    stacked(images(graph, 1), torch.ones(1, graph.mask_size))
    assert len(seen) == left
