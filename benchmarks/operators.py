"""Counts the operators that touch memory in a pass and in a step of everything that nascli learns or ranks.

    python benchmarks/operators.py [--only pc-darts] [--kinds] [--json]

A GPU is bound by the launches of its kernels in networks of so many small operations, and counting needs no GPU and has
no noise. Every network has the size of its recipe for CIFAR-10. A pass is forward and backward of one batch, with the
loss; for a ranking, all candidates on one batch. A step is that of the search or the training: data, passes, checks
and optimisers. "GPU" is what a GPU would be asked for, "CPU" what a CPU is; `counting` says what counts. `--kinds`
lists the operators of each pass. Exits with 1 if a number of MOST is exceeded.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.counting import ACCELERATOR, HOST, Counting, accelerator  # noqa: E402
from nascli.artifacts.data_info import DataInfo  # noqa: E402
from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.artifacts.genotypes import published  # noqa: E402
from nascli.artifacts.genotypes.genotype import Genotype, parse_genotype  # noqa: E402
from nascli.config import SearchConfig, TrainConfig  # noqa: E402
from nascli.core.engine.ranking.score_cells import PER_PASS, CellScorer, Children  # noqa: E402
from nascli.core.engine.search import build_method, open_streams  # noqa: E402
from nascli.core.engine.sizing import derived_network, shape_of  # noqa: E402
from nascli.core.engine.train import TrainJob  # noqa: E402
from nascli.core.methods.pgnas import Pgnas  # noqa: E402
from nascli.core.methods.protocol import Plan  # noqa: E402
from nascli.core.methods.single_paths import SinglePaths  # noqa: E402
from nascli.core.nn.build import build_network  # noqa: E402
from nascli.core.nn.shared_network import SharedNetwork  # noqa: E402
from nascli.core.nn.stacked import StackedNetwork  # noqa: E402
from nascli.core.runtime import Runtime  # noqa: E402
from nascli.data.augmentation import Augmentation, Normalization  # noqa: E402
from nascli.data.resident import ResidentFeed  # noqa: E402
from nascli.data.stream import Stream  # noqa: E402
from nascli.registry import METHODS, SPACES, SUPERNETS  # noqa: E402
from nascli.settings.groups import SharesWeights  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.supernets import supernet  # noqa: E402

BATCH, IMAGES, SIDE, CLASSES, WIDTH = 2, 64, 32, 10, 8
"""Numbers of operators do not depend on the batch, nor on the width of a super-network."""

BEST_CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"

MOST: Mapping[str, tuple[int, int]] = {
    "pc-darts, darts": (1_758, 3_377),
    "pc-darts, nas-bench-201": (5_026, 8_172),
    "darts, darts": (1_958, 3_763),
    "darts, nas-bench-201": (4_022, 6_453),
    "parsec, darts": (679, 17_900),
    "parsec, nas-bench-201": (175, 8_041),
    "spos, darts": (679, 866),
    "spos, nas-bench-201": (175, 393),
    "pgnas, resnet-mb": (594, 1_169),
    "pgnas, enas": (3_088, 5_840),
    "pgnas, densenet121": (1_793, 3_651),
    "training, pc-darts-cifar10": (2_096, 2_264),
    "training, nas-bench-201": (446, 481),
    "ranking of 64 cells, darts": (19_872, 0),
    "ranking of 64 cells, nas-bench-201": (10_153, 0),
    "ranking of 8 masks, resnet-mb": (183, 0),
}
"""The operators of a pass and of a step on a GPU, by name. Lower a number when a network needs fewer."""

Run = Callable[[], object]


@dataclass(frozen=True)
class Runs:
    """What is counted of a network on a device: one pass, and one step where it learns."""

    one_pass: Run
    step: Run = lambda: None


class Images:
    """Random images of CIFAR-10's shape on a device, with the part of a `DataModule` that learning and ranking use."""

    has_validation = False

    def __init__(self, device: torch.device) -> None:
        draw = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=draw)
        self._feed = ResidentFeed(pixels.to(device), torch.randint(CLASSES, (IMAGES,), generator=draw).to(device))
        self.info = DataInfo(
            dataset="cifar10",
            classes=tuple(map(str, range(CLASSES))),
            channels=3,
            image_size=SIDE,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            train_images=IMAGES,
            test_images=0,
            fingerprint="",
        )
        self._normalize = Normalization(self.info.mean, self.info.std, device)

    def split(self, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
        """Equal parts, and none where the fraction is zero."""
        names = [name for name, share in fractions.items() if share > 0]
        parts = dict(zip(names, np.array_split(np.arange(IMAGES), len(names)), strict=True))
        return {name: parts.get(name, np.arange(0)) for name in fractions}

    def stream(self, indices: np.ndarray, batch_size: int, *, balanced: bool = False, **given: Any) -> Stream:
        assert not balanced
        return Stream(self._feed, indices, batch_size, normalize=self._normalize, **given)

    def batches(
        self, indices: np.ndarray, batch_size: int, memory_format: torch.memory_format
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The images at these indices as one batch."""
        stream = self.stream(
            indices, len(indices), seed=0, name="", augmentation=Augmentation(), memory_format=memory_format
        )
        yield stream.next()


def search(device: torch.device, method: str, space: str, **given: Any) -> Runs:
    """A search's network under what it has learnt: a mixture, one child among many, or the masks of a posterior."""
    images, runtime = Images(device), Runtime(device)
    config = SearchConfig(method=method, space=space, dataset="cifar10", batch_size=BATCH, **given)
    if "arch_warmup_epochs" in type(config.settings).model_fields:
        settings = config.settings.model_copy(update={"arch_warmup_epochs": 0})
        config = config.model_copy(update={"settings": settings})
    streams = open_streams(config, images, runtime)  # type: ignore[arg-type]  # all of a DataModule that it needs
    searching: Any = build_method(config, images.info, streams, runtime)

    def logits(batch: Tensor) -> Tensor:
        if isinstance(searching, Pgnas):
            drawn = searching.noise.drawn(len(batch), torch.Generator().manual_seed(0))
            return searching.network(batch, **drawn)
        if isinstance(searching, SinglePaths):
            child = CategoricalDistribution.uniform(searching._space).sample(0, 0)
            return searching.network(batch, searching._graph(child))
        return searching.logits(batch)

    return Runs(_pass_of(logits, *streams["train"].next()), lambda: searching.step(streams))


def derived(device: torch.device, genotype: Genotype, **given: Any) -> Runs:
    """The training of a derived network."""
    images, runtime = Images(device), Runtime(device)
    config = TrainConfig(dataset="cifar10", batch_size=BATCH, space=genotype.space, **given)
    settings, graph = derived_network(genotype, config, shape_of(images.info))
    job = TrainJob(genotype, graph, settings, config, images, runtime)  # type: ignore[arg-type]  # as above
    job.steps_done = config.epochs // 2 * job.steps_per_epoch  # where paths are dropped
    return Runs(_pass_of(job.network, *job._stream.next()), job.step)


def ranked_cells(device: torch.device, space: str, candidates: int = PER_PASS, **given: Any) -> Runs:
    """Cells that are scored with the weights that they share."""
    images = Images(device)
    config = SearchConfig(method="spos", space=space, dataset="cifar10", **given)
    assert isinstance(config.settings, SharesWeights)
    found = cell_space(space, config.settings.nodes)
    plan = Plan(config.method, space, images.info, epochs=1, steps_per_epoch=1, seed=0)
    children = Children(found, plan.network_settings(config.settings), config.settings.wiring(found))
    weights = {name: value.numpy() for name, value in SharedNetwork(children.whole()).state_dict().items()}
    scorer: Any = CellScorer(children, weights, images, BATCH, Runtime(device), "the benchmark")
    uniform = CategoricalDistribution.uniform(found)
    cells = [uniform.sample(0, number) for number in range(candidates)]
    return Runs(lambda: scorer.scores(cells, np.arange(BATCH)))


def ranked_channels(device: torch.device, name: str, candidates: int = 8) -> Runs:
    """Masks of a super-network that are stacked in one batch."""
    stages = SUPERNETS[name].stages
    graph = supernet(name, WIDTH, stages, classes=CLASSES, image_channels=3, image_size=SIDE)
    network = StackedNetwork(Runtime(device).place(build_network(graph, 0)).eval())
    draw = torch.Generator().manual_seed(0)
    batch = torch.randn(BATCH, 3, SIDE, SIDE, generator=draw).to(device, memory_format=torch.channels_last)
    masks = (torch.rand(candidates, graph.mask_size, generator=draw) < 0.7).to(device)
    return Runs(lambda: network(batch, masks))


def _pass_of(network: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Run:
    return lambda: F.cross_entropy(network(images), labels).backward()


def cases() -> Mapping[str, Callable[[torch.device], Runs]]:
    """Everything that is counted, by name; building it waits for the device."""
    methods = {name: row for name, row in METHODS.items() if name != "random"}  # its networks are derived ones
    cells = {
        f"{method}, {space}": partial(search, method=method, space=space)
        for method, row in methods.items()
        if row.searches == "cells"
        for space in SPACES
    }
    channels = {
        f"pgnas, {name}": partial(search, method="pgnas", space=name, width=WIDTH)
        for name in SUPERNETS
        if not name.endswith("-inflated")  # another width, and no other operators
    }
    found = published.load("pc-darts-cifar10").genotype
    best = parse_genotype(BEST_CELL.encode(), "the benchmark").genotype
    networks = {
        "training, pc-darts-cifar10": partial(derived, genotype=found),
        "training, nas-bench-201": partial(derived, genotype=best),
    }
    rankings = {f"ranking of {PER_PASS} cells, {space}": partial(ranked_cells, space=space) for space in SPACES}
    masks = {"ranking of 8 masks, resnet-mb": partial(ranked_channels, name="resnet-mb")}
    return {**cells, **channels, **networks, **rankings, **masks}


@dataclass(frozen=True)
class Counted:
    """What a network asks of a device: the operators of a pass, the operators and waits of a step; none without one."""

    one_pass: Counter[str]
    step: Counter[str]
    waits: Counter[str]


def count(runs: Runs, device: torch.device) -> Counted:
    """One pass, and the second step, since the first makes the optimisers' state. `runs` must be new: only the first
    pass of a network finds no gradients to add to.
    """
    with Counting(device) as one_pass:
        runs.one_pass()
    with Counting(device) if device == ACCELERATOR else nullcontext():  # which answers the host
        runs.step()
    with Counting(device) as step:
        runs.step()
    return Counted(one_pass.operators, step.operators, step.waits)


def on_gpu(build: Callable[[torch.device], Runs]) -> Counted:
    """What a GPU would be asked for."""
    with accelerator():
        return count(build(ACCELERATOR), ACCELERATOR)


def on_cpu(build: Callable[[torch.device], Runs]) -> Counted:
    """What a CPU is asked for."""
    return count(build(HOST), HOST)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="count only what has this in its name")
    parser.add_argument("--kinds", action="store_true", help="list the operators of each pass")
    parser.add_argument("--json", action="store_true", help="print all counts as JSON")
    arguments = parser.parse_args()
    found = {
        name: {"GPU": on_gpu(build), "CPU": on_cpu(build)} for name, build in cases().items() if arguments.only in name
    }
    if arguments.json:
        print(json.dumps({name: {form: asdict(one) for form, one in forms.items()} for name, forms in found.items()}))
    else:
        print(f"torch {torch.__version__}: operators that touch memory")
        print(f"{'':34}{'pass, GPU':>11}{'CPU':>9}{'step, GPU':>11}{'CPU':>9}{'waits':>7}")
        for name, forms in found.items():
            gpu, cpu = forms["GPU"], forms["CPU"]
            passes = (gpu.one_pass.total(), cpu.one_pass.total())
            print(f"{name:34}{passes[0]:11,}{passes[1]:9,}", end="")
            if gpu.step:
                print(f"{gpu.step.total():11,}{cpu.step.total():9,}{gpu.waits.total():7}", end="")
            print()
            if arguments.kinds:
                print("   ", ", ".join(f"{kind} {times:,}" for kind, times in gpu.one_pass.most_common()))
    missed = [text for name, forms in found.items() for text in more_than_promised(name, forms["GPU"])]
    print(f"missed: {'; '.join(missed)}" if missed else "all promised figures are met", file=sys.stderr)
    return 1 if missed else 0


def more_than_promised(name: str, counted: Counted) -> Iterator[str]:
    """What exceeds MOST, in words."""
    found = {"a pass": counted.one_pass.total(), "a step": counted.step.total()}
    for (what, operators), most in zip(found.items(), MOST[name], strict=True):
        if operators > most:
            yield f"{what} of {name} in at most {most:,} operators ({operators:,})"


if __name__ == "__main__":
    sys.exit(main())
