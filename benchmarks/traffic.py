"""Counts the bytes that one of several processes exchanges in a step of everything that nascli learns, by purpose.

    python benchmarks/traffic.py              # small networks on the digits; the papers' on CIFAR-10 and ImageNet
    python benchmarks/traffic.py --small      # the small ones alone
    torchrun --standalone --nproc-per-node 2 benchmarks/traffic.py --small      # the same, exchanged by real processes

Under torchrun the processes exchange over gloo, and the first one prints. Without it, one process plays the first of
`--ranks` ranks, which counts what it would send; the lines are the same. The papers' networks are counted on tensors
without numbers that stand for those of a GPU, so that nothing is computed. `predicted` gives the same bytes from the
networks' graphs alone; the script exits with 1 where the two differ.

A payload is what one rank puts into an exchange. A ring that adds up over N ranks sends 2 (N - 1) / N times as much
from each rank. An exchange is one call, which takes its time however small it is. "Kept" is what autograd keeps of a
pass at most, for an image; `nascli.core.memory` says what counts.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.counting import ACCELERATOR, Counting, accelerator  # noqa: E402
from nascli.artifacts.data_info import DataInfo  # noqa: E402
from nascli.artifacts.load import load_artifact  # noqa: E402
from nascli.config import SearchConfig, TrainConfig  # noqa: E402
from nascli.core.engine.evaluate import Tally  # noqa: E402
from nascli.core.engine.search import build_method, open_streams  # noqa: E402
from nascli.core.engine.sizing import derived_network, shape_of  # noqa: E402
from nascli.core.engine.train import TrainJob  # noqa: E402
from nascli.core.memory import MemoryMeter  # noqa: E402
from nascli.core.methods.categoricals import draw  # noqa: E402
from nascli.core.runtime import Runtime, open_runtime  # noqa: E402
from nascli.data import open_data  # noqa: E402
from nascli.distributed import launch  # noqa: E402
from nascli.distributed.ranks import Ranks, joined  # noqa: E402
from nascli.distributed.share import WHOLE, Share  # noqa: E402
from nascli.graphs.graph import Graph  # noqa: E402
from nascli.graphs.operations import Norm  # noqa: E402
from nascli.graphs.tower import WIDTHS  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402
from nascli.spaces.wiring import Mixture  # noqa: E402
from nascli.supernets import supernet  # noqa: E402

GRADIENTS, NORMS, LOSSES, LIKELIHOODS = "gradients", "batch norms", "losses", "log-likelihoods"

FLOAT32, FLOAT64 = 4, 8

RING_RATE = 370e9
"""Bytes a second that a ring moves past each H100: 365 to 370 GB/s of the 450 GB/s that NVLink has in each direction
(github.com/NVIDIA/nccl/issues/1455), and as much between nodes with a 400 Gb/s port for each of eight GPUs, of 46 to 48
GB/s each (github.com/NVIDIA/nccl-tests/issues/290).
"""

ETHERNET_RATE = 12.5e9
"""The same where a node has one port of 100 Gb/s."""

NODE = 8
"""GPUs of a node."""


def latency(gpus: int) -> float:
    """Seconds of the smallest exchange, by NCCL's own model of a tree of eight H100 a node with its protocol LL.

    6.8 µs, and twice 0.6 µs for every further GPU of a node and 5 µs for every doubling of the nodes: `baseLat` and
    `hwLat` in src/graph/tuning.cc of NCCL 2.20 or so. 47 µs were measured over two nodes of eight H20
    (github.com/NVIDIA/nccl/issues/1244), where this says 25 µs, and 6 µs on two H100, captured as a CUDA graph (1259).
    """
    nodes = max(1, gpus // NODE)
    return (6.8 + 2 * ((min(gpus, NODE) - 1) * 0.6 + math.log2(nodes) * 5.0)) * 1e-6


@dataclass(frozen=True)
class Counted(Ranks):
    """Ranks that also count their exchanges. Where no process group is there, they only count."""

    exchanges: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    def _reduce(self, tensor: Tensor, purpose: str, how: Any = dist.ReduceOp.SUM) -> None:
        self.exchanges[purpose] += 1
        if dist.is_initialized():
            super()._reduce(tensor, purpose, how)
        else:
            self.sent[purpose] += tensor.numel() * tensor.element_size()

    def gathered(self, value: Any, purpose: str) -> list[Any]:
        self.exchanges[purpose] += 2
        if dist.is_initialized():
            return super().gathered(value, purpose)
        self.sent[purpose] += len(json.dumps(value).encode())
        return [value] * self.count

    def bytes_from_first(self, data: bytes, purpose: str) -> bytes:
        if dist.is_initialized():
            return super().bytes_from_first(data, purpose)
        return data

    def forget(self) -> None:
        """Begin to count anew."""
        self.sent.clear()
        self.exchanges.clear()


@dataclass(frozen=True)
class Traffic:
    """What one rank exchanges in a step, bytes and exchanges by purpose, and keeps for a pass, in bytes.

    distinct: PARSEC's children; 0 where there are none.
    """

    sent: Mapping[str, int]
    exchanges: Mapping[str, int]
    kept: int
    distinct: int = 0


@dataclass(frozen=True)
class Case:
    """Something that learns.

    predicted: the bytes of a step by purpose, from the network's graph; given what was counted, since children may be
    drawn twice. Empty where they depend on what is drawn.
    """

    step: Callable[[], Mapping[str, Tensor]]
    predicted: Callable[[Traffic], Mapping[str, int]]
    network: torch.nn.Module
    batch: int
    steps_per_epoch: int


# What the graphs say.


def channels_of(graph: Graph, *, without_stem: bool = False) -> int:
    """The channels of all batch norms that a pass computes, the stem's or not. The tower's are apart."""
    return sum(
        graph.shapes[step.node.name].channels
        for step in graph.steps((graph.nodes[-1].name, *([graph.tower.node] if graph.tower else [])))
        if isinstance(step.node.op, Norm) and not (without_stem and step.node.name.startswith("stem"))
    )


def used_parameters(graph: Graph) -> int:
    """The parameters that get a gradient: a cell need not read both of its inputs."""
    sizes, steps = graph.sizes, graph.steps((graph.nodes[-1].name,))
    return sum(sizes[step.node.name].parameters for step in steps if step.node.name in sizes)


def tower_channels(graph: Graph) -> int:
    """The channels of the auxiliary tower's batch norms."""
    assert graph.tower is not None
    return WIDTHS[0] + (WIDTHS[1] if graph.tower.form.last_norm else 0)


