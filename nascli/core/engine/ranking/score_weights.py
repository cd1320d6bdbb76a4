"""How well samples of a super-network's weights do on held-out images, one after the other."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.config import DeriveConfig
from nascli.core.nn.build import inherited_network, load_network
from nascli.core.nn.graph_network import GraphNetwork, copied
from nascli.core.nn.recalibrate import recalibrated
from nascli.core.nn.weight_noise import WeightNoise
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import Diverged

PER_PASS = 16
"""Samples that are scored and saved together, or fewer where their networks would need more than MOST_BYTES."""

MOST_BYTES = 1 << 30


class WeightScorer:
    """The super-network with its mean weights and their noise, and the images to rank on.

    A candidate is the number of a sample; 0 stands for the mean. calibration: batches of images as the network was
    trained on; each candidate then has batch-norm statistics of its own from them, instead of those of the search,
    which are of all samples. Raises ArtifactError for weights that don't fit the super-network.
    """

    def __init__(
        self,
        distribution: GaussianDistribution,
        data: DataModule,
        config: DeriveConfig,
        runtime: Runtime,
        where: str,
        calibration: Sequence[Tensor] = (),
    ) -> None:
        self._mean = load_network(distribution.graph, distribution.weights, where).eval()
        self._noise = WeightNoise(self._mean, 0.5)
        table = [torch.from_numpy(distribution.log_deviations[name].copy()) for name in distribution.graph.masked]
        self._noise.set_(torch.cat(table))
        self._distribution, self._where, self._calibration = distribution, where, calibration
        self._data, self._config, self._runtime = data, config, runtime

    def at_once(self, images: int) -> int:
        """Always 1: every sample has convolutions of its own."""
        return 1

    def per_pass(self, images: int) -> int:
        """Samples in a pass over the images."""
        return max(1, min(PER_PASS, MOST_BYTES // (4 * self._distribution.graph.parameters)))

    def scores(
        self, drawn: Sequence[int], images: np.ndarray, stop: Callable[[], bool] = lambda: False
    ) -> list[tuple[float, float]] | None:
        """The accuracy, 0 to 1, and mean cross-entropy in nats of each, on the training images at these indices.

        None where `stop`, which is asked between forward passes, returns True.
        """
        runtime = self._runtime
        right = torch.zeros(len(drawn), dtype=torch.int64, device=runtime.device)
        loss = torch.zeros(len(drawn), dtype=torch.float64, device=runtime.device)
        exact = runtime.full_precision() if runtime.precision == "fp32" else nullcontext()
        with exact:
            networks: list[GraphNetwork] = []
            for number in drawn:
                if stop():
                    return None
                networks.append(self._sampled(number))
            with torch.inference_mode():
                for batch, labels in self._data.batches(
                    images, self._config.batch_size, memory_format=runtime.memory_format
                ):
                    for place, network in enumerate(networks):
                        if stop():
                            return None
                        with runtime.autocast():
                            logits = network(batch)
                        right[place] += (logits.argmax(dim=1) == labels).sum()
                        loss[place] += F.cross_entropy(logits.double(), labels, reduction="sum")
        if not bool(loss.isfinite().all()):
            raise Diverged(f"a sample of {self._where} has a loss that is not finite: search with a lower --lr")
        seen = len(images)
        return [(hits / seen, total / seen) for hits, total in zip(right.tolist(), loss.tolist(), strict=True)]

    def _sampled(self, number: int) -> GraphNetwork:
        """The whole network with the weights of a sample, in evaluation mode; number 0: with the mean weights."""
        network = copied(self._mean)
        if number:
            generator = self._runtime.generator(self._config.seed, "sample", number)
            with torch.no_grad():
                for name, noise in self._noise.drawn(network, generator).items():
                    network.get_parameter(f"{name}.weight").add_(noise)
        network = self._runtime.place(network)
        if not self._calibration:
            return network
        everything = torch.ones(1, network.graph.mask_size, device=self._runtime.device)
        return recalibrated(network, everything, self._calibration)

    def network(self, genotype: ChannelsGenotype, number: int) -> GraphNetwork:
        """The network of a sample, as it is scored. On the CPU."""
        scored = {name: tensor.cpu().numpy() for name, tensor in self._sampled(number).state_dict().items()}
        return inherited_network(genotype, replace(self._distribution, weights=scored), self._where, seed=0)
