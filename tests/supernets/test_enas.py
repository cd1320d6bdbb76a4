"""`enas` against the network of ENAS's published cells, and the sources that its cells read."""

import pytest
import torch

from nascli.artifacts.genotypes import published
from nascli.core.nn.graph_network import GraphNetwork
from nascli.registry import SUPERNETS
from nascli.spaces.network_settings import NetworkSettings
from nascli.supernets import supernet
from tests.supernets.networks import used

GENOTYPE = published.load("enas").genotype


def _settings(channels: int, layers: int, image_size: int) -> NetworkSettings:
    return NetworkSettings(
        layers=layers, channels=channels, stem="cifar", classes=10, image_channels=3, image_size=image_size
    )


@pytest.mark.parametrize(("name", "millions"), [("enas", "3.73"), ("enas-inflated", "14.1")])
def test_the_published_network_is_seventeen_of_the_published_cells(name: str, millions: str) -> None:
    row = SUPERNETS[name]
    graph = supernet(name, row.width, row.stages, classes=10, image_channels=3, image_size=32)
    assert graph.size == GENOTYPE.graph(_settings(row.width, 17, 32)).size
    assert f"{graph.parameters / 1e6:.3g}" == millions


def _cell_name(position: int, layers: int) -> str:
    """The name of a cell of `layers`, whose reductions are at a third and two thirds."""
    per_stage = (layers - 2) // 3
    stage, cell = divmod(position + 1, per_stage + 1)
    if cell == 0:
        return f"stage{stage}.reduction"
    return f"stage{stage}.cell{cell - 1}"


def _graph_name(name: str, layers: int) -> str:
    """The super-network's name of a node or tensor of the network of cells."""
    match name.split(".", 2):
        case ["cells", position, rest]:
            return f"{_cell_name(int(position), layers)}.{rest}"
        case _:
            return name


@pytest.mark.parametrize(("layers", "image_size"), [(5, 9), (8, 32)])
def test_the_same_logits_as_the_network_of_cells(layers: int, image_size: int) -> None:
    """On odd maps too; with the same drop-path multipliers, and the tower where the maps suit it."""
    tower = image_size == 32
    theirs = GraphNetwork(GENOTYPE.graph(_settings(4, layers, image_size)), with_tower=tower)
    used(theirs, torch.randn(8, 3, image_size, image_size))
    stages = ((layers - 2) // 3,) * 3
    graph = supernet("enas", 4, stages, classes=10, image_channels=3, image_size=image_size)
    ours = GraphNetwork(graph, with_tower=tower).double().eval()
    ours.load_state_dict({_graph_name(name, layers): tensor for name, tensor in theirs.state_dict().items()})
    images = torch.rand(3, 3, image_size, image_size, dtype=torch.float64)
    assert ours.path_count == theirs.path_count
    paths = (torch.rand(ours.path_count, 3) > 0.4) / 0.6
    with torch.no_grad():
        for multipliers in (None, paths):
            expected = theirs(images, multipliers, with_auxiliary=tower)
            found = ours(images, multipliers, with_auxiliary=tower)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_sources_are_the_nodes_that_were_concatenated() -> None:
    graph = supernet("enas", 4, (2, 1, 1), classes=10, image_channels=3, image_size=32)
    sources = {name: conv.sources for name, conv in graph.masked.items() if ".inputs." in name}
    assert sources == {
        "stage0.cell0.inputs.0.conv": (12,),
        "stage0.cell0.inputs.1.conv": (12,),
        "stage0.cell1.inputs.0.conv": (12,),
        "stage0.cell1.inputs.1.conv": (4,) * 5,
        "stage1.reduction.inputs.0.conv": (4,) * 5,
        "stage1.reduction.inputs.1.conv": (4,) * 5,
        "stage1.cell0.inputs.0.conv": (4,) * 5,
        "stage1.cell0.inputs.0.shifted_conv": (4,) * 5,
        "stage1.cell0.inputs.1.conv": (8,) * 4,
        "stage2.reduction.inputs.0.conv": (8,) * 4,
        "stage2.reduction.inputs.1.conv": (8,) * 5,
        "stage2.cell0.inputs.0.conv": (8,) * 5,
        "stage2.cell0.inputs.0.shifted_conv": (8,) * 5,
        "stage2.cell0.inputs.1.conv": (16,) * 4,
    }
