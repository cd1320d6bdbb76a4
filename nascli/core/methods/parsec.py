"""PARSEC (Casale, Gordon, Fusi, "Probabilistic Neural Architecture Search", 2019): a distribution over cells, learnt by
sampling child networks and weighing them by their likelihood.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.categorical import CategoricalDistribution, Choices
from nascli.artifacts.distribution import DistributionFile
from nascli.core.methods.categoricals import Categoricals, draw
from nascli.core.methods.cells import check_space, other_kind, sized
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.nn.build import seeded
from nascli.core.nn.graph_network import SharedNetwork
from nascli.core.optimization import Schedule, sgd
from nascli.core.runtime import Runtime, check_memory
from nascli.graphs.graph import Graph
from nascli.seeds import derive_seed
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.wiring import Shared

LEAST_SHARE = 1e-8
"""A child with less of the importance weight takes no backward pass: float32 cannot see its part of the gradient."""

FEWEST_SAMPLES = 2

DRIFT = "drift_entropy"
"""The key of the entropy that the steps so far would have left under a constant likelihood."""


def importance_weights(log_likelihood: Tensor) -> Tensor:
    """Each child's share of the likelihood, from log p(y | X, v, alpha_k). [samples] -> [samples], float64. Eq. 8.

    A likelihood is a product over a batch and underflows; its logarithm does not.
    """
    return log_likelihood.double().softmax(dim=0)


def effective_samples(weights: Tensor) -> Tensor:
    """How many equally weighted samples would vary as much: from 1 (one child has all) to the number of samples."""
    return 1 / weights.square().sum()


class Parsec:
    """Algorithm 1. Children are drawn from independent categoricals over (input, operation), two for each node.

    What a step does, with K samples: (1) children alpha_k ~ p(alpha | pi), and log p(y | X, v, alpha_k) on a search
    batch, without gradients; (2) their importance weights; (3) on a train batch, SGD on the weights v along
    sum_k w_k grad_v log p(y | X, v, alpha_k), one child at a time; (4) Adam on the logits of pi along
    sum_k w_k grad log p(alpha_k | pi). In (3) log p is the mean over the batch, as SGD's learning rates are made for;
    in (1) it is the sum.

    Three savings change nothing: (1) needs no graph; a child whose weight is under LEAST_SHARE takes no part in (3);
    and children that are the same network are computed once, with the sum of their weights.

    Weights that no trained child used have a gradient of zero, so that their momentum and decay go on (line 16 updates
    all of v), however many children are left out.

    Not in the paper: in the epochs of a warm-up the distribution rests, and each step trains one child, drawn
    uniformly. Convolutions that have learnt nothing look like noise beside skip connections.

    Sampling again what was drawn concentrates the distribution without any data. How far is told beside the entropy,
    by a second distribution that takes the same steps with children of its own whose likelihoods are all the same.
    """

    def __init__(
        self,
        plan: Plan,
        runtime: Runtime,
        *,
        layers: int,
        channels: int,
        nodes: int,
        stem: str,
        network: str,
        samples: int,
        adaptive_samples: bool,
        auxiliary: float,
        cutout: int,
        train_fraction: float,
        search_fraction: float,
        lr: float,
        lr_min: float,
        lr_warmup_epochs: int,
        momentum: float,
        weight_decay: float,
        clip: float,
        arch_lr: float,
        arch_beta1: float,
        arch_beta2: float,
        arch_warmup_epochs: int,
        centred_weights: bool,
    ) -> None:
        self._plan, self._runtime, self._space = plan, runtime, cell_space(plan.space, nodes)
        self._samples, self._adaptive, self._auxiliary_weight = samples, adaptive_samples, auxiliary
        self._schedule = Schedule(lr, lr_min, plan.epochs, plan.steps_per_epoch, lr_warmup_epochs)
        self.steps_done = 0
        self._size, self.notices = sized(plan, self._space, layers, channels, stem, auxiliary)
        if runtime.compile:
            self.notices += ("--compile does nothing here: every child is another network",)
        self._wiring = Shared(searching=network == "search")
        whole = self._space.graph(self._space.everything(), self._size, self._wiring)
        check_memory(whole.parameters, runtime.device)
        self.network = seeded(
            lambda: SharedNetwork(whole, with_tower=self._size.auxiliary), derive_seed(plan.seed, "weights")
        )
        runtime.place(self.network)
        self._weights = sgd(self.network.parameters(), runtime, momentum=momentum, weight_decay=weight_decay, clip=clip)

        self._first_architecture_step = arch_warmup_epochs * plan.steps_per_epoch
        adam = {"lr": arch_lr, "beta1": arch_beta1, "beta2": arch_beta2}
        self.categoricals, self._drift = (Categoricals(self._space, **adam, centred=centred_weights) for _ in range(2))
        self._uniform = CategoricalDistribution.uniform(self._space)

    @staticmethod
    def shares(settings: Mapping[str, Any]) -> Mapping[str, float]:
        return {"train": settings["train_fraction"], "search": settings["search_fraction"]}

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """Algorithm 1, lines 5 to 17; or a step of the warm-up."""
        if self.steps_done < self._first_architecture_step:
            return self._warm_up(streams["train"])
        now = self.distribution()
        choices = self._draw(now)
        drawn = [self._space.genotype(child) for child in choices.tolist()]
        places: dict[Any, int] = {}
        which = [places.setdefault(child.network(), len(places)) for child in drawn]
        children = [self._graph(drawn[which.index(place)]) for place in range(len(places))]

        log_likelihood = self._log_likelihood(*streams["search"].next(), children)
        weights = importance_weights(log_likelihood[which])
        shares = torch.zeros(len(places), dtype=weights.dtype).index_add(0, torch.tensor(which), weights)
        trained = self._train(*streams["train"].next(), children, shares.tolist())
        self.categoricals.ascend(now, choices, weights.numpy())
        self._drift_on(len(choices))

        self.steps_done += 1
        search_batch = streams["search"].batch_size
        return {
            "search_loss": -(weights * log_likelihood[which]).sum() / search_batch,
            "effective_samples": effective_samples(weights),
            "samples": torch.tensor(float(len(drawn))),
            "distinct_children": torch.tensor(float(len(places))),
            **trained,
        }

    def _warm_up(self, stream: Stream) -> Mapping[str, Tensor]:
        """A step of SGD on one uniform child."""
        (choices,) = draw(self._uniform, 1, self._plan.seed, "warm-up", self.steps_done).tolist()
        metrics = self._train(*stream.next(), [self._graph(self._space.genotype(choices))], [1.0])
        self.steps_done += 1
        return metrics

    def _drift_on(self, samples: int) -> None:
        """What a constant likelihood makes of the distribution in the same step."""
        now = self._drift.distribution()
        choices = draw(now, samples, self._plan.seed, "drift", self.steps_done)
        self._drift.ascend(now, choices, np.full(samples, 1 / samples))

    def _draw(self, now: CategoricalDistribution) -> Choices:
        """Children alpha_k ~ p(alpha | pi) of this step. -> [samples, draws]"""
        return draw(now, self._sample_count(now), self._plan.seed, "children", self.steps_done)

    def _sample_count(self, now: CategoricalDistribution) -> int:
        """K, or with adaptive samples the part of it that the entropy is of its maximum."""
        if not self._adaptive:
            return self._samples
        left = now.total_entropy() / self._uniform.total_entropy()
        return max(FEWEST_SAMPLES, min(self._samples, math.ceil(self._samples * left)))

    def _graph(self, child: CellGenotype) -> Graph:
        return self._space.graph(child, self._size, self._wiring)

    def _log_likelihood(self, images: Tensor, labels: Tensor, children: Sequence[Graph]) -> Tensor:
        """log p(y | X, v, alpha) of each child: the sum over a search batch. -> [children], float64, on the CPU."""
        with torch.no_grad(), self._runtime.autocast():
            stem = self.network.before_cells(images)
            sums = [
                -F.cross_entropy(self.network(images, child, known=stem).float(), labels, reduction="sum")
                for child in children
            ]
        return torch.stack(sums).double().cpu()

    def _train(
        self, images: Tensor, labels: Tensor, children: Sequence[Graph], shares: Sequence[float]
    ) -> dict[str, Tensor]:
        """SGD on the weights along the shares' mean of the children's gradients, one child's graph at a time."""
        self._weights.clear()
        zero = torch.zeros((), device=images.device)
        loss, accuracy, count = zero, zero, 0
        for child, share in zip(children, shares, strict=True):
            if share < LEAST_SHARE:
                continue
            part, right = self._loss(images, labels, child)
            self._weights.accumulate(share * part)
            loss, accuracy, count = loss + share * part.detach(), accuracy + share * right, count + 1
        norm = self._weights.apply(self._schedule(self.steps_done))
        return {
            "train_loss": loss,
            "train_accuracy": accuracy,
            "trained_children": torch.tensor(float(count)),
            "gradient_norm": norm,
        }

    def _loss(self, images: Tensor, labels: Tensor, child: Graph) -> tuple[Tensor, Tensor]:
        with self._runtime.autocast():
            if self.network.auxiliary is not None:
                logits, tower = self.network(images, child, with_auxiliary=True)
                loss = F.cross_entropy(logits, labels) + self._auxiliary_weight * F.cross_entropy(tower, labels)
            else:
                logits = self.network(images, child)
                loss = F.cross_entropy(logits, labels)
        return loss, (logits.detach().argmax(dim=1) == labels).float().mean()

    def logits(self, images: Tensor) -> Tensor:
        """The mode's answer, by the statistics of this batch. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images, self._graph(self.distribution().mode()))
        return logits

    def learning_rate(self) -> float:
        return self._schedule(max(0, self.steps_done - 1))

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """Figure 3: the entropy of p(alpha | pi) in nats (whole, per cell type, per decision: all its draws), and the
        accuracy of the mode on all images of the search part, with the statistics of each batch. Besides, the entropy
        that sampling alone would have left; the mode's probability and share of skip connections; and whether this was
        an epoch of the warm-up.
        """
        now = self.distribution()
        mode = now.mode()
        child = self._graph(mode)
        right, images_seen = 0, 0
        with torch.no_grad(), self._runtime.autocast():
            for images, labels in streams["search"].once():
                right += (self.network(images, child).argmax(dim=1) == labels).sum()
                images_seen += len(labels)
        entropies = zip(now.decisions, [e for cell in self._space.cells for e in now.entropies(cell)], strict=True)
        return {
            "entropy": now.total_entropy(),
            **{f"entropy/{cell}": now.entropy(cell) for cell in self._space.cells},
            **{f"entropy/{decision.cell}/{decision.name}": entropy for decision, entropy in entropies},
            DRIFT: self._drift.distribution().total_entropy(),
            "mode_accuracy": float(right) / images_seen,
            "mode_probability": math.exp(now.log_probability(mode)),
            "skip_share": mode.share("skip_connect"),
            "architecture_frozen": self.steps_done <= self._first_architecture_step,
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
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "weights_optimizer": self._weights.state_dict(),
            "architecture": self.categoricals.state_dict(),
            "drift": self._drift.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        self._weights.load_state_dict(state["weights_optimizer"])
        self.categoricals.load_state_dict(state["architecture"])
        self._drift.load_state_dict(state["drift"])
