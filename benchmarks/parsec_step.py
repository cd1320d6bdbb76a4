"""One step of PARSEC at the paper's setting (C 16, L 8, batch 64, K 16): what its shortcuts save, and its memory.

    python benchmarks/parsec_step.py [--warm 60] [--rounds 3] [--samples 16] [--data-dir CIFAR-10-AS-FILES]
        [--search SEARCH.safetensors]

First the search runs for `--warm` steps of four samples, until the children's likelihoods differ as they do in a
search. Then every round takes the same step four times, from the same weights, with the same children and images: as it
is; with each child by itself, though what it has in common with others is known; with every child trained, however
small its weight; and as Algorithm 1 is written, every child trained by itself, with torch's own memory format and
depthwise convolutions. Ratios are taken within the round; seconds are processor time of one thread. Memory is the most
that autograd keeps at any time in a step whose children are all the largest of the space, compared with a training step
of that child's derived network. Without `--data-dir` the images are noise around one pattern per class. Exits with 1 if
a promised figure is missed.

`--search` compares the first two ways alone, with the distribution of another search of the space as it was at that
search's start, middle and end, and says which share of the work is left, in the likelihoods and in training: of the
nodes that are computed, of the numbers that they put out and of the multiply-adds of their convolutions.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.data_info import DataInfo  # noqa: E402
from nascli.artifacts.load import load_artifact  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.config import SearchConfig  # noqa: E402
from nascli.core.engine.search import build_method, open_streams  # noqa: E402
from nascli.core.memory import MemoryMeter  # noqa: E402
from nascli.core.methods import single_paths  # noqa: E402
from nascli.core.methods.parsec import Parsec  # noqa: E402
from nascli.core.methods.protocol import Plan  # noqa: E402
from nascli.core.nn import depthwise  # noqa: E402
from nascli.core.nn.build import build_network  # noqa: E402
from nascli.core.nn.shared_network import SharedNetwork, Siblings  # noqa: E402
from nascli.core.runtime import Runtime, open_runtime  # noqa: E402
from nascli.data import open_data  # noqa: E402
from nascli.graphs.graph import Graph, Node, Step  # noqa: E402
from nascli.graphs.operations import Conv  # noqa: E402
from nascli.graphs.turns import turns  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.cell_genotype import CellGenotype  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402

BATCH, SIDE, CLASSES = 64, 32, 10
LARGEST_SHARE, LARGEST_PEAK = 0.70, 1.10
"""Promised: a step's time relative to the step without skipping; its peak memory relative to training one child."""

LARGEST_DIFFERENCE = 1e-6
"""Of the gradients in float64: a child is left out where its share is below 1.5e-8, and nothing else differs."""


class Patterns:
    """An endless stream of noise around one pattern per class; `position` is its state."""

    batch_size = BATCH

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.position, self._runtime, self._salt = 0, runtime, len(name)
        self._patterns = F.interpolate(torch.randn(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(0)), SIDE)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        draw = torch.Generator().manual_seed(2 * self.position + self._salt % 2)
        self.position += 1
        labels = torch.randint(CLASSES, (BATCH,), generator=draw)
        images = self._patterns[labels] + 2 * torch.randn(BATCH, 3, SIDE, SIDE, generator=draw)
        return images.contiguous(memory_format=self._runtime.memory_format), labels


def search(samples: int, data_dir: str | None) -> tuple[Parsec, dict]:
    """The method at the paper's setting and its streams."""
    config = SearchConfig(
        method="parsec",
        dataset="folder" if data_dir else "cifar10",
        data_dir=data_dir,
        samples=samples,
        recipe="cifar10",
        clip=0.0,
    )
    runtime = open_runtime(config)
    if data_dir:
        data = open_data(config, device=runtime.device)
        streams = open_streams(config, data, runtime)
        return build_method(config, data.info, streams, runtime), streams
    info = DataInfo(
        dataset="noise", classes=tuple(map(str, range(CLASSES))), channels=3, image_size=SIDE, mean=(0.0,) * 3,
        std=(1.0,) * 3, train_images=50_000, test_images=0, fingerprint="",
    )  # fmt: skip
    streams = {name: Patterns(name, runtime) for name in ("train", "search")}
    return Parsec(Plan("parsec", config.space, info, config.epochs, 390, 0), runtime, config.settings), streams


class Strangers(Siblings):
    """Siblings that don't know what they have in common."""

    def __init__(self, network: SharedNetwork, children: Sequence[Graph]) -> None:
        super().__init__(network, children)
        for turn in self.turns:
            (alone,) = turns([turn.graph], [self._wanted(turn.graph)])
            self.turns[turn.position] = replace(alone, place=turn.place)


