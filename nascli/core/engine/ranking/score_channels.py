"""How well masks do on held-out images: many in one forward pass, stacked in the batch, or cut out one by one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.masks import Mask, channels_of, mask_of
from nascli.config import LARGEST_SMALL_IMAGE, DeriveConfig, SearchConfig
from nascli.core.engine.search import open_streams
from nascli.core.nn.build import inherited_network, load_weights
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.core.nn.recalibrate import recalibrated
from nascli.core.nn.stacked import StackedNetwork
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import Diverged
from nascli.graphs.slim import slim

MAP_BYTES = {"cpu": 1 << 22, "cuda": 1 << 28}
"""The size of the largest map of a forward pass. On a CPU, maps of a few MiB stay in its cache; on a GPU, some
hundreds of MiB keep it busy and leave room for the few maps that exist at a time. Free memory plays no part, so that
the same run is divided in the same way everywhere.
"""

FEWEST_IMAGES = 16
"""In a forward pass, even if its maps become larger: with fewer, the cores wait for each other."""

WORTH_CUTTING = 1e10
"""If scoring a candidate takes at least this many multiply-adds, a CPU builds and runs its smaller network instead of
masking. One core does as many in a quarter of a second. Building takes a tenth of that. Where 70 % of the channels are
kept, half of the multiply-adds are saved, but less of the time the narrower the network, as channels come in blocks of
16.
"""

DECODED_FOR = 64
"""Candidates that see each batch of large images once it is decoded, so that decoding takes little of the time."""

OWN_BYTES = 1 << 30
"""Bytes of networks in memory at a time, where candidates have statistics of their own; at least one for every core."""

CALIBRATION_IMAGES = 2048
"""The training images, or all if there are fewer, from which a candidate's own statistics are taken."""

Network = Callable[[Tensor], Tensor]
"""From a batch to the logits of some candidates, [candidates, B, classes]."""