def norms(forward: int, backward: int) -> int:
    """Bytes for the batch norms of so many channels: two sums in float64 for each, forward and backward."""
    return 2 * FLOAT64 * (forward + backward)


def of_mixture(graph: Graph, architecture: int, *, second_order: bool = False) -> Mapping[str, int]:
    """A step of PC-DARTS and DARTS after the warm-up. architecture: how many numbers alpha and beta have.

    Five passes instead of two in the second order, and the gradient of the weights three times instead of once. Where
    the weights are held, no gradient reaches the stem. Cells that mix 8 channels or fewer send less on a CPU, which
    adds up their operations in another way (`nascli.core.nn.mixed_sum.Apart`).
    """
    whole, inner = channels_of(graph), channels_of(graph, without_stem=True)
    passes, held, weights = (5, 2, 3) if second_order else (2, 1, 1)
    return {
        GRADIENTS: FLOAT32 * (weights * graph.parameters + architecture),
        NORMS: norms(passes * whole, (passes - held) * whole + held * inner),
        LOSSES: FLOAT32 * (2 * passes + (1 if second_order else 0)),
    }


def of_children(whole: Graph, distinct: int) -> Mapping[str, int]:
    """A step of PARSEC whose children are spread over the ranks."""
    return {GRADIENTS: FLOAT32 * whole.parameters, LIKELIHOODS: FLOAT64 * distinct, LOSSES: 2 * FLOAT32}


def of_network(graph: Graph, *, learnt: int = 0, tower: bool = False, losses: int = 2) -> Mapping[str, int]:
    """A step of one network with everything in it learning, and `learnt` numbers more."""
    channels = channels_of(graph) + (tower_channels(graph) if tower else 0)
    parameters = used_parameters(graph) + (graph.tower_parameters if tower else 0)
    return {GRADIENTS: FLOAT32 * (parameters + learnt), NORMS: norms(channels, channels), LOSSES: FLOAT32 * losses}


# What is counted.


