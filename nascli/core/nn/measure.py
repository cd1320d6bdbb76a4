"""How large a network is and how much it computes, without computing it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from nascli.artifacts.genotype import Genotype
from nascli.artifacts.network_settings import DataShape
from nascli.core.nn.build import build_on_meta


@dataclass(frozen=True)
class Size:
    """Size of a network.

    parameters: all that is learnt, without the auxiliary tower, which only training has.
    macs: multiply-adds of one image's forward pass, without the tower. Counted are convolutions and linear layers, not
        batch norms, poolings and sums: what torch's own counter of floating-point operations gives, halved. Counters
        that charge for the latter give a few percent more (the cell of PC-DARTS on ImageNet: 571 M here, 586 M in the
        paper).
    auxiliary_parameters: those of the tower; 0 where the settings have none.
    """

    parameters: int
    macs: int
    auxiliary_parameters: int


def count_parameters(network: nn.Module) -> int:
    """The number of learnt values in a module."""
    return sum(parameter.numel() for parameter in network.parameters())


class _MultiplyAdds(TorchFunctionMode):
    """Counts the multiply-adds per image of `conv2d` and `linear`, from shapes alone: the batch may be empty."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.batch_norm:
            return args[0]  # In training mode it refuses an empty batch; it keeps the shape.
        output = func(*args, **(kwargs or {}))
        if func is F.conv2d or func is F.linear:
            weight = args[1]
            # Each value of the output is the product of one filter with what it sees.
            self.count += output.shape[1:].numel() * weight.shape[1:].numel()
        return output


def multiply_adds(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and linear layers for one image of shape (channels, height, width).

    The network stays as it is, and nothing is computed: it is given a batch of no images, and weights that take no
    memory. torch's `FlopCounterMode` gives the same number (a test holds that), but it and the meta device load torch's
    compiler and sympy first, which takes seconds, for a figure that `nascli info` prints.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    weights = {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in tensors}
    no_images = torch.empty(0, *image_shape)
    with torch.no_grad(), _MultiplyAdds() as counter:
        functional_call(network, weights, (no_images,))
    return counter.count


def measure(genotype: Genotype, settings: DataShape) -> Size:
    """The size of the genotype's network, in well under a second. Raises UsageError as `build_on_meta` does."""
    network = build_on_meta(genotype, settings)
    auxiliary = 0 if network.auxiliary is None else count_parameters(network.auxiliary)
    return Size(
        parameters=count_parameters(network) - auxiliary,
        macs=multiply_adds(network, (settings.image_channels, settings.image_size, settings.image_size)),
        auxiliary_parameters=auxiliary,
    )
