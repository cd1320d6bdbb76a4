"""DenseNet's stages are tables; those of other super-networks are not."""

from itertools import groupby

import pytest

from nascli.registry import SUPERNETS
from nascli.supernets import supernet
from nascli.visualize.supernets.blocks import blocks
from nascli.visualize.supernets.dense import DenseStage, dense_stages
from nascli.visualize.supernets.kept import of_genotype
from nascli.visualize.supernets.supernet import _stages
from tests.visualize.examples import channels, small_graph


def tables(graph) -> dict[str, DenseStage]:
    stages = {name: list(group) for name, group in groupby(blocks(graph), key=lambda block: block.stage)}
    return dense_stages(graph, stages)


def test_a_table_by_hand() -> None:
    """Layer n reads the stage's input and the layers before it; the next stage's transition reads them all."""
    table = tables(small_graph("densenet121", 3))["stage1"]
    assert table.rows == ("stage1.transition", "stage1.layer0", "stage1.layer1", "stage1.layer2")
    assert [(column.block, column.rows) for column in table.columns] == [
        ("stage1.layer0", (0,)),
        ("stage1.layer1", (0, 1)),
        ("stage1.layer2", (0, 1, 2)),
        ("stage2.transition", (0, 1, 2, 3)),
    ]
    assert table.columns[2].conv == "stage1.layer2.conv1"
    assert table.columns[2].others == ("stage1.layer2.conv2",)
    assert table.columns[3].others == ()


def test_the_published_densenet_is_four_tables() -> None:
    graph = supernet("densenet121", 8, (6, 12, 24, 16), classes=2, image_channels=1, image_size=32)
    sizes = {name: (len(table.rows), len(table.columns)) for name, table in tables(graph).items()}
    assert sizes == {"stage0": (7, 7), "stage1": (13, 13), "stage2": (25, 25), "stage3": (16, 16)}


@pytest.mark.parametrize("name", [name for name in SUPERNETS if name != "densenet121"])
def test_other_super_networks_are_boxes(name: str) -> None:
    assert tables(small_graph(name, 3)) == {}


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", SUPERNETS)
def test_a_picture_has_each_convolution_once(name: str, depth: int) -> None:
    kept = of_genotype(channels(name, depth))
    drawn = [conv for stage in _stages(kept) for conv in stage.convolutions]
    assert sorted(drawn) == sorted(kept.graph.masked)