class ChannelScorer:
    """The super-network with inherited weights, and the images to rank on.

    Candidates share forward passes, each with its mask. Where one alone keeps a core busy, they are cut out of the
    super-network and run one by one instead, which takes fewer multiply-adds. On a CPU every core has forward passes of
    its own, since a small convolution is not worth splitting among cores. `at_once` candidates are in a forward pass,
    `per_pass` are scored in one pass over the images. None of this changes a score beyond its last bits; the number of
    cores changes nothing.

    calibration: batches of images as the network was trained on; each candidate then has statistics of its own from
    them, instead of those of the search, and is scored by itself.

    Raises ArtifactError for weights that don't fit the super-network; `scores` raises Diverged where a loss is not
    finite.
    """

    def __init__(
        self,
        posterior: PosteriorDistribution,
        data: DataModule,
        config: DeriveConfig,
        runtime: Runtime,
        where: str,
        *,
        at_once: int | None = None,
        calibration: Sequence[Tensor] = (),
    ) -> None:
        with torch.device("meta"):
            network = GraphNetwork(posterior.graph)
        load_weights(network, posterior.weights, where)
        self._posterior, self._where = posterior, where
        self._supernet = runtime.place(network).eval()
        self._stacked = StackedNetwork(self._supernet)
        self._graph, self._data, self._runtime = posterior.graph, data, runtime
        self._resident = data.info.image_size <= LARGEST_SMALL_IMAGE
        rows = MAP_BYTES.get(runtime.device.type, MAP_BYTES["cpu"]) // (4 * posterior.graph.largest_map)
        self._rows = max(FEWEST_IMAGES, rows)
        self._batch = min(config.batch_size, self._rows)
        self._at_once, self._calibration = at_once, calibration
        self._cores = torch.get_num_threads() if runtime.device.type == "cpu" else 1
        self._kept: dict[bytes, list[tuple[Tensor, Tensor]]] = {}

    def cuts(self, images: int) -> bool:
        """Whether each candidate's smaller network is built, for this many images."""
        work = self._graph.multiply_adds * images
        return self._runtime.device.type == "cpu" and self._resident and work >= WORTH_CUTTING

    def at_once(self, images: int) -> int:
        """Candidates in a forward pass, for this many images."""
        if self._calibration or self.cuts(images):
            return 1
        return self._at_once or max(1, self._rows // min(self._batch, images))

    def per_pass(self, images: int) -> int:
        """Candidates in a pass over this many images: a forward pass per core, or more where images are decoded."""
        chunk = self.at_once(images)
        together = 1 if self._resident else -(-DECODED_FOR // chunk)
        if self._calibration:  # each is a network of its own, and waits for its turn
            together = min(together, OWN_BYTES // (4 * self._graph.parameters))
        return chunk * max(self._cores, together)

    def scores(
        self, masks: Sequence[Mask], images: np.ndarray, stop: Callable[[], bool] = lambda: False
    ) -> list[tuple[float, float]] | None:
        """The accuracy, 0 to 1, and mean cross-entropy in nats of every mask on the training images at these indices.

        None where `stop`, which is asked between forward passes, returns True.
        """
        right = torch.zeros(len(masks), dtype=torch.int64, device=self._runtime.device)
        loss = torch.zeros(len(masks), dtype=torch.float64, device=self._runtime.device)
        size = self.at_once(len(images))
        parts = [masks[first : first + size] for first in range(0, len(masks), size)]
        with self._exact(), self._spread() as spread:
            networks = list(spread(lambda part: None if stop() else self._network(part, len(images)), parts))
            for batch, labels in self._batches(images):
                answers = spread(partial(self._answer, batch, labels, stop), networks)
                for hits, losses, answer in zip(right.split(size), loss.split(size), answers, strict=True):
                    if answer is None:
                        return None
                    hits.add_(answer[0])
                    losses.add_(answer[1])
        if not bool(loss.isfinite().all()):
            raise Diverged(
                f"a candidate of {self._where} has a loss that is not finite: its weights are too large for "
                f"--precision {self._runtime.precision}"
            )
        seen = len(images)
        return [(hits / seen, total / seen) for hits, total in zip(right.tolist(), loss.tolist(), strict=True)]

    def _answer(
        self, batch: Tensor, labels: Tensor, stop: Callable[[], bool], network: Network | None
    ) -> tuple[Tensor, Tensor] | None:
        """How many images the candidates of a network get right, and their summed cross-entropy. [candidates] each"""
        if network is None or stop():
            return None
        with self._runtime.autocast():
            logits = network(batch)
        return (logits.argmax(dim=2) == labels).sum(dim=1), _cross_entropy(logits, labels)

    def _exact(self) -> AbstractContextManager[None]:
        """Without TF32, whose rounding may depend on how many candidates share a pass, and so decide on the winner."""
        return self._runtime.full_precision() if self._runtime.precision == "fp32" else nullcontext()

    @contextmanager
    def _spread(self) -> Iterator[Callable[..., Iterator[Any]]]:
        """A `map` whose calls run in parallel, each on one core; on a GPU one after the other."""
        if self._runtime.device.type != "cpu":
            yield map
            return
        before = torch.get_num_threads()
        with ThreadPoolExecutor(self._cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield pool.map
            finally:
                torch.set_num_threads(before)

    def _network(self, masks: Sequence[Mask], images: int) -> Network:
        """The network that gives these candidates' logits."""
        rows = torch.from_numpy(np.stack(masks)).to(self._runtime.device)
        if not self.cuts(images):
            stacked = StackedNetwork(self.supernet(masks[0])) if self._calibration else self._stacked
            return lambda batch: stacked(batch, rows)
        left = slim(self._graph, channels_of(self._graph, masks[0]))
        network = GraphNetwork(left.graph)
        inherit(network, left, self.supernet(masks[0]), rows.float())
        alone = StackedNetwork(self._runtime.place(network))
        return lambda batch: alone(batch, rows[:, :0])

    def supernet(self, mask: Mask) -> GraphNetwork:
        """The super-network that a candidate is scored with, with its own statistics if there are images for them."""
        if not self._calibration:
            return self._supernet
        row = torch.from_numpy(mask[None]).to(self._runtime.device)
        with self._exact():
            return recalibrated(self._supernet, row.float(), self._calibration)

    def network(self, genotype: ChannelsGenotype, number: int) -> GraphNetwork:
        """A candidate's own, cut out of the super-network with the statistics that it is scored with. On the CPU."""
        supernet = self.supernet(mask_of(self._graph, genotype.channels))
        scored = {name: tensor.cpu().numpy() for name, tensor in supernet.state_dict().items()}
        return inherited_network(genotype, replace(self._posterior, weights=scored), self._where, seed=0)

    def _batches(self, images: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Small images are normalised once and kept."""
        batches = self._data.batches(images, self._batch, memory_format=self._runtime.memory_format)
        if not self._resident:
            return batches
        key = images.tobytes()
        if key not in self._kept:
            self._kept[key] = list(batches)
        return iter(self._kept[key])


def calibration_batches(search: SearchConfig, data: DataModule, runtime: Runtime) -> list[Tensor]:
    """The first batches of images that the search trained its weights on."""
    train = open_streams(search, data, runtime)["train"]
    count = min(train.batches_per_pass, -(-CALIBRATION_IMAGES // train.batch_size))
    batches = [train.next()[0] for _ in range(count)]
    train.close()
    return batches


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum over images, in float64. [candidates, B, classes], [B] -> [candidates]"""
    flat = F.cross_entropy(logits.double().flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    return flat.view(len(logits), -1).sum(dim=1)
