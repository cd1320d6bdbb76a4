"""A path through a mixture: what the mixture is when the path's operations and edges weigh 1 and all others nothing."""

import pytest
import torch

from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.core.nn.graph_mixture import GraphMixture
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.core.nn.shared_network import SharedNetwork
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.wiring import Path

CASES = [(GraphMixture, "darts", 1), (MixedNetwork, "darts", 2), (GraphMixture, "nas-bench-201", 0)]


def one_hot(space, genotype):
    """1 for what the genotype picks, by row and column; and for the edges that it keeps."""
    operations, edges = {}, {}
    for name, cell in genotype.cells.items():
        operations[name] = torch.zeros(len(space.edges()), len(space.operations), dtype=torch.float64)
        edges[name] = torch.zeros(len(space.edges()), dtype=torch.float64)
        for node, picks in enumerate(cell.nodes, start=space.inputs):
            for pick in picks:
                row = space.edges().index((pick.input, node))
                operations[name][row, space.operations.index(pick.op)] = 1
                edges[name][row] = 1
    return operations, edges


@pytest.mark.parametrize("partial_channels", [1, 4])
@pytest.mark.parametrize(("kind", "space", "nodes"), CASES)
def test_a_path_is_the_mixture_with_all_weight_on_it(kind, space, nodes, partial_channels):
    space = cell_space(space, nodes)
    sizes = NetworkSettings(layers=3, channels=8, stem="cifar", classes=5, image_channels=3, image_size=8)
    torch.manual_seed(0)
    mixture = kind(space, sizes, partial_channels=partial_channels).double()
    wiring = Path(space.edges(), partial_channels)
    network = SharedNetwork(space.graph(space.everything(), sizes, wiring)).double()
    state = mixture.state_dict()
    assert network.state_dict().keys() == {
        name for name in state if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    images = torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for number in range(3):
        genotype = MixtureDistribution.uniform(space).sample(0, number)
        operations, edges = one_hot(space, genotype)
        expected = mixture(images, operations, edges)
        found = network(images, space.graph(genotype, sizes, wiring))
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)
        assert found.std() > 0
