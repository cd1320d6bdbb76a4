"""Derived networks against their genotype read literally, in float64; sizes of images, tower, paths, formats."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import CellGenotype
from nascli.core.nn.build import build_network
from nascli.core.nn.drop_path import draw_paths
from nascli.core.nn.graph_network import GraphNetwork
from nascli.errors import UsageError
from nascli.graphs.graph import Graph
from nascli.graphs.operations import DropPath
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn.oracle import Literal

PC_DARTS = published.load("pc-darts-cifar10").genotype
SMALL: dict[str, Any] = {
    "layers": 3,
    "channels": 4,
    "stem": "cifar",
    "classes": 5,
    "image_channels": 3,
    "image_size": 32,
}


def settings(**changes: Any) -> NetworkSettings:
    return NetworkSettings.model_validate(SMALL | changes)


def graph(genotype: CellGenotype = PC_DARTS, **changes: Any) -> Graph:
    return genotype.graph(settings(**changes))


def small(genotype: CellGenotype = PC_DARTS, **changes: Any) -> GraphNetwork:
    return build_network(graph(genotype, **changes), seed=0, with_tower=bool(changes.get("auxiliary")))


def images(side: int, batch: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(side))


def of_one_cell(nodes: list[list[tuple[str, int]]], concat: list[int]) -> CellGenotype:
    """The same cell in both places."""
    cell = {"nodes": [[{"op": op, "input": source} for op, source in node] for node in nodes], "concat": concat}
    return CellGenotype.model_validate({"cells": {"normal": cell, "reduce": cell}})


def paths_of(network: GraphNetwork) -> list[str]:
    return [node.name for node in network.graph.nodes if isinstance(node.op, DropPath)]


def assert_literal(genotype: CellGenotype, **changes: Any) -> None:
    """Logits and all gradients, with drop-path; and both have the same parts under the same names, and no others."""
    network = small(genotype, **changes).double()
    literal = Literal(genotype, settings(**changes)).double()
    literal.load_state_dict(network.state_dict())
    x = images(changes.get("image_size", 32), batch=3).double()
    paths = torch.rand(network.path_count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    results = []
    for module, multipliers in ((network, paths), (literal, dict(zip(paths_of(network), paths, strict=True)))):
        logits = module(x, multipliers)
        assert logits.shape == (3, 5)
        gradients = torch.autograd.grad((logits * logits.detach().cos()).sum(), list(module.parameters()))
        names = [name for name, _ in module.named_parameters()]
        results.append({"logits": logits, **dict(zip(names, gradients, strict=True))})
    ours, theirs = results
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-8, atol=1e-8)


SIZES = (
    {"layers": 4, "image_size": 8},
    {"layers": 4, "image_size": 13},
    {"layers": 2, "image_size": 27},
    {"layers": 4, "channels": 5, "stem": "imagenet", "image_size": 45},
)


@pytest.mark.parametrize(
    ("name", "changes"),
    [(name, SIZES[place % 4]) for place, name in enumerate(published.names())],
    ids=lambda given: given if isinstance(given, str) else "-".join(str(value) for value in given.values()),
)
def test_published_cells_compute_what_their_genotype_says(name: str, changes: dict[str, Any]) -> None:
    """Also with odd channels and maps; the sizes in turn."""
    assert_literal(published.load(name).genotype, **changes)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("stem", "side"), [("cifar", 8), ("imagenet", 33)])
def test_short_stacks(layers: int, stem: str, side: int) -> None:
    """Each reduction cell doubles the channels: 1 of them with one cell, otherwise 2."""
    network = small(layers=layers, stem=stem, image_size=side)
    assert network(images(side)).shape == (2, 5)
    doublings = 1 if layers == 1 else 2
    assert network.get_submodule("classifier").in_features == 4 * 4 * 2**doublings


def test_grey_images() -> None:
    assert small(image_channels=1)(images(32, channels=1)).shape == (2, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 3}, "images of 3x3 are too small for the cifar stem and 3 layers, which divide a side by 4"),
        ({"image_size": 31, "stem": "imagenet"}, "31x31 are too small for the imagenet stem .* divide a side by 32"),
        ({"channels": 1, "stem": "imagenet", "image_size": 64}, "2 channels or more"),
        ({"auxiliary": True, "image_size": 28}, "needs images of 29 to 40 pixels a side, not of 28"),
        ({"auxiliary": True, "layers": 1}, "no place for an auxiliary tower"),
        ({"auxiliary": True, "stem": "imagenet", "image_size": 192}, "images of 193 to 256 pixels a side, not of 192"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(**changes)


@pytest.mark.parametrize("side", [8, 27])
def test_channels_last_gives_the_same_logits_and_gradients(side: int) -> None:
    x, results = images(side).double(), []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        network = small(image_size=side).double().to(memory_format=memory_format)
        paths = draw_paths(network.path_count, 2, 0.3, torch.Generator().manual_seed(1))
        logits = network(x.contiguous(memory_format=memory_format), paths)
        results.append((logits, *torch.autograd.grad(logits.square().sum(), list(network.parameters()))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_the_tower_hangs_on_the_second_reduction_cell_and_leaves_the_logits_alone() -> None:
    network = small(layers=5, auxiliary=True)
    logits, auxiliary_logits = network(images(32), with_auxiliary=True)
    assert network.auxiliary is not None
    maps = network.values(images(32), ["cells.3.concat"])["cells.3.concat"]
    torch.testing.assert_close(auxiliary_logits, network.auxiliary(maps))
    torch.testing.assert_close(network(images(32)), logits)


def test_a_tower_that_is_not_there_cannot_answer() -> None:
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        small()(images(32), with_auxiliary=True)


def test_all_picks_but_identities_are_paths_in_order() -> None:
    """With L = 3: one normal cell with an identity among its 8 picks, then two reduction cells of 8 paths each."""
    network = small()
    expected = [
        f"cells.{position}.edges.{pick.input}-{node}.{pick.op}.drop"
        for position, cell in enumerate(("normal", "reduce", "reduce"))
        for node, picks in enumerate(PC_DARTS.cells[cell].nodes, start=2)
        for pick in picks
    ]
    expected.remove("cells.0.edges.0-2.skip_connect.drop")
    assert paths_of(network) == expected
    assert network.path_count == 7 + 8 + 8


def test_identities_are_spared_and_a_strided_skip_is_not() -> None:
    nodes = [[("skip_connect", 0), ("skip_connect", 1)], [("skip_connect", 2), ("skip_connect", 1)]]
    genotype = of_one_cell(nodes, [2, 3])
    edges = ("0-2", "1-2", "1-3")
    strided = [f"cells.{position}.edges.{edge}.skip_connect.drop" for position in (1, 2) for edge in edges]
    assert paths_of(small(genotype)) == strided


def test_a_path_of_one_changes_nothing_and_one_of_zero_is_taken_away_from_its_image() -> None:
    network, x = small(layers=1).double().eval(), images(32, batch=3).double()
    ones = torch.ones(network.path_count, 3, dtype=torch.float64)
    kept = network(x)
    assert torch.equal(network(x, ones), kept)
    for path in range(network.path_count):
        zero = ones.clone()
        zero[path, 1] = 0
        dropped = network(x, zero)
        assert torch.equal(dropped[[0, 2]], kept[[0, 2]])
        assert not torch.allclose(dropped[1], kept[1])


def test_multipliers_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"paths must be \[23, 2\], not \[22, 2\]"):
        small()(images(32), torch.ones(22, 2))


def test_what_the_output_does_not_depend_on_is_not_built() -> None:
    nodes = [[("sep_conv_3x3", 0)], [("sep_conv_3x3", 2)], [("max_pool_3x3", 1), ("sep_conv_5x5", 1)]]
    genotype = of_one_cell(nodes, [4])
    assert genotype.cells["normal"].read_states(2) == {1, 4}
    network = small(genotype)
    names = {name for name, _ in network.named_parameters() if name.startswith("cells.0.")}
    assert {".".join(name.split(".")[2:4]) for name in names} == {"inputs.1", "edges.1-4"}
    network(images(32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert_literal(genotype, image_size=9)


def test_a_node_sums_any_number_of_picks_repeated_ones_too() -> None:
    """Repeated ones have weights of their own; what has none is computed once, and counted as often as it is picked."""
    nodes = [
        [("avg_pool_3x3", 0)] * 2 + [("avg_pool_3x3", 1)],
        [("sep_conv_3x3", 1), ("sep_conv_3x3", 1), ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0)],
    ]
    genotype = of_one_cell(nodes, [2, 3])
    assert_literal(genotype, layers=4, image_size=9)
    names = small(genotype).state_dict()
    assert {name.split(".")[4] for name in names if name.startswith("cells.0.edges.1-3")} == {
        "sep_conv_3x3",
        "sep_conv_3x3_2",
        "sep_conv_3x3_3",
    }


def test_names_in_the_state_dict_follow_the_genotype() -> None:
    """They are part of what a file of weights is; renaming one breaks all files."""
    names = small(auxiliary=True).state_dict().keys()
    # node 4 reads sep_conv_5x5 of 0, node 3 dil_conv_3x3 of 1
    for name in (
        "stem.conv.weight",
        "cells.0.inputs.0.conv.weight",
        "cells.1.inputs.0.norm.bias",
        "cells.2.inputs.0.shifted_conv.weight",
        "cells.0.edges.0-4.sep_conv_5x5.first.depthwise.weight",
        "cells.0.edges.0-4.sep_conv_5x5.second.pointwise.weight",
        "cells.0.edges.1-3.dil_conv_3x3.norm.running_mean",
        "auxiliary.classifier.bias",
        "classifier.weight",
    ):
        assert name in names, name
    assert not [name for name in names if ".skip_connect" in name and name.startswith("cells.0.")]  # an identity
    assert "stem.3.conv.weight" in small(stem="imagenet").state_dict()


def test_parameters_of_a_graph_are_those_of_its_network() -> None:
    for changes in ({}, {"layers": 8, "auxiliary": True}, {"stem": "imagenet", "image_size": 64}):
        network = small(**changes)
        counted = sum(parameter.numel() for parameter in network.parameters())
        tower = network.graph.tower_parameters if changes.get("auxiliary") else 0
        assert counted == network.graph.parameters + tower


def test_bfloat16_autocast_stays_near_float32() -> None:
    network, x = small().eval(), images(32)
    paths = draw_paths(network.path_count, 2, 0.3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact = network(x, paths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(x, paths)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.05 * float(exact.abs().max()))
