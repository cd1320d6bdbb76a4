"""Cells ranked per second with shared weights: `nascli derive --candidates`, compared with one cell at a time.

    python benchmarks/ranking_cells.py [--rounds 5] [--cells 64] [--images 1024] [--channels 8]

A pass of `derive` takes 64 cells in a chain of nearest neighbours, and computes once what these have in common.
"One at a time" scores the same cells in passes of one. Both ways score the same cells once in every round, in turn; the
median of the ratios within a round is printed. So are the number of operators that touch memory (see `counting`), and
the most bytes that the tensors which operators make hold at any time. Weights and images are random; there is one
thread.
"""

import argparse
import statistics
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.counting import HOST, Counting  # noqa: E402
from nascli.artifacts.distributions.categorical import CategoricalDistribution  # noqa: E402
from nascli.cli.commands.env import machine  # noqa: E402
from nascli.core.engine.ranking.score_cells import CellScorer, Children  # noqa: E402
from nascli.core.nn.shared_network import SharedNetwork  # noqa: E402
from nascli.core.runtime import Runtime  # noqa: E402
from nascli.spaces import cell_space  # noqa: E402
from nascli.spaces.network_settings import NetworkSettings  # noqa: E402
from nascli.spaces.wiring import Shared  # noqa: E402

SIDE, BATCH = 16, 256


class Images:
    """Random images that stand for a data set's."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(count, 3, SIDE, SIDE, generator=generator).contiguous(
            memory_format=torch.channels_last
        )
        self.labels = torch.randint(10, (count,), generator=generator)
        self.info = SimpleNamespace(image_size=SIDE)

    def batches(self, indices: np.ndarray, size: int, memory_format: torch.memory_format):  # noqa: ANN201
        """The images at these indices, in batches."""
        for part in np.split(indices, range(size, len(indices), size)):
            yield self.images[part], self.labels[part]


class Holding(TorchDispatchMode):
    """Measures the bytes of the tensors that operators have made and that still exist: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and (key := tensor.untyped_storage()._cdata) not in self._known:
                self._known.add(key)
                self.live += tensor.untyped_storage().nbytes()
                weakref.finalize(tensor.untyped_storage(), self._gone, key, tensor.untyped_storage().nbytes())
        self.most = max(self.most, self.live)
        return result

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--channels", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space, runtime = cell_space("nas-bench-201"), Runtime(torch.device("cpu"))
    size = NetworkSettings(
        layers=3, channels=options.channels, stem="cifar", classes=10, image_channels=3, image_size=SIDE
    )
    children = Children(space, size, Shared())
    weights = {name: value.numpy() for name, value in SharedNetwork(children.whole()).state_dict().items()}
    scorer: Any = CellScorer(children, weights, Images(options.images), BATCH, runtime, "the benchmark")
    uniform = CategoricalDistribution.uniform(space)
    cells, indices = [uniform.sample(0, number) for number in range(options.cells)], np.arange(options.images)

    def one_at_a_time() -> list[tuple[float, float]]:
        return [scorer.scores([cell], indices)[0] for cell in cells]

    ways: dict[str, Callable[[], list[tuple[float, float]]]] = {
        "one at a time": one_at_a_time,
        "derive": lambda: scorer.scores(cells, indices),
    }
    assert ways["derive"]() == one_at_a_time(), "the scores differ"
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    print(f"{machine()}; {options.cells} cells, {options.images} images, the same scores")
    for name, way in ways.items():
        with Holding() as holding, Counting(HOST) as counted:
            way()
        ratio = statistics.median(a / b for a, b in zip(times["one at a time"], times[name], strict=True))
        rate = options.cells / statistics.median(times[name])
        memory = holding.most / 2**20
        print(f"{name}: {rate:.1f} cells/s ({ratio:.2f}x), {counted.total:,} operators, {memory:.1f} MiB")


if __name__ == "__main__":
    main()
