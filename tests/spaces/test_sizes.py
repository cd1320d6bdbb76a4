"""Sizes: the published ones exactly, and torch's own counter as the judge of ours."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.genotypes import published
from nascli.core.nn.build import build_network
from nascli.graphs.graph import Graph
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


def size(name: str, **settings: Any) -> Graph:
    return published.load(name).genotype.graph(NetworkSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "parameters", "with_tower"), [(CIFAR, 3_634_678, 4_111_104), (IMAGENET, 5_270_560, 6_531_336)]
)
def test_the_pc_darts_cell_has_its_published_size(settings: dict[str, Any], parameters: int, with_tower: int) -> None:
    """Xu et al., ICLR 2020, Tables 1 and 2: 3.6 M and 5.3 M."""
    graph = size("pc-darts-cifar10", **settings)
    assert graph.tower_fits
    assert (graph.parameters, graph.parameters + graph.tower_parameters) == (parameters, with_tower)
    network = build_network(graph, seed=0, with_tower=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == with_tower


def test_the_pc_darts_cell_costs_571_million_multiply_adds_on_imagenet() -> None:
    assert round(size("pc-darts-cifar10", **IMAGENET).multiply_adds / 1e6) == 571


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
def test_sizes_agree_with_torchs_own_counter(name: str) -> None:
    """Parameters, and half of torch's floating-point operations, on a real pass; odd maps, in training mode too."""
    graph = size(name, **CIFAR | {"layers": 3, "channels": 4, "image_size": 27})
    network = build_network(graph, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == graph.parameters
    for training in (True, False):
        network.train(training)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.randn(1, 3, 27, 27))
        assert graph.multiply_adds == counter.get_total_flops() // 2


def test_measuring_needs_no_torch() -> None:
    """torch takes seconds to import, and `nascli info` measures sizes."""
    code = (
        "import sys\n"
        "from nascli.artifacts.genotypes import published\n"
        "from nascli.spaces.network_settings import NetworkSettings\n"
        f"assert published.load('nasnet-a').genotype.graph(NetworkSettings(**{CIFAR!r})).size.parameters > 3e6\n"
        "print([name for name in ('torch', 'numpy') if name in sys.modules])\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
