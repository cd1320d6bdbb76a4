"""Sizes: the published ones exactly, and torch's own counter as the judge of ours."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts import published
from nascli.core.nn.build import build_network
from nascli.core.nn.measure import Size, count_parameters, measure, multiply_adds
from nascli.spaces.network_settings import NetworkSettings

CIFAR: dict[str, Any] = {
    "layers": 20,
    "channels": 36,
    "stem": "cifar",
    "classes": 10,
    "image_channels": 3,
    "image_size": 32,
}
IMAGENET: dict[str, Any] = {
    "layers": 14,
    "channels": 48,
    "stem": "imagenet",
    "classes": 1000,
    "image_channels": 3,
    "image_size": 224,
}


def size(name: str, **settings: Any) -> Size:
    return measure(published.load(name).genotype, NetworkSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "parameters", "with_tower"), [(CIFAR, 3_634_678, 4_111_104), (IMAGENET, 5_270_560, 6_531_336)]
)
def test_the_pc_darts_cell_has_its_published_size(settings: dict[str, Any], parameters: int, with_tower: int) -> None:
    """Xu et al., ICLR 2020, Tables 1 and 2: 3.6 M and 5.3 M."""
    bare, towered = size("pc-darts-cifar10", **settings), size("pc-darts-cifar10", **settings, auxiliary=True)
    assert (bare.parameters, bare.auxiliary_parameters) == (parameters, 0)
    assert (towered.parameters, towered.parameters + towered.auxiliary_parameters) == (parameters, with_tower)
    assert towered.macs == bare.macs


def test_the_pc_darts_cell_costs_571_million_multiply_adds_on_imagenet() -> None:
    assert round(size("pc-darts-cifar10", **IMAGENET).macs / 1e6) == 571


@pytest.mark.parametrize(
    ("name", "settings", "millions"),
    [
        ("darts-v2", CIFAR, 3.3),  # Liu et al., Table 1
        ("darts-v2", IMAGENET, 4.7),  # Liu et al., Table 3
        ("pc-darts-imagenet", IMAGENET, 5.3),  # Xu et al., Table 2
    ],
)
def test_published_cells_have_the_size_that_papers_print(name: str, settings: dict[str, Any], millions: float) -> None:
    assert round(size(name, **settings).parameters / 1e6, 1) == millions


@pytest.mark.parametrize(("channels", "millions"), [(36, 3.73), (72, 14.13)])
def test_the_enas_cell_has_the_size_that_its_description_yields(channels: int, millions: float) -> None:
    """17 cells, reductions at 5 and 11, stem 3C."""
    settings = CIFAR | {"layers": 17, "channels": channels}
    assert round(size("enas", **settings).parameters / 1e6, 2) == millions


@pytest.mark.parametrize("name", published.names())
def test_multiply_adds_agree_with_torchs_own_counter(name: str) -> None:
    """Half of torch's floating-point operations, on a real pass; odd maps, in training mode too."""
    settings = NetworkSettings.model_validate(CIFAR | {"layers": 3, "channels": 4, "image_size": 27})
    network = build_network(published.load(name).genotype, settings, seed=0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.randn(1, 3, 27, 27))
    assert multiply_adds(network, (3, 27, 27)) == counter.get_total_flops() // 2
    assert multiply_adds(network.train(), (3, 27, 27)) == counter.get_total_flops() // 2


def test_multiply_adds_by_hand() -> None:
    """8x8 and 3 -> 6 channels at 3x3 with stride 2, depthwise, then linear 6 -> 5."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=True),
        torch.nn.Conv2d(6, 6, 5, padding=2, groups=6),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 5),
    )
    assert multiply_adds(network, (3, 8, 8)) == 4 * 4 * 6 * 3 * 9 + 4 * 4 * 6 * 25 + 6 * 5


def test_measuring_leaves_the_network_as_it_is() -> None:
    settings = NetworkSettings.model_validate(CIFAR | {"layers": 3, "channels": 4})
    network = build_network(published.load("darts-v1").genotype, settings, seed=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random_state = torch.get_rng_state()
    multiply_adds(network, (3, 32, 32))
    count_parameters(network)
    assert network.training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_measuring_does_not_load_torchs_compiler() -> None:
    """It takes seconds to import, and `nascli info` measures."""
    code = (
        "import sys\n"
        "from nascli.artifacts import published\n"
        "from nascli.spaces.network_settings import NetworkSettings\n"
        "from nascli.core.nn.measure import measure\n"
        f"measure(published.load('nasnet-a').genotype, NetworkSettings(**{CIFAR!r}))\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
