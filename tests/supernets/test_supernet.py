"""All super-networks of the registry: their published sizes, the images and sizes that they take, who reads what."""

import time

import pytest

from nascli.errors import UsageError
from nascli.graphs.graph import Graph
from nascli.graphs.operations import Conv, Image
from nascli.registry import SUPERNETS
from nascli.supernets import stages_of, supernet

SIDES = (4, 8, 9, 28, 31, 32, 33, 45, 64, 224)


def small(name: str, image_size: int, *, width: int = 4, depth: int = 1) -> Graph:
    stages = stages_of(name, depth)
    return supernet(name, width, stages, classes=5, image_channels=2, image_size=image_size)


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("resnet-mb", 10, 26_192_922),
        ("resnet-mb-inflated", 10, 72_695_194),
        # ResNet-50 has 25,557,032. A 3x3 becomes (1 + 9 + 9 + 25) / 4 = 11 weights instead of 9 for every pair of
        # channels, of which there are so many:
        ("resnet50-inflated", 1000, 25_557_032 + 2 * (3 * 64**2 + 4 * 128**2 + 6 * 256**2 + 3 * 512**2)),
        # torchvision's DenseNet-121.
        ("densenet121", 1000, 7_978_856),
    ],
)
def test_published_sizes(name: str, classes: int, parameters: int) -> None:
    row = SUPERNETS[name]
    graph = supernet(name, row.width, row.stages, classes=classes, image_channels=3, image_size=64)
    assert graph.parameters == parameters


@pytest.mark.parametrize("name", SUPERNETS)
def test_a_graph_is_built_in_no_time(name: str) -> None:
    row = SUPERNETS[name]
    started = time.process_time()
    graph = supernet(name, row.width, row.stages, classes=7, image_channels=3, image_size=64)
    assert graph.parameters
    assert graph.mask_size
    assert time.process_time() - started < 1


@pytest.mark.parametrize("image_size", SIDES)
@pytest.mark.parametrize("name", SUPERNETS)
def test_any_image_that_the_strides_allow(name: str, image_size: int) -> None:
    """The weights don't depend on the side of the images; too small a side is refused in one line."""
    stride = SUPERNETS[name].stride
    if image_size < stride:
        with pytest.raises(UsageError, match=f"images of {image_size}x{image_size} are too small for {name}, which"):
            small(name, image_size)
        return
    graph = small(name, image_size)
    sides = [shape.side for shape in graph.shapes.values() if shape.side]
    assert sides[0] == image_size
    assert sides[-1] in (image_size // stride, -(-image_size // stride))
    assert graph.parameters == small(name, stride).parameters


@pytest.mark.parametrize("name", SUPERNETS)
def test_every_convolution_but_the_stem_and_depthwise_ones_has_a_mask(name: str) -> None:
    graph = small(name, 32, depth=2)
    convs = {node.name: node.op for node in graph.nodes if isinstance(node.op, Conv)}
    unmasked = [conv for conv in convs if conv not in graph.masked and not convs[conv].depthwise]
    assert [graph.by_name[graph.by_name[conv].inputs[0]].op for conv in unmasked] == [Image(2)]


@pytest.mark.parametrize("name", SUPERNETS)
def test_groups_tile_the_inputs_of_every_convolution_and_the_row_of_masks(name: str) -> None:
    graph = small(name, 32, depth=2)
    assert [entry for group in graph.groups for entry in range(group.start, group.start + group.size)] == list(
        range(graph.mask_size)
    )
    for conv, entries in graph.mask_ranges.items():
        mine = [group for group in graph.groups if group.conv == conv]
        assert [group.source for group in mine] == list(range(len(mine)))
        read = graph.shapes[graph.by_name[conv].inputs[0]].channels
        assert [channel for group in mine for channel in range(group.first, group.first + group.size)] == list(
            range(read)
        )
        assert [group.start - group.first for group in mine] == [entries.start] * len(mine)
        assert len(entries) == read


@pytest.mark.parametrize("name", SUPERNETS)
def test_depth_and_width_scale_the_network(name: str) -> None:
    assert len(stages_of(name, 2)) == len(SUPERNETS[name].stages)
    assert set(stages_of(name, 2)) == {2}
    assert stages_of(name) == SUPERNETS[name].stages
    assert small(name, 32).parameters < small(name, 32, width=5).parameters
    assert small(name, 32).parameters < small(name, 32, depth=2).parameters


@pytest.mark.parametrize(
    ("name", "width", "stages", "message"),
    [
        ("resnet-mp", 4, (1, 1, 1), "unknown super-network 'resnet-mp': did you mean 'resnet-mb'?"),
        ("resnet-mb", 0, (1, 1, 1), "width 0 is not from 1 to 1024"),
        ("enas", 1024, (64, 64, 64), r"enas of width 1024 with stages of \[64, 64, 64\] blocks has 31,4.* parameters"),
        ("resnet-mb", 4, (1, 1), r"resnet-mb has 3 stages of 1 to 64 blocks, not \[1, 1\]"),
        ("resnet-mb", 4, (1, 0, 1), r"resnet-mb has 3 stages of 1 to 64 blocks, not \[1, 0, 1\]"),
        ("resnet-mb", 1, (1, 1, 1), "resnet-mb of width 1 for images of 64x64: a factorised reduction splits"),
        ("resnet50-inflated", 3, (1, 1, 1, 1), "resnet50-inflated of width 3 for images of 64x64: 4 kernels share"),
    ],
)
def test_sizes_that_no_network_has(name: str, width: int, stages: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        supernet(name, width, stages, classes=5, image_channels=2, image_size=64)