class Counted(Siblings):
    """Siblings whose work is written down: that of each by itself, and that of all together."""

    done: ClassVar[list[tuple[NDArray, NDArray]]] = []

    def __init__(self, network: SharedNetwork, children: Sequence[Graph]) -> None:
        super().__init__(network, children)
        alone = [child.steps(self._wanted(child)) for child in children]
        together = [turn.steps for turn in self.turns]
        self.done.append((work(network.graph, chain(*alone)), work(network.graph, chain(*together))))


def work(whole: Graph, steps: Iterable[Step]) -> NDArray:
    """Nodes, numbers that they put out and multiply-adds of their convolutions, for one image."""
    return np.array([work_of(whole, step.node) for step in steps]).sum(0)


def work_of(whole: Graph, node: Node) -> tuple[int, int, int]:
    shape, op = whole.shapes[node.name], node.op
    numbers = shape.channels * max(1, shape.side) ** 2
    if not isinstance(op, Conv):
        return 1, numbers, 0
    return 1, numbers, numbers * op.kernel**2 * (1 if op.depthwise else whole.shapes[node.inputs[0]].channels)


@contextmanager
def siblings(kind: type[Siblings]) -> Iterator[None]:
    """While active, children are siblings of this kind."""
    before, single_paths.Siblings = single_paths.Siblings, kind
    try:
        yield
    finally:
        single_paths.Siblings = before


class Doubled:
    """A stream whose images are in float64, and few, since convolutions are many times slower then."""

    batch_size = 4

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __setattr__(self, name: str, value: object) -> None:
        if name == "position":
            self._stream.position = value
        else:
            super().__setattr__(name, value)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = self._stream.next()
        return images[: self.batch_size].double(), labels[: self.batch_size]


class Steps:
    """The same step again and again, in four ways."""

    def __init__(self, method: Parsec, streams: dict) -> None:
        self.method, self.streams = method, streams
        self.method.schedule = lambda step: 0.0
        for group in method.categoricals.updater.optimizer.param_groups:
            group["lr"] = 0.0

    def take(self, number: int) -> tuple[float, dict[str, float], torch.Tensor]:
        """Seconds, metrics and the weights' gradient of step `number`."""
        self.method.steps_done = number
        for stream in self.streams.values():
            stream.position = number
        start = time.process_time()
        metrics = self.method.step(self.streams)
        seconds = time.process_time() - start
        gradient = torch.cat([p.grad.flatten() for p in self.method.network.parameters()])
        return seconds, {name: float(value) for name, value in metrics.items()}, gradient

    def by_themselves(self, number: int) -> tuple[float, dict[str, float], torch.Tensor]:
        with siblings(Strangers):
            return self.take(number)

    def without_skipping(self, number: int) -> tuple[float, dict[str, float], torch.Tensor]:
        least, single_paths.LEAST_SHARE = single_paths.LEAST_SHARE, -1.0
        try:
            return self.take(number)
        finally:
            single_paths.LEAST_SHARE = least

    def difference(self, number: int) -> float:
        """How far the gradients of the first three ways are apart, relative, in float64.

        In float32 rounding alone moves them: where children have nearly equal weights, by some thousandths.
        """
        weights = {name: value.clone() for name, value in self.method.network.state_dict().items()}
        self.method.network.double()
        streams, self.streams = self.streams, {name: Doubled(stream) for name, stream in self.streams.items()}
        try:
            found = [take(number)[2] for take in (self.take, self.by_themselves, self.without_skipping)]
        finally:
            self.streams = streams
            self.method.network.float().load_state_dict(weights)
        return max(float((found[0] - other).norm() / other.norm()) for other in found[1:])

    def as_written(self, number: int) -> tuple[float, dict[str, float], torch.Tensor]:
        """No skipping, nothing in common, no memory format, no depthwise gradients of our own."""
        kernels, depthwise.KERNELS = depthwise.KERNELS, {}
        self.method.network.to(memory_format=torch.contiguous_format)
        try:
            with siblings(Strangers):
                return self.without_skipping(number)
        finally:
            depthwise.KERNELS = kernels
            self.method.network.to(memory_format=torch.channels_last)


def largest_child(nodes: int) -> CellGenotype:
    """The child whose training keeps the most memory: separable convolutions of many different states."""
    picks = [
        [{"op": "sep_conv_5x5", "input": 0}, {"op": "sep_conv_5x5", "input": 1}] for _ in range(nodes)
    ]  # every state's ReLU is kept once; separable convolutions keep the most behind it
    cell = {"nodes": picks, "concat": range(2, nodes + 2)}
    return CellGenotype.model_validate({"cells": {"normal": cell, "reduce": cell}})


