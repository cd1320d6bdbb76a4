"""PARSEC (Casale, Gordon, Fusi, "Probabilistic Neural Architecture Search", 2019): a distribution over cells, learnt by
sampling child networks and weighing them by their likelihood.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nascli.artifacts.distributions.categorical import CategoricalDistribution, Choices
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.core.methods.categoricals import Categoricals, draw
from nascli.core.methods.cells import check_space, never_learns, other_kind
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.methods.single_paths import SinglePaths
from nascli.core.runtime import Runtime
from nascli.distributed.share import WHOLE
from nascli.metrics import DRIFT, FROZEN
from nascli.settings.single_paths import ParsecSettings
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import SKIP

FEWEST_SAMPLES = 2


def importance_weights(log_likelihood: Tensor) -> Tensor:
    """Each child's share of the likelihood, from log p(y | X, v, alpha_k). [samples] -> [samples], float64. Eq. 8.

    A likelihood is a product over a batch and underflows; its logarithm does not.
    """
    return log_likelihood.double().softmax(dim=0)


def effective_samples(weights: Tensor) -> Tensor:
    """How many equally weighted samples would vary as much: from 1 (one child has all) to the number of samples."""
    return 1 / weights.square().sum()


def distinct(drawn: Sequence[CellGenotype]) -> tuple[list[CellGenotype], Tensor]:
    """The different networks among cells, each as its first cell; and which of them every cell is. -> [cells], int64

    Like `torch.unique(…, return_inverse=True)` of rows, but cells whose draws differ only in order may be one network.
    """
    networks = [cell.network() for cell in drawn]
    places = {network: place for place, network in enumerate(dict.fromkeys(networks))}
    which = torch.tensor([places[network] for network in networks])
    return [drawn[networks.index(network)] for network in places], which


class Parsec(SinglePaths):
    """Algorithm 1. Children are drawn from independent categoricals over (input, operation), two for each node.

    What a step does, with K samples: (1) children alpha_k ~ p(alpha | pi), and log p(y | X, v, alpha_k) on a search
    batch, without gradients; (2) their importance weights; (3) on a train batch, SGD on the weights v along
    sum_k w_k grad_v log p(y | X, v, alpha_k), one child at a time; (4) Adam on the logits of pi along
    sum_k w_k grad log p(alpha_k | pi). In (3) log p is the mean over the batch, as SGD's learning rates assume; in (1)
    it is the sum.

    Savings that change nothing: (1) needs no graph; a child whose weight is under LEAST_SHARE takes no part in (3);
    children that are the same network are computed once, with the sum of their weights; and so is what two children in
    a row have in common, from the stem on (`nascli.core.nn.shared_network.Siblings`). The passes of (3) repeat none of
    (1), whose images are others.

    Weights that no trained child used have a gradient of zero, so that their momentum and decay continue (line 16
    updates all of v), however many children are left out.

    Not in the paper: with limits, such as on a cell's size, p(alpha | pi) is conditioned on them, in what is drawn and
    in what (4) ascends: log p(alpha_k | pi) - log P(within limits), whose gradient is exact.

    Not in the paper: in the epochs of a warm-up the distribution does not change, and each step trains one child, drawn
    uniformly. Convolutions that have learnt nothing look like noise beside skip connections.

    Learning from its own samples concentrates the distribution even without data. To show how much, a second
    distribution takes the same steps with children of its own whose likelihoods are all equal; its entropy is reported
    beside the real one. Centred weights, w_k - 1/K, remove this drift, but not the random walk of a few children with
    most of the weight.
    """

    def __init__(self, plan: Plan, runtime: Runtime, settings: ParsecSettings) -> None:
        super().__init__(plan, runtime, settings)
        self._samples, self._adaptive = settings.samples, settings.adaptive_samples
        self._centred = settings.centred_weights
        self._first_architecture_step = settings.arch_warmup_epochs * plan.steps_per_epoch
        self.notices += never_learns("the distribution will not learn", plan, settings)
        self.categoricals, self._drift = (Categoricals(self._uniform, settings) for _ in range(2))

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """Algorithm 1, lines 5 to 17; or a step of the warm-up."""
        if self.steps_done < self._first_architecture_step:
            return self.uniform_step(streams["train"])
        now = self.distribution()
        choices = self._draw(now)  # line 7
        # Children are spread over several processes; where there are more processes than children, the images are.
        spread = len(choices) >= self._runtime.ranks.count
        share = WHOLE if spread else self._runtime.ranks.share
        search = streams["search"].next(share)  # line 5
        drawn = [self._space.genotype(child) for child in choices.tolist()]
        children, which = distinct(drawn)
        graphs = [self._graph(child) for child in children]

        log_likelihood = self._log_likelihood(*search, graphs, spread=spread)[which]  # line 8
        weights = importance_weights(log_likelihood)  # line 10
        shares = torch.zeros(len(children), dtype=weights.dtype).index_add(0, which, weights)
        trained = self._train(
            *streams["train"].next(share), graphs, shares.tolist(), spread=spread
        )  # lines 11, 13 and 16
        self.categoricals.ascend(now, choices, weights.numpy())  # lines 14 and 17
        self._step_drift(weights.numpy())

        self.steps_done += 1
        return {
            "search_loss": -(weights * log_likelihood).sum() / streams["search"].batch_size,
            "effective_samples": effective_samples(weights),
            "samples": torch.tensor(float(len(drawn))),
            "distinct_children": torch.tensor(float(len(children))),
            **trained,
        }

    def _step_drift(self, weights: NDArray[np.float64]) -> None:
        """The same step of a distribution that learns nothing from the images.

        It draws its own children, all equally likely. Centred, equal weights would not move it at all, while the step's
        weights move the real one in a random walk: so its children get the step's weights, whichever they are.
        """
        now = self._drift.distribution()
        choices = draw(now, len(weights), self._plan.seed, "drift", self.steps_done)
        self._drift.ascend(now, choices, weights if self._centred else np.full(len(weights), 1 / len(weights)))

    def _draw(self, now: CategoricalDistribution) -> Choices:
        """Children alpha_k ~ p(alpha | pi) of this step. -> [samples, draws]"""
        return draw(now, self._sample_count(now), self._plan.seed, "children", self.steps_done)

    def _sample_count(self, now: CategoricalDistribution) -> int:
        """K; with adaptive samples, K times the entropy's share of its maximum."""
        if not self._adaptive:
            return self._samples
        left = now.total_entropy() / self._uniform.total_entropy()
        return max(FEWEST_SAMPLES, min(self._samples, math.ceil(self._samples * left)))

    def logits(self, images: Tensor) -> Tensor:
        """The mode's logits, with the statistics of this batch. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images, self._graph(self.distribution().mode()))
        return logits

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """Figure 3: the entropy of p(alpha | pi) in nats (whole, per cell type, per decision: all its draws), and the
        accuracy of the mode on all images of the search part, with the statistics of each batch. Also the entropy that
        the same steps would have left without images, the mode's probability and share of skip connections, and
        whether this was an epoch of the warm-up.
        """
        now = self.distribution()
        mode = now.mode()
        child = self._graph(mode)
        right: Tensor | int = 0
        images_seen = 0
        ranks = self._runtime.ranks
        for images, labels in streams["search"].once(ranks.share):
            right += self.right_answers(images, labels, child)
            images_seen += len(labels)
        counts = torch.tensor([int(right), images_seen])
        right, images_seen = ranks.summed(counts, "held-out images").tolist()
        entropies = zip(now.decisions, [e for cell in self._space.cells for e in now.entropies(cell)], strict=True)
        return {
            "entropy": now.total_entropy(),
            **{f"entropy/{cell}": now.entropy(cell) for cell in self._space.cells},
            **{f"entropy/{decision.cell}/{decision.name}": entropy for decision, entropy in entropies},
            DRIFT: self._drift.distribution().total_entropy(),
            "mode_accuracy": float(right) / images_seen,
            "mode_probability": math.exp(now.log_probability(mode)),
            "skip_share": mode.share(SKIP),
            FROZEN: self.steps_done <= self._first_architecture_step,
        }

    def distribution(self) -> CategoricalDistribution:
        return self.categoricals.distribution()

    def start_from(self, start: DistributionFile) -> None:
        """Take the logits of another search of the same space. Its weights are not taken."""
        distribution = start.distribution
        if not isinstance(distribution, CategoricalDistribution):
            raise other_kind(self._plan.method, CategoricalDistribution.kind, start)
        check_space(self._space, distribution.space)
        self.categoricals.start_from(distribution)
        self._drift.start_from(distribution)

    def state_dict(self) -> dict[str, Any]:
        own = {"architecture": self.categoricals.state_dict(), "drift": self._drift.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.categoricals.load_state_dict(state["architecture"])
        self._drift.load_state_dict(state["drift"])
