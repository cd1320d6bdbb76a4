"""How long a network takes to answer on this machine: a batch of one image, and larger ones."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.config import Config
from nascli.core.nn.build import build_network
from nascli.core.runtime import Runtime, fitting_threads, memory_errors, open_runtime
from nascli.errors import UsageError
from nascli.spaces.network_settings import DataShape

WARM_UP_SECONDS = 0.2
"""Passes before the first that counts: buffers, kernels and the processor's clock settle."""

FEWEST_ROUNDS = 5
MOST_ROUNDS = 200


@dataclass(frozen=True)
class Latency:
    """The milliseconds of a forward pass: the median, and the 10th and 90th percentile, of `passes` passes.

    threads: of torch on a CPU; None on another device.
    """

    batch_size: int
    median_ms: float
    low_ms: float
    high_ms: float
    passes: int
    device: str
    threads: int | None


def latency_of(
    found: LoadedArtifact[Artifact], settings: Mapping[str, Any], batch_size: int, device: str
) -> list[Latency]:
    """The latency of the network of a genotype or a model, for one image and for a batch.

    settings: those of the network. Weights do not change the time, so they are fresh ones. Raises UsageError for a
    distribution; MemoryExhausted.
    """
    if not isinstance(found.value, GenotypeFile | ModelFile):
        raise UsageError(
            f"{found.where} is a {found.kind}: --latency measures a genotype or a model, such as what derive writes"
        )
    shape = found.value.genotype.leaves_open(**settings)
    runtime = open_runtime(Config(device=device))
    with memory_errors(batch_size):
        network = runtime.place(build_network(found.value.genotype.graph(shape), seed=0)).eval()
        return measure_latency(network, shape, runtime, (1, batch_size))


def measure_latency(
    network: nn.Module, shape: DataShape, runtime: Runtime, batch_sizes: Sequence[int] = (1,), *, seconds: float = 2.0
) -> list[Latency]:
    """The latency of a network in evaluation mode for batches of these sizes, which take turns for about `seconds`.

    Batches that take turns meet the same disturbances of a busy machine. The warm-up is left out.
    """
    channels, side = shape.image_channels, shape.image_size
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randn(size, channels, side, side, generator=generator)
        .to(runtime.device)
        .contiguous(memory_format=runtime.memory_format)
        for size in batch_sizes
    ]
    began, times = time.perf_counter(), [list[float]() for _ in batches]
    while time.perf_counter() - began < WARM_UP_SECONDS:
        for batch in batches:
            _timed(network, batch, runtime)
    began = time.perf_counter()
    while len(times[0]) < FEWEST_ROUNDS or (
        time.perf_counter() - began < seconds and len(times[0]) < MOST_ROUNDS * len(batches)
    ):
        for batch, own in zip(batches, times, strict=True):
            own.append(_timed(network, batch, runtime))
    return [_summary(batch, own, runtime) for batch, own in zip(batches, times, strict=True)]


def _timed(network: nn.Module, batch: Tensor, runtime: Runtime) -> float:
    """The milliseconds of a pass, until its result is there."""
    with fitting_threads(runtime, len(batch) * batch.shape[2] ** 2), torch.inference_mode(), runtime.autocast():
        _wait(runtime)
        began = time.perf_counter()
        network(batch)
        _wait(runtime)
        return 1000 * (time.perf_counter() - began)


def _summary(batch: Tensor, times: list[float], runtime: Runtime) -> Latency:
    low, median, high = (
        torch.tensor(times, dtype=torch.float64).quantile(torch.tensor([0.1, 0.5, 0.9]).double()).tolist()
    )
    on_cpu = runtime.device.type == "cpu"
    with fitting_threads(runtime, len(batch) * batch.shape[2] ** 2) if on_cpu else nullcontext():
        threads = torch.get_num_threads() if on_cpu else None
    return Latency(len(batch), median, low, high, len(times), str(runtime.device), threads)


def _wait(runtime: Runtime) -> None:
    """Until the device has finished its work."""
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)