class Blank:
    """A stream of images of the given shape, without numbers, with the part of a `Stream` that a step uses."""

    batches_per_pass = 1

    def __init__(self, batch_size: int, side: int, memory_format: torch.memory_format) -> None:
        self.batch_size, self._side, self._format = batch_size, side, memory_format

    def next(self, share: Share = WHOLE) -> tuple[Tensor, Tensor]:
        count = len(range(self.batch_size)[share.rows(self.batch_size)])
        images = torch.empty(count, 3, self._side, self._side, device=ACCELERATOR, memory_format=self._format)
        return images, torch.empty(count, dtype=torch.int64, device=ACCELERATOR)


class Blanks:
    """Of a `DataModule`, what a search or a training needs before its first step."""

    has_validation = False

    def __init__(self, classes: int, side: int, train_images: int) -> None:
        self.info = DataInfo(
            dataset="cifar10", classes=tuple(map(str, range(classes))), channels=3, image_size=side, mean=(0.5,) * 3,
            std=(0.25,) * 3, train_images=train_images, test_images=0, fingerprint="",
        )  # fmt: skip

    def split(self, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
        return {name: np.arange(int(self.info.train_images * share)) for name, share in fractions.items()}

    def stream(self, indices: np.ndarray, batch_size: int, *, memory_format: torch.memory_format, **_: Any) -> Blank:
        return Blank(batch_size, self.info.image_size, memory_format)


IMAGES = {"cifar10": (50_000, 10, 32), "imagenet": (1_281_167, 1_000, 224)}


def searched(ranks: Ranks, given: Mapping[str, Any], *, warm: bool = False) -> Case:
    """A search of the recipe, or a small one on the digits; after its warm-up, or in it."""
    config = SearchConfig(**given)
    fields = type(config.settings).model_fields
    if "arch_warmup_epochs" in fields:
        epochs = config.epochs if warm else 0
        config = config.model_copy(
            update={"settings": config.settings.model_copy(update={"arch_warmup_epochs": epochs})}
        )
    runtime, data, steps = _opened(config, ranks)
    streams = open_streams(config, data, runtime)
    method: Any = build_method(config, data.info, streams, runtime)
    return Case(
        partial(method.step, streams),
        partial(_predicted_of_search, config, method, data.info, ranks, warm),
        method.network,
        config.batch_size,
        steps,
    )


def trained(ranks: Ranks, genotype: str, given: Mapping[str, Any]) -> Case:
    """The training of a published cell."""
    config = TrainConfig(**given)
    found = load_artifact(genotype).value.genotype
    runtime, data, steps = _opened(config, ranks)
    settings, graph = derived_network(found, config, shape_of(data.info))
    job = TrainJob(found, graph, settings, config, data, runtime)
    tower = settings.auxiliary
    return Case(job.step, lambda _: of_network(graph, tower=tower), job.network, config.batch_size, steps)


def _opened(config: Any, ranks: Ranks) -> tuple[Runtime, Any, int]:
    """Where it runs, its images, and its steps per epoch."""
    if config.dataset == "digits":
        with joined(ranks):
            runtime = open_runtime(config)
        return runtime, open_data(config, device=runtime.device), 0
    images, classes, side = IMAGES[config.dataset]
    parts = config.settings.parts if isinstance(config, SearchConfig) else {"train": 1.0}
    learnt = int(images * parts["train"])
    return Runtime(ACCELERATOR, ranks=ranks), Blanks(classes, side, images), learnt // config.batch_size


def _predicted_of_search(
    config: SearchConfig, method: Any, info: DataInfo, ranks: Ranks, warm: bool, counted: Traffic
) -> Mapping[str, int]:
    given: Any = config.settings
    shape = shape_of(info)
    if config.method == "pgnas":
        graph = supernet(
            config.space, method._width, method._stages, classes=shape.classes, image_channels=shape.image_channels,
            image_size=shape.image_size,
        )  # fmt: skip
        return of_network(graph, learnt=len(graph.groups), tower=method._auxiliary_weight > 0)
    space = cell_space(config.space, given.nodes)
    size = NetworkSettings(**given.size, **shape.model_dump())
    if config.method == "random":
        return {LOSSES: 3 * FLOAT64}
    if config.method in ("pc-darts", "darts"):
        mixture = Mixture(space.operations, space.edges(), given.partial_channels)
        edges, kinds = len(space.edges()), len(space.cells)
        numbers = kinds * edges * (len(space.operations) + given.edge_normalization)
        graph = space.graph(space.everything(), size, mixture)
        return of_mixture(graph, numbers, second_order=given.second_order)
    whole = space.graph(space.everything(), size, given.wiring(space))
    if config.method == "parsec" and not warm:
        return of_children(whole, counted.distinct) if counted.distinct >= ranks.count else {}
    child = method._graph(space.genotype(_drawn(method)))
    return {**of_network(child, losses=4), GRADIENTS: FLOAT32 * whole.parameters}


def _drawn(method: Any) -> Sequence[int]:
    """The uniform child of the step that was done last."""
    (choices,) = draw(method._uniform, 1, method._plan.seed, "single path", method.steps_done - 1).tolist()
    return choices  # type: ignore[no-any-return]


TINY = {"dataset": "digits", "epochs": 4, "batch_size": 16, "limit_train": 100, "seed": 3}
CELLS = {"layers": 3, "channels": 4}
WIDE = {"layers": 3, "channels": 12, "nodes": 2}


def small(ranks: Ranks) -> Mapping[str, Callable[[], Case]]:
    """On the built-in digits, on the CPU."""
    found = {
        "pc-darts": partial(searched, ranks, {"method": "pc-darts", **TINY, **WIDE, "channels": 40}),
        "darts": partial(searched, ranks, {"method": "darts", **TINY, **WIDE}),
        "darts, order 2": partial(searched, ranks, {"method": "darts", "order": 2, **TINY, **WIDE}),
        "parsec, K 8": partial(searched, ranks, {"method": "parsec", "samples": 8, **TINY, **CELLS}),
        "parsec, K 4": partial(searched, ranks, {"method": "parsec", "samples": 4, **TINY, **CELLS}),
        "parsec, K 3, parts": partial(searched, ranks, {"method": "parsec", "samples": 3, **TINY, **CELLS}),
        "parsec, warm-up": partial(searched, ranks, {"method": "parsec", **TINY, **CELLS}, warm=True),
        "spos": partial(searched, ranks, {"method": "spos", **TINY, **CELLS}),
        "pgnas": partial(searched, ranks, {"method": "pgnas", "space": "enas", "width": 4, "depth": 1, **TINY}),
        "pgnas, gaussian": partial(
            searched,
            ranks,
            {"method": "pgnas", "space": "resnet-mb", "width": 4, "depth": 1, "noise": "gaussian", **TINY},
        ),
        "random": partial(searched, ranks, {"method": "random", "trials": 2, **TINY, **CELLS}),
        "train": partial(trained, ranks, "darts-v1", {**TINY, **CELLS}),
        "train, tower": partial(trained, ranks, "darts-v1", {**TINY, **CELLS, "image_size": 32, "auxiliary": 0.4}),
    }
    return {name: case for name, case in found.items() if name != "parsec, K 3, parts" or ranks.count > 3}


def of_papers(ranks: Ranks) -> Mapping[str, Callable[[], Case]]:
    """The recipes of the papers."""
    rows: dict[str, Callable[[], Case]] = {}
    for dataset in IMAGES:
        of = {"dataset": dataset}
        for name, method in {
            "pc-darts": {"method": "pc-darts"},
            "darts": {"method": "darts"},
            "darts, order 2": {"method": "darts", "order": 2},
            "parsec": {"method": "parsec"},
            "spos": {"method": "spos"},
            "pgnas": {"method": "pgnas"},
            "random": {"method": "random"},
        }.items():
            rows[f"{dataset}: {name}"] = partial(searched, ranks, {**method, **of})
        rows[f"{dataset}: parsec, warm-up"] = partial(searched, ranks, {"method": "parsec", **of}, warm=True)
        cell = f"pc-darts-{dataset}"
        rows[f"{dataset}: train"] = partial(trained, ranks, cell, {"method": "pc-darts", **of})
    rows["cifar10: pgnas, enas"] = partial(searched, ranks, {"method": "pgnas", "space": "enas", "dataset": "cifar10"})
    return rows


def count(case: Case, ranks: Counted) -> Traffic:
    """What a rank exchanges in the first step. All steps exchange the same, but for children that are drawn."""
    network = case.network
    ranks.forget()
    with ExitStack() as stack:
        # Storages without numbers all lie at address 0.
        stack.enter_context(mock.patch("nascli.core.memory._address", lambda tensor: tensor.untyped_storage()._cdata))
        meter = stack.enter_context(MemoryMeter(ignore=[*network.parameters(), *network.buffers()]))
        metrics = case.step()
    distinct = int(metrics["distinct_children"]) if "distinct_children" in metrics else 0
    return Traffic(dict(ranks.sent), dict(ranks.exchanges), meter.peak, distinct)


def with_counts(classes: int, ranks: Counted) -> int:
    """Bytes that an evaluation exchanges at its end, whatever the images."""
    tally = Tally(classes)
    tally.add(torch.zeros(2, classes), torch.zeros(2, dtype=torch.int64))
    ranks.forget()
    tally.add_up(ranks)
    return ranks.sent["counts"]


def ring(payload: float, ranks: int) -> float:
    """The bytes that each of so many ranks sends where a ring adds up a payload."""
    return 2 * (ranks - 1) / ranks * payload


def computed(found: Traffic, gpus: int, rate: float = RING_RATE) -> float:
    """Seconds that a step's exchanges would take on so many H100, one after the other. Computed, not measured."""
    return ring(sum(found.sent.values()), gpus) / rate + sum(found.exchanges.values()) * latency(gpus)


@contextmanager
def statistics_without_numbers() -> Iterator[None]:
    """While active, tensors without numbers have the operator of synchronised batch norms that torch lacks there."""

    def means_and_variances(maps: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return maps.new_empty(maps.shape[1]), maps.new_empty(maps.shape[1])

    library = torch.library.Library("aten", "IMPL", "Meta")
    library.impl("batch_norm_update_stats", means_and_variances)
    try:
        yield
    finally:
        library._destroy()


@contextmanager
def together(count_of_ranks: int) -> Iterator[Counted]:
    """The ranks that torchrun has started, or the first of so many that are not there."""
    if launch.count() == 1:
        yield Counted(0, count_of_ranks)
        return
    dist.init_process_group("gloo")
    try:
        yield Counted(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def main() -> int:
    """Print a line for everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2, help="how many ranks there would be, without torchrun")
    parser.add_argument("--small", action="store_true", help="leave out the papers' sizes")
    parser.add_argument("--only", default="", help="only what has this in its name")
    arguments = parser.parse_args()
    differ = []
    with ExitStack() as stack:
        ranks = stack.enter_context(together(arguments.ranks))
        first = launch.is_first()
        if first:
            print(f"{'':28}{'batch':>7}{'steps':>8}  bytes and exchanges of a step, by purpose", flush=True)
        for name, build in small(ranks).items():
            if arguments.only in name:
                differ += [name] * (not _shown(name, build(), ranks, first))
        if not arguments.small:
            stack.enter_context(statistics_without_numbers())
            stack.enter_context(accelerator())
            stack.enter_context(Counting(ACCELERATOR))
            for name, build in of_papers(ranks).items():
                if arguments.only in name:
                    differ += [name] * (not _shown(name, build(), ranks, first, memory=True))
    if first and not arguments.small:
        for classes in (10, 1_000):
            print(f"evaluation, {classes} classes: {with_counts(classes, Counted(0, 2)):,} bytes, once")
    print(f"not as predicted: {', '.join(differ)}" if differ else "all as predicted", file=sys.stderr)
    return 1 if differ else 0


def _shown(name: str, case: Case, ranks: Counted, first: bool, *, memory: bool = False) -> bool:
    """Print what is counted. Returns whether it is what was predicted."""
    found = count(case, ranks)
    predicted = case.predicted(found)
    parts = ", ".join(f"{purpose} {size:,} ({found.exchanges[purpose]:,})" for purpose, size in found.sent.items())
    kept = ""
    if memory:
        by_gpus = ", ".join(f"{1e3 * computed(found, gpus):.1f}" for gpus in (8, 64, 512))
        slow = 1e3 * computed(found, 64, ETHERNET_RATE)
        kept = f"; kept {found.kept / 2**20:,.1f} MiB; on 8, 64, 512 H100 {by_gpus} ms, on 64 by Ethernet {slow:.1f} ms"
    if first:
        print(f"{name:28}{case.batch:7,}{case.steps_per_epoch:8,}  {parts}{kept}", flush=True)
    alike = not predicted or dict(predicted) == dict(found.sent)
    if first and not alike:
        print(f"{'  predicted':28}{'':15}  {', '.join(f'{purpose} {size:,}' for purpose, size in predicted.items())}")
    return alike


if __name__ == "__main__":
    sys.exit(main())
