"""Copies from the host to a device that the host does not wait for."""

import torch
from torch import Tensor


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device, without waiting until it is there.

    A GPU reads memory of the host by itself only where it is pinned; torch keeps that memory until the copy is done.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
