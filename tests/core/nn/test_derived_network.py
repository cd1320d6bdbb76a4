"""Derived networks: published sizes, published cells, image sizes, drop-path, tower, memory format."""

from typing import Any

import pytest
import torch

from nascli.artifacts import published
from nascli.artifacts.genotype import CellGenotype
from nascli.core.nn.build import build_network
from nascli.core.nn.drop_path import draw_paths
from nascli.core.nn.network import CellNetwork
from nascli.errors import UsageError
from nascli.spaces.network_settings import NetworkSettings

PC_DARTS = published.load("pc-darts-cifar10").genotype
SMALL: dict[str, Any] = {
    "layers": 3,
    "channels": 4,
    "stem": "cifar",
    "classes": 5,
    "image_channels": 3,
    "image_size": 32,
}


def small(genotype: CellGenotype = PC_DARTS, **changes: Any) -> CellNetwork:
    return build_network(genotype, NetworkSettings.model_validate(SMALL | changes), seed=0)


def images(side: int, batch: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("side", [28, 27, 8])
@pytest.mark.parametrize("name", published.names())
def test_published_cells_run_on_odd_and_small_maps_and_all_of_them_learns(name: str, side: int) -> None:
    network = small(published.load(name).genotype, layers=4, image_size=side)
    logits = network(images(side))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("stem", "side"), [("cifar", 8), ("imagenet", 33)])
def test_short_stacks(layers: int, stem: str, side: int) -> None:
    """Each reduction cell doubles the channels: 1 of them with one cell, otherwise 2."""
    network = small(layers=layers, stem=stem, image_size=side)
    assert network(images(side)).shape == (2, 5)
    doublings = 1 if layers == 1 else 2
    assert network.classifier.in_features == 4 * 4 * 2**doublings


def test_grey_images() -> None:
    assert small(image_channels=1)(images(32, channels=1)).shape == (2, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 3}, "images of 3x3 are too small for the cifar stem and 3 layers, which divide a side by 4"),
        ({"image_size": 31, "stem": "imagenet"}, "31x31 are too small for the imagenet stem .* divide a side by 32"),
        ({"channels": 1, "stem": "imagenet", "image_size": 64}, "2 channels or more"),
        ({"auxiliary": True, "image_size": 28}, "images of 29 to 40 pixels a side, not 3 layers and 28 pixels"),
        ({"auxiliary": True, "layers": 1}, "needs 2 layers or more"),
        ({"auxiliary": True, "stem": "imagenet", "image_size": 192}, "images of 193 to 256 pixels"),
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
    seen: list[torch.Tensor] = []
    network.cells[3].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    logits, auxiliary_logits = network(images(32), with_auxiliary=True)
    assert network.auxiliary is not None
    torch.testing.assert_close(auxiliary_logits, network.auxiliary(seen[0]))
    torch.testing.assert_close(network(images(32)), logits)


def test_a_tower_that_is_not_there_cannot_answer() -> None:
    with pytest.raises(ValueError, match="without an auxiliary tower"):
        small()(images(32), with_auxiliary=True)


def test_addresses_of_paths_name_all_picks_but_identities_in_order() -> None:
    """With L = 3: one normal cell with an identity among its 8 picks, then two reduction cells of 8 paths each."""
    network = small()
    assert network.path_count == 7 + 8 + 8
    assert list(network.paths) == sorted(network.paths)
    identities = {(0, 0, 1)}  # normal.nodes[0][1] is skip_connect
    everything = {(cell, node, pick) for cell in range(3) for node in range(4) for pick in range(2)}
    assert set(network.paths) == everything - identities


def test_a_multiplier_reaches_its_path() -> None:
    """Doubling the path at an address equals doubling what comes out of the operation at that address."""
    network, x = small().double().eval(), images(32).double()
    for index in (0, 6, 7, 22):
        cell, node, pick = network.paths[index]
        paths = torch.ones(network.path_count, 2, dtype=torch.float64)
        paths[index] = 2.0
        dropped = network(x, paths)
        operation = network.cells[cell].nodes[str(node)][pick]
        # Shared ReLUs bypass `forward`: change the last layer of the operation instead.
        norm = getattr(operation, "norm", None) or getattr(getattr(operation, "second", None), "norm", None)
        if norm is None:
            handle = operation.register_forward_hook(lambda _module, _inputs, output: 2 * output)
        else:
            handle = norm.register_forward_hook(lambda _module, _inputs, output: 2 * output)
        torch.testing.assert_close(dropped, network(x))
        handle.remove()
        assert not torch.allclose(dropped, network(x))


def test_multipliers_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"paths must be \[23, 2\], not \[22, 2\]"):
        small()(images(32), torch.ones(22, 2))


def test_names_in_the_state_dict_follow_the_genotype() -> None:
    names = small(auxiliary=True).state_dict().keys()
    # normal.nodes[2][0] is sep_conv_5x5, normal.nodes[1][1] dil_conv_3x3
    for name in (
        "stem.conv.weight",
        "cells.0.inputs.0.conv.weight",
        "cells.0.nodes.2.0.first.depthwise.weight",
        "cells.0.nodes.2.0.second.pointwise.weight",
        "cells.0.nodes.1.1.norm.running_mean",
        "auxiliary.classifier.bias",
        "classifier.weight",
    ):
        assert name in names
    assert not [name for name in names if name.startswith("cells.0.nodes.0.1.")]  # an identity


def test_bfloat16_autocast_stays_near_float32() -> None:
    network, x = small().eval(), images(32)
    paths = draw_paths(network.path_count, 2, 0.3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact = network(x, paths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(x, paths)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.05 * float(exact.abs().max()))
