"""Uniform single paths: Guo et al., "Single Path One-Shot Neural Architecture Search", ECCV 2020. The random search
with parameter sharing of Li & Talwalkar, UAI 2019, is the same.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.core.methods.cells import check_space, other_kind
from nascli.core.methods.protocol import Stream
from nascli.core.methods.single_paths import SinglePaths
from nascli.settings.groups import SEARCH


class Spos(SinglePaths):
    """Each step trains one uniform child. The distribution stays uniform.

    Cells are found afterwards, by ranking them with the trained weights. The search part of the images is for that;
    nothing here learns from it.
    """

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        return self.uniform_step(streams["train"])

    def logits(self, images: Tensor) -> Tensor:
        """The logits of one uniform child. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images, self._graph(self._uniform.sample(self._plan.seed, 0)))
        return logits

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """The accuracy of uniform children on the search part, a different child for each batch."""
        right: Tensor | int = 0
        seen = 0
        ranks = self._runtime.ranks
        for turn, (images, labels) in enumerate(streams[SEARCH].once(ranks.share)):
            number = turn * ranks.count + ranks.rank
            right += self.right_answers(images, labels, self._graph(self._uniform.sample(self._plan.seed, number)))
            seen += len(labels)
        right, seen = ranks.summed(torch.tensor([int(right), seen]), "held-out images").tolist()
        return {"sampled_accuracy": right / seen}

    def distribution(self) -> CategoricalDistribution:
        return self._uniform

    def start_from(self, start: DistributionFile) -> None:
        """Accept another search of the same space: its uniform distribution holds nothing to take over."""
        distribution = start.distribution
        if not isinstance(distribution, CategoricalDistribution) or any(logits.any() for logits in distribution.logits):
            raise other_kind(self._plan.method, "uniform distribution", start)
        check_space(self._space, distribution.space)
