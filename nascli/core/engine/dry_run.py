"""What a run would be: its configuration, the size of its network, and the memory and time of two real steps.

The steps are those of the run itself, on its own batches. Nothing is written, and the network that took them is thrown
away.
"""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedDistribution
from nascli.config import SearchConfig, TrainConfig
from nascli.core.engine.connection import check_connected
from nascli.core.engine.destination import Destination
from nascli.core.engine.frame import working
from nascli.core.engine.inputs import Source, artifact
from nascli.core.engine.loop import Job, tensors_in
from nascli.core.engine.pictures import as_kept, keeping_facts, planned_keeping
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.search import open_search, tell_before
from nascli.core.engine.starting_weights import inherited_weights, starting_file
from nascli.core.engine.train import open_images, open_training
from nascli.core.memory import MemoryMeter
from nascli.core.methods.protocol import SearchMethod
from nascli.core.nn.measure import count_parameters
from nascli.core.runtime import Runtime, fitting_threads
from nascli.data import Keeping

COUNTED = {
    "cpu": "weights, gradients, optimiser state and what is kept for the backward pass",
    "cuda": "all that is allocated on the GPU",
}
"""What the peak of the memory counts, by type of device."""


def plan_search(
    config: SearchConfig,
    start: LoadedDistribution | None = None,
    reporter: Reporter = Silent(),
    destination: Destination = Destination(),
) -> dict[str, Any]:
    """Configuration, size and cost of a search, or of a finetune that begins with the distribution `start`.

    `destination`: where its run directory would be. Raises as the search would before its first step, and
    MemoryExhausted where that step does not fit.
    """
    with working(config) as runtime:
        data, job = open_search(config, start, runtime)
        method = job.method
        tell_before(config, data, method, runtime, reporter)
        size = {
            "parameters": count_parameters(method.network),
            "multiply_adds": _multiply_adds(method, data.info, runtime),
        }
        # While only the weights learn, a step does only a part of what later ones do.
        warmup_epochs = min(config.settings.resting_epochs, config.epochs)
        warmup, others = warmup_epochs * job.steps_per_epoch, (config.epochs - warmup_epochs) * job.steps_per_epoch
        costs = []
        pictures = planned_keeping(data, config, destination, reporter)
        with fitting_threads(runtime, config.batch_size * data.info.image_size**2), as_kept(data, pictures):
            if warmup:
                reporter.notice("measuring two steps of the architecture's warm-up")
                costs.append(measure(job, method.network, warmup))
            if others:
                reporter.notice("measuring two steps")
                method.steps_done = warmup
                costs.append(measure(job, method.network, others))
    return {"config": config.model_dump(mode="json"), **size, **total(costs, runtime, pictures)}


def plan_train(
    source: Source,
    config: TrainConfig,
    reporter: Reporter = Silent(),
    destination: Destination = Destination(),
    *,
    start: Source | None = None,
) -> dict[str, Any]:
    """Configuration, size and cost of a training. `start` as in `train`, `destination` as in `plan_search`.

    Raises as the training itself would before its first step, and MemoryExhausted where that step does not fit.
    """
    genotype = artifact(source, GenotypeFile)
    origin = None if start is None else starting_file(start)
    inherited = inherited_weights(genotype, origin, config)
    check_connected(genotype, config)
    with working(config) as runtime:
        data = open_images(genotype, config, runtime, reporter)
        job, graph = open_training(genotype, inherited, config, data, runtime, reporter)
        # Dropped paths take memory of their own, and there are none in the first epoch.
        job.steps_done = (config.epochs - 1) * job.steps_per_epoch
        pictures = planned_keeping(data, config, destination, reporter)
        reporter.notice("measuring two steps")
        with fitting_threads(runtime, config.batch_size * data.info.image_size**2), as_kept(data, pictures):
            cost = measure(job, job.network, config.epochs * job.steps_per_epoch)
    return {
        "config": config.model_dump(mode="json"),
        "parameters": graph.parameters,
        "auxiliary_parameters": graph.tower_parameters if job.settings.auxiliary else 0,
        "multiply_adds": graph.multiply_adds,
        **total([cost], runtime, pictures),
    }


@dataclass(frozen=True)
class Cost:
    """What one step of a kind takes, in seconds and bytes, and how many of them the run has."""

    steps: int
    seconds: float
    memory: int


def measure(job: Job, network: nn.Module, steps: int) -> Cost:
    """Take two of a job's `steps`. The first warms up (buffers, kernels, compilation), the second is timed, if there is
    one.
    """
    meter = MemoryMeter(job.device, ignore=tensors_in(job.state_dict()))
    with meter:
        seconds = _timed_step(job)
    # On a CPU the meter slows a step of many small operations by a tenth, and the second step saves no more than the
    # first. On a GPU it costs nothing, and the second step is the first with gradients and momentum in memory.
    if steps > 1:
        with meter if job.device.type == "cuda" else nullcontext():
            seconds = _timed_step(job)
    memory = meter.peak
    if job.device.type == "cpu":
        gradients = (parameter.grad for parameter in network.parameters() if parameter.grad is not None)
        kept = (*tensors_in(job.state_dict()), *network.buffers(), *gradients)
        storages = (tensor.untyped_storage() for tensor in kept)
        memory += sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    return Cost(steps, seconds, memory)


def total(costs: list[Cost], runtime: Runtime, pictures: Keeping | None) -> dict[str, Any]:
    """The cost of a run with one kind of step, or of a warm-up and another kind, whose `seconds_per_step` is given."""
    *before, cost = costs
    warmup = {"warmup_steps": before[0].steps, "warmup_seconds_per_step": before[0].seconds} if before else {}
    seconds = sum(cost.steps * cost.seconds for cost in costs)
    each = f"; each of {runtime.ranks.count} processes" if runtime.ranks.count > 1 else ""
    return {
        **keeping_facts(pictures),
        "steps": sum(cost.steps for cost in costs),
        **warmup,
        "seconds_per_step": cost.seconds,
        "seconds": seconds + (0.0 if pictures is None else pictures.seconds),
        "peak_memory_bytes": max(cost.memory for cost in costs),
        "peak_memory_of": COUNTED[runtime.device.type] + each,
    }


def _timed_step(job: Job) -> float:
    """Do a step. Returns how many seconds it took."""
    _wait(job.device)
    began = time.perf_counter()
    job.step()
    _wait(job.device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _multiply_adds(method: SearchMethod, data: DataInfo, runtime: Runtime) -> int:
    """Multiply-adds of the search network's forward pass for one image, matrix products included.

    Measured on two: a network that normalises by the batch's statistics even in evaluation cannot run on one image.
    """
    method.network.eval()
    images = torch.zeros(2, data.channels, data.image_size, data.image_size, device=runtime.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        method.logits(images.contiguous(memory_format=runtime.memory_format))
    method.network.train()
    operations: int = counter.get_total_flops()
    return operations // (2 * len(images))
