"""Drop-path: whole paths of a cell are left out at random, per sample, and the others scaled up to make up for it.

Larsson et al., "FractalNet", ICLR 2017; as Zoph et al., CVPR 2018, use it in cells. Which paths are dropped is drawn
beforehand and handed to the network as an argument, so that a step is a function of its inputs: it can be repeated,
resumed and compiled.
"""

import torch
from torch import Tensor

from nascli.upload import upload


def draw_paths(
    path_count: int,
    batch: int,
    probability: float,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> Tensor:
    """Multipliers of the paths: 0 with `probability`, otherwise 1 / (1 - probability). -> [path_count, batch], float32.

    Their expectation is 1, so that nothing is rescaled when the network is evaluated. They are drawn by a generator
    on the CPU and moved to `device`, if there is one. Raises ValueError unless 0 <= probability < 1.
    """
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"a path is dropped with a probability in [0, 1), not {probability}")
    draws = torch.rand(path_count, batch, generator=generator)
    multipliers = (draws >= probability).float() / (1.0 - probability)
    return multipliers if device is None else upload(multipliers, device)


def growing_probability(last: float, epoch: int, epochs: int) -> float:
    """The probability of dropping a path in an epoch, counted from 0: it grows linearly from 0 to `last`."""
    return last * epoch / max(1, epochs - 1)


def apply_path(y: Tensor, multipliers: Tensor) -> Tensor:
    """A path's output, each sample times its multiplier. [B, C, H, W], [B] -> [B, C, H, W] of the same precision."""
    return y * multipliers.to(y.dtype)[:, None, None, None]
