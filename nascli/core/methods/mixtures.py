"""What methods that weigh all operations of every edge share: their network, and logits that learn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nascli.core.methods.protocol import Plan
from nascli.core.nn import auxiliary
from nascli.core.nn.build import seeded
from nascli.core.nn.graph_mixture import GraphMixture
from nascli.core.nn.measure import count_parameters
from nascli.core.runtime import Runtime, check_memory
from nascli.registry import SPACES, load
from nascli.seeds import derive_seed
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace

_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def mixture_network(
    plan: Plan, runtime: Runtime, space: CellSpace, size: NetworkSettings, *, partial_channels: int, recompute: bool
) -> Any:
    """A freshly initialised network with the interface of `GraphMixture`, on the device.

    Raises MemoryExhausted where it cannot fit.
    """
    faster = SPACES[plan.space].mixture
    network = load(faster) if faster else GraphMixture
    build = partial(network, space, size, partial_channels=partial_channels, recompute=recompute)
    with torch.device("meta"):
        check_memory(count_parameters(build()), runtime.device)
    return seeded(build, derive_seed(plan.seed, "weights")).to(runtime.device)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """A forward pass whose backward pass leaves out the gradients of the weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def small_logits(*shape: int, draw: torch.Generator, device: torch.device) -> Tensor:
    """Logits that learn, normal around 0 with a deviation of 1e-3."""
    return (1e-3 * torch.randn(*shape, generator=draw)).to(device).requires_grad_()


def path_weights(network: nn.Module) -> Mapping[str, NDArray[Any]]:
    """The weights of all operations on all edges, without running statistics: a path's batch norms keep none."""
    state = network.state_dict()
    kept = (name for name in state if not name.startswith(auxiliary.PREFIX) and not name.endswith(_STATISTICS))
    return {name: state[name].detach().cpu().numpy() for name in kept}


def copy_logits(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """Set the logits of each type of cell to those of another search."""
    with torch.no_grad():
        for cell, logits in mine.items():
            logits.copy_(theirs[cell])


def tensors_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Copies of the arrays of each type of cell."""
    return {cell: torch.tensor(values) for cell, values in arrays.items()}
