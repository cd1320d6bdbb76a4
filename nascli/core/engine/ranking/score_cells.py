"""How well cells do on held-out images: one path after another through the weights that all of them share.

Single paths with shared weights: Guo et al., "Single Path One-Shot NAS", ECCV 2020; random search with parameter
sharing: Li & Talwalkar, UAI 2019.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nascli.core.engine.ranking.candidates import SHARED_WEIGHTS
from nascli.core.nn.build import load_weights
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.shared_network import SharedNetwork, Siblings
from nascli.core.runtime import Runtime, fitting_threads
from nascli.data import DataModule
from nascli.data.permutation import permutation
from nascli.errors import Diverged, UsageError
from nascli.graphs.graph import Graph
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import Wiring

PER_PASS = 64
"""Candidates that are scored and saved together. In a small network that takes some ten seconds, the most that a killed
run loses, and it is enough for neighbours to have something in common."""


@dataclass(frozen=True)
class Children:
    """The networks of a space's cells that share their weights."""

    space: CellSpace
    settings: NetworkSettings
    wiring: Wiring

    def graph(self, genotype: CellGenotype) -> Graph:
        """The graph of one child."""
        return self.space.graph(genotype, self.settings, self.wiring)

    def whole(self) -> Graph:
        """The graph with the nodes of all children."""
        return self.space.graph(self.space.everything(), self.settings, self.wiring)


class CellScorer:
    """The shared weights, and the images to rank on.

    Batch norms use the statistics of each batch under the candidate itself: no running ones would fit it. The images
    are shuffled, in batches that are the same for all candidates. What neighbours in a pass have in common is computed
    once, which changes no score. Raises ArtifactError for weights that don't fit.
    """

    def __init__(
        self,
        children: Children,
        weights: Mapping[str, NDArray[Any]],
        data: DataModule,
        batch_size: int,
        runtime: Runtime,
        where: str,
    ) -> None:
        with torch.device("meta"):
            network = SharedNetwork(children.whole())
        load_weights(network, weights, where)
        self._network = runtime.place(network).eval()
        self._children, self._data, self._batch_size = children, data, batch_size
        self._runtime, self._where = runtime, where

    def at_once(self, images: int) -> int:
        return 1

    def per_pass(self, images: int) -> int:
        return PER_PASS

    def scores(
        self, drawn: Sequence[CellGenotype], images: np.ndarray, stop: Callable[[], bool] = lambda: False
    ) -> list[tuple[float, float]] | None:
        """The accuracy, 0 to 1, and mean cross-entropy in nats of each, on the training images at these indices."""
        siblings = Siblings(self._network, [self._children.graph(genotype) for genotype in drawn])
        right = torch.zeros(len(drawn), dtype=torch.int64, device=self._runtime.device)
        loss = torch.zeros(len(drawn), dtype=torch.float64, device=self._runtime.device)
        exact = self._runtime.full_precision() if self._runtime.precision == "fp32" else nullcontext()
        pixels = self._batch_size * self._children.settings.image_size**2
        with torch.inference_mode(), exact, fitting_threads(self._runtime, pixels):
            for batch, labels in self._batches(images):
                for turn in siblings.turns:
                    if stop():
                        return None
                    with self._runtime.autocast():
                        logits = siblings(batch, turn)
                    right[turn.place] += (logits.argmax(dim=1) == labels).sum()
                    loss[turn.place] += F.cross_entropy(logits.double(), labels, reduction="sum")
        if not bool(loss.isfinite().all()):
            raise Diverged(f"a candidate of {self._where} has a loss that is not finite: search with a lower --lr")
        seen = len(images)
        return [(hits / seen, total / seen) for hits, total in zip(right.tolist(), loss.tolist(), strict=True)]

    def network(self, genotype: CellGenotype, number: int) -> GraphNetwork:
        """Always raises UsageError: the weights are shared."""
        raise UsageError(SHARED_WEIGHTS)

    def _batches(self, images: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        shuffled = images[permutation(len(images), seed=0)]
        # Of even sizes: the statistics of a last batch of two images would be useless.
        parts = np.array_split(shuffled, max(1, round(len(images) / self._batch_size)))
        for part in parts:
            yield from self._data.batches(part, len(part), memory_format=self._runtime.memory_format)
