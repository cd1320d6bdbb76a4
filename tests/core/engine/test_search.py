"""What a search hands to its method."""

import pytest
import torch

from nascli.config import SearchConfig
from nascli.core.engine.search import open_streams
from nascli.core.runtime import Runtime
from nascli.data import open_data

CPU = Runtime(torch.device("cpu"))


def first_batch(cutout: int) -> torch.Tensor:
    config = SearchConfig(method="pgnas", dataset="digits", limit_train=500, batch_size=400, cutout=cutout)
    streams = open_streams(config, open_data(config, device=CPU.device), CPU)
    return streams["train"].next()[0]


def test_cutout_reaches_the_images() -> None:
    plain, cut = first_batch(0), first_batch(4)
    holes = (cut == 0).float().mean() - (plain == 0).float().mean()
    # The mean area of a 4x4 square around a uniform centre that lies within an 8x8 image, as a share of the image.
    inside = (sum(min(8, c + 2) - max(0, c - 2) for c in range(8)) / 8) ** 2 / 64
    assert float(holes) == pytest.approx(inside, abs=0.02)
