"""Measured times: of the network's passes alone, in turn, with their spread."""

import time

import pytest
import torch
from torch import Tensor, nn

from nascli.core.engine import latency as latency_module
from nascli.core.engine.latency import FEWEST_ROUNDS, MOST_ROUNDS, measure_latency
from nascli.core.runtime import Runtime
from nascli.spaces.network_settings import DataShape

SHAPE = DataShape(classes=2, image_channels=3, image_size=8)
CPU = Runtime(torch.device("cpu"))


class Sleeper(nn.Module):
    """Takes 2 ms for an image; remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.seen.append(tuple(images.shape))
        time.sleep(0.002 * len(images))
        return images


def test_batches_take_turns_and_the_median_is_that_of_a_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency_module, "WARM_UP_SECONDS", 0.0)
    network = Sleeper()
    alone, four = measure_latency(network, SHAPE, CPU, (1, 4), seconds=0.1)
    assert network.seen == [(1, 3, 8, 8), (4, 3, 8, 8)] * alone.passes
    assert FEWEST_ROUNDS <= alone.passes == four.passes <= MOST_ROUNDS
    assert 2 <= alone.low_ms <= alone.median_ms <= alone.high_ms
    assert 8 <= four.low_ms <= four.median_ms <= four.high_ms
    assert (alone.batch_size, alone.device, alone.threads) == (1, "cpu", 1)  # so few pixels suit one thread
    assert not torch.is_inference_mode_enabled()


def test_the_warm_up_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency_module, "WARM_UP_SECONDS", 0.02)
    network = Sleeper()
    (found,) = measure_latency(network, SHAPE, CPU, seconds=0.0)
    assert found.passes == FEWEST_ROUNDS < len(network.seen)
