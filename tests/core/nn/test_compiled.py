"""Networks whose choice is given are traced whole by torch.compile: from a batch to its loss, and back.

Traced, not generated, and cut into forward and backward as it comes: that takes no compiler and less time, and
torch.compile has been seen to turn gradients of autograd functions to zero, silently. What it traces as one graph does
nothing that depends on numbers, so that a GPU can capture it.
"""

import pytest
import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.core.nn.drop_path import draw_paths
from nascli.core.nn.graph_mixture import GraphMixture
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.core.nn.shared_network import SharedNetwork
from nascli.spaces import cell_space
from nascli.spaces.darts import Darts
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Shared
from nascli.supernets.resnet_mb import resnet_mb
from tests.core.nn.test_graph_mixture import weights_of

SIZE = NetworkSettings(layers=1, channels=4, stem="cifar", classes=5, image_channels=2, image_size=4)
AFTER_A_REDUCTION = SIZE.model_copy(update={"stem": "imagenet", "image_size": 16})
"""One cell, a reduction, that reads maps of two sizes."""
IMAGES = 6

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's tracing does what torch itself warns of


class FewDarts(Darts):
    """One operation of each kind: no change, weights with batch norms, pooling."""

    operations = ("skip_connect", "dil_conv_3x3", "max_pool_3x3")


def plain_mixture():
    space = FewDarts(1)
    operations, shares, leaves = weights_of(space)
    network = GraphMixture(space, SIZE, partial_channels=2)
    return network, lambda images: network(images, operations, shares), leaves


def fast_mixture_of_few():
    space = FewDarts(1)
    operations, shares, leaves = weights_of(space)
    network = MixedNetwork(space, SIZE, partial_channels=2)
    return network, lambda images: network(images, operations, shares), leaves


def derived_network():
    picks = "[('dil_conv_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 0), ('skip_connect', 2)]"
    cell = f"Genotype(normal={picks}, normal_concat=[2, 3], reduce={picks}, reduce_concat=[2, 3])"
    network = GraphNetwork(parse_genotype(cell.encode(), "here").genotype.graph(AFTER_A_REDUCTION))
    paths = draw_paths(network.path_count, IMAGES, 0.3, torch.Generator().manual_seed(0)).double()
    return network, lambda images: network(images, paths), []


def masked_supernet():
    graph = resnet_mb(2, (1,), classes=5, image_channels=2, image_size=4)
    masks = torch.rand(IMAGES, graph.mask_size, dtype=torch.float64, requires_grad=True)
    network = GraphNetwork(graph)
    return network, lambda images: network(images, masks=masks), [masks]


def shared_child():
    space = cell_space("darts", 1)
    child = space.graph(CategoricalDistribution.uniform(space).sample(seed=3, number=1), SIZE, Shared())
    network = SharedNetwork(space.graph(space.everything(), SIZE, Shared()))
    return network, lambda images: network(images, child), []


def fast_mixture():
    space = cell_space("darts", 1)
    operations, shares, _ = weights_of(space)
    network = MixedNetwork(space, AFTER_A_REDUCTION, partial_channels=2)
    return network, lambda images: network(images, operations, shares), [operations["reduce"], shares["reduce"]]


def test_a_recorded_pass_of_the_fast_mixture_is_right_on_another_batch():
    """Recorded operators take gradients at other images and weights: nothing in them came from the first ones."""
    torch.manual_seed(0)
    network, logits, leaves = fast_mixture()
    network.double()
    labels = torch.arange(IMAGES) % SIZE.classes
    first, other = torch.randn(2, IMAGES, 2, 16, 16, dtype=torch.float64)

    def gradients(images):
        return torch.autograd.grad(F.cross_entropy(logits(images), labels), [*network.parameters(), *leaves])

    recorded = make_fx(gradients)(first)
    with torch.no_grad():
        for tensor in (*network.parameters(), *leaves):
            tensor.mul_(0.7)
        found = recorded(other)
    for mine, theirs in zip(found, gradients(other), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("build", [plain_mixture, fast_mixture_of_few, derived_network, masked_supernet, shared_child])
def test_a_step_is_traced_whole_and_has_the_same_gradients(build):
    torch.manual_seed(0)
    network, logits, leaves = build()
    network.double()
    side = (AFTER_A_REDUCTION if build is derived_network else SIZE).image_size
    images = torch.randn(IMAGES, SIZE.image_channels, side, side, dtype=torch.float64)
    labels = torch.arange(IMAGES) % SIZE.classes

    def loss(images):
        return F.cross_entropy(logits(images), labels)

    found = []
    for function in (loss, torch.compile(loss, backend="aot_eager_default_partitioner", fullgraph=True)):
        weights = [*network.parameters(), *leaves]
        found.append(torch.autograd.grad(function(images), weights, allow_unused=True, materialize_grads=True))
    torch.compiler.reset()
    for eager, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-9, atol=1e-12)
