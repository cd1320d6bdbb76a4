"""A trained network that takes images as they are: the normalisation is inside."""

from typing import Literal

import torch
from torch import Tensor, nn

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import LoadedModel
from nascli.core.nn import build
from nascli.core.nn.graph_network import TrainedNetwork

Pixels = Literal["uint8", "float"]
"""Images as integers from 0 to 255, or as numbers from 0 to 1."""


class NormalisedNetwork(nn.Module):
    """Images [B, C, H, W] -> logits [B, classes]."""

    mean: Tensor
    inverse: Tensor

    def __init__(self, network: nn.Module, data: DataInfo, pixels: Pixels) -> None:
        super().__init__()
        white = 255.0 if pixels == "uint8" else 1.0
        self.network = network
        self.register_buffer("mean", white * torch.tensor(data.mean)[:, None, None])
        self.register_buffer("inverse", 1.0 / (white * torch.tensor(data.std)[:, None, None]))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images.to(torch.float32) - self.mean) * self.inverse)
        return logits


def normalised(model: LoadedModel, pixels: Pixels) -> NormalisedNetwork:
    """The network of a model, on the CPU, in evaluation mode, without gradients. Raises ArtifactError."""
    network = build.load_network(model.value.graph, model.value.weights, model.where, TrainedNetwork)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None  # which is of use in training alone
    return NormalisedNetwork(network, model.value.data, pixels).eval().requires_grad_(False)
