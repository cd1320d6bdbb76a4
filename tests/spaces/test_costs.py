"""The size of cells without building their networks, compared with the networks."""

import numpy as np
import pytest

from nascli.registry import SPACES
from nascli.spaces import cell_space
from nascli.spaces.costs import cell_costs
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace

LARGE = NetworkSettings(layers=6, channels=5, stem="imagenet", classes=7, image_channels=1, image_size=64)
SMALL = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=3, image_size=8)
ONE_NODE = cell_space("darts", 1)


@pytest.mark.parametrize("settings", [SMALL, LARGE])
@pytest.mark.parametrize("space", [*map(cell_space, SPACES), ONE_NODE], ids=str)
def test_the_sum_of_the_choices_is_the_size_of_the_network(space: CellSpace, settings: NetworkSettings) -> None:
    costs, generator = cell_costs(space, settings), np.random.default_rng(0)
    for _ in range(8):
        choices = [int(generator.integers(len(one.options))) for one in space.decisions() for _ in range(one.draws)]
        genotype = space.genotype(choices)
        assert costs.size(genotype) == genotype.graph(settings).size


def test_a_network_without_normal_cells() -> None:
    """Both of two cells are reduction cells; the choices for normal ones cost nothing."""
    settings = SMALL.model_copy(update={"layers": 2})
    costs = cell_costs(ONE_NODE, settings)
    for choices in ([0, 4, 5, 6], [13, 3, 5, 6]):
        genotype = ONE_NODE.genotype(choices)
        assert costs.size(genotype) == genotype.graph(settings).size
    assert not any(size.parameters for (cell, _, _), size in costs.picks.items() if cell == "normal")


def test_an_input_that_is_not_read_is_not_mapped() -> None:
    """Both draws on one input leave out the 1x1 convolution of the other, on the stem's 12 channels, and its norm."""
    options = ONE_NODE.decisions()[0].options
    first, second = (n for n, pick in enumerate(options) if pick.op == "max_pool_3x3")
    costs = cell_costs(ONE_NODE, SMALL)
    both, one = (costs.size(ONE_NODE.genotype([first, other, 4, 4])) for other in (second, first))
    assert both.parameters - one.parameters == costs.inputs["normal"][1].parameters == 12 * 4 + 2 * 4
    assert both.multiply_adds - one.multiply_adds == costs.inputs["normal"][1].multiply_adds == 12 * 4 * 8 * 8