def peaks(method: Parsec, streams: dict) -> tuple[int, int]:
    """The most bytes kept by a step whose children are all the largest one, and by training that child alone."""
    child = largest_child(4)
    with torch.no_grad():
        for decision, logits in zip(cell_space("darts").decisions(), method.categoricals.logits, strict=True):
            for draw, pick in enumerate(child.cells[decision.cell].nodes[decision.node - 2]):
                logits[draw, decision.options.index(pick)] = 1e4
    with MemoryMeter(ignore=method.network.parameters()) as of_search:
        method.step(streams)
    settings = NetworkSettings(
        layers=8, channels=16, stem="cifar", classes=CLASSES, image_channels=3, image_size=SIDE
    )  # the search network's size
    network = build_network(child.graph(settings), seed=0).to(memory_format=torch.channels_last)
    images, labels = streams["train"].next()
    with MemoryMeter(ignore=network.parameters()) as of_child:
        F.cross_entropy(network(images), labels).backward()
    return of_search.peak, of_child.peak


def during(course: Mapping[str, NDArray[np.float32]], method: Parsec, steps: Steps, number: int, rounds: int) -> None:
    """Print what neighbours save with the distributions that a search had: tensors [epochs, ...] by name."""
    epochs = len(next(iter(course.values())))
    for when, epoch in (("start", None), ("middle", epochs // 2 - 1), ("end", epochs - 1)):
        with torch.no_grad():
            for logits, values in zip(method.categoricals.logits, course.values(), strict=True):
                logits.copy_(torch.from_numpy(values[epoch]) if epoch is not None else torch.zeros_like(logits))
        ratios, left, trained = [], [], []
        for round_ in range(rounds):
            with siblings(Counted):
                metrics = steps.take(number + round_)[1]
            left.append(np.array([together / alone for alone, together in Counted.done]))
            Counted.done.clear()
            trained.append(metrics["trained_children"])
            ratios.append(steps.take(number + round_)[0] / steps.by_themselves(number + round_)[0])
        (nodes, numbers, macs), (train_nodes, train_numbers, train_macs) = np.mean(left, axis=0)
        print(
            f"{when}: entropy {method.distribution().total_entropy():.1f}, likelihoods: nodes {nodes:.2f}, "
            f"numbers {numbers:.2f}, multiply-adds {macs:.2f}; training of {np.mean(trained):.1f}: "
            f"{train_nodes:.2f}, {train_numbers:.2f}, {train_macs:.2f}; time of a step {statistics.median(ratios):.2f}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--data-dir")
    parser.add_argument("--search")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    print(f"C 16, L 8, batch {BATCH}, K {arguments.samples}; {machine()}", flush=True)
    method, streams = search(arguments.samples, arguments.data_dir)
    method._samples = 4
    for _ in range(arguments.warm):
        method.step(streams)
    method._samples = arguments.samples
    steps = Steps(method, streams)
    if arguments.search:
        during(load_artifact(arguments.search).value.course, method, steps, arguments.warm, arguments.rounds)
        return 0
    savings, shares, speedups = [], [], []
    for round_ in range(arguments.rounds):
        number = arguments.warm + round_
        seconds, metrics, _ = steps.take(number)
        alone_seconds = steps.by_themselves(number)[0]
        whole_seconds, whole, _ = steps.without_skipping(number)
        plain_seconds, _, _ = steps.as_written(number)
        shares.append(seconds / whole_seconds)
        savings.append(seconds / alone_seconds)
        speedups.append(plain_seconds / seconds)
        print(
            f"round {round_ + 1}: {seconds:.2f} s with {metrics['trained_children']:.0f} children trained, "
            f"{alone_seconds:.2f} s by themselves, {whole_seconds:.2f} s with all {whole['trained_children']:.0f}, "
            f"{plain_seconds:.2f} s as written; "
            f"effective samples {metrics['effective_samples']:.2f}",
            flush=True,
        )
    difference = steps.difference(arguments.warm + arguments.rounds - 1)
    print(f"in float64 the gradients of the last step differ by {difference:.1e} (promised {LARGEST_DIFFERENCE:.0e})")
    of_search, of_child = peaks(method, streams)
    share, peak = statistics.median(shares), of_search / of_child
    print(f"time beside each by itself: {statistics.median(savings):.2f}")
    print(f"time beside no skipping: {share:.2f} (promised {LARGEST_SHARE})")
    print(f"times faster than as written: {statistics.median(speedups):.2f}")
    print(
        f"kept at most: {of_search / 2**20:.1f} MiB, training that child alone {of_child / 2**20:.1f} MiB: "
        f"{peak:.3f} (promised {LARGEST_PEAK})"
    )
    return int(share > LARGEST_SHARE or peak > LARGEST_PEAK or difference > LARGEST_DIFFERENCE)


if __name__ == "__main__":
    sys.exit(main())
