"""PARSEC (Casale, Gordon, Fusi, "Probabilistic Neural Architecture Search", 2019): a distribution over cells, learnt by
sampling child networks and weighing them by their likelihood.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.cell_genotype import CELL_INPUTS, CELL_NAMES, Cell, CellGenotype, Pick
from nascli.artifacts.distribution import CategoricalDistribution, Distribution
from nascli.artifacts.network_settings import NetworkSettings
from nascli.artifacts.provenance import Provenance
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.nn.auxiliary import auxiliary_fits, tower_needs
from nascli.core.nn.build import seeded
from nascli.core.nn.measure import count_parameters
from nascli.core.nn.sampled_network import SampledNetwork
from nascli.core.optimization import Schedule, Updater, sgd
from nascli.core.runtime import Runtime, check_memory
from nascli.errors import UsageError
from nascli.registry import SPACES
from nascli.seeds import derive_seed

SPACE = "darts"
OPERATIONS = tuple(op for op in SPACES[SPACE].search_operations if op != "none")
DRAWS = 2
"""Picks of a node, each with a categorical of its own (Eq. 4 and 5)."""

LEAST_SHARE = 1e-8
"""A child with less of the importance weight takes no backward pass: float32 cannot see its part of the gradient."""

FEWEST_SAMPLES = 2

Network = tuple[tuple[tuple[int, int], ...], ...]
"""A child up to the order of a node's picks, which its network does not depend on: per cell type and node the two
choices in rising order, a choice being input * operations + operation."""


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
    ) -> None:
        self._plan, self._runtime, self._nodes = plan, runtime, nodes
        self._samples, self._adaptive, self._auxiliary_weight = samples, adaptive_samples, auxiliary
        self._schedule = Schedule(lr, lr_min, plan.epochs, plan.steps_per_epoch, lr_warmup_epochs)
        self.steps_done = 0
        settings = plan.network_settings(layers, channels, stem)
        settings = settings.model_copy(update={"auxiliary": auxiliary > 0 and auxiliary_fits(settings)})
        self.notices = self._remarks(settings, auxiliary)
        as_derived = network == "derived"
        build = partial(SampledNetwork, settings, nodes=nodes, operations=OPERATIONS, as_derived=as_derived)
        with torch.device("meta"):
            check_memory(count_parameters(build()), runtime.device)
        self.network = seeded(build, derive_seed(plan.seed, "weights"))
        runtime.place(self.network)
        self._weights = sgd(self.network.parameters(), runtime, momentum=momentum, weight_decay=weight_decay, clip=clip)

        # The distribution is a few hundred numbers from which children are drawn one by one: it stays on the CPU.
        shapes = [(DRAWS, CELL_INPUTS + node, len(OPERATIONS)) for node in range(nodes)]
        self.logits_of = {cell: [torch.zeros(shape, requires_grad=True) for shape in shapes] for cell in CELL_NAMES}
        adam = torch.optim.Adam(
            [node for cell in CELL_NAMES for node in self.logits_of[cell]],
            lr=arch_lr,
            betas=(arch_beta1, arch_beta2),
        )
        self._architecture = Updater(adam, Runtime(torch.device("cpu")))
        self._most_entropy = 2 * DRAWS * sum(math.log(inputs * operations) for _, inputs, operations in shapes)

    def _remarks(self, settings: NetworkSettings, auxiliary: float) -> tuple[str, ...]:
        remarks = []
        if auxiliary and not settings.auxiliary:
            remarks.append(f"searched without an auxiliary tower: {tower_needs(settings.stem)}")
        if self._runtime.compile:
            remarks.append("--compile does nothing here: every child is another network")
        return tuple(remarks)

    @staticmethod
    def shares(settings: Mapping[str, Any]) -> Mapping[str, float]:
        return {"train": settings["train_fraction"], "search": settings["search_fraction"]}

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """Algorithm 1, lines 5 to 17."""
        draws = self._draw(self._sample_count())
        networks = [self._network_of(child) for child in draws.tolist()]
        places = {network: place for place, network in enumerate(dict.fromkeys(networks))}
        which = torch.tensor([places[network] for network in networks])
        children = [_genotype(network) for network in places]

        log_likelihood = self._log_likelihood(*streams["search"].next(), children)
        weights = importance_weights(log_likelihood[which])
        shares = torch.zeros(len(places), dtype=weights.dtype).index_add(0, which, weights)
        trained = self._train(*streams["train"].next(), children, shares.tolist())
        self._architecture.update(-(weights * self._log_probability(draws)).sum())

        self.steps_done += 1
        search_batch = streams["search"].batch_size
        return {
            "search_loss": -(weights * log_likelihood[which]).sum() / search_batch,
            "effective_samples": effective_samples(weights),
            "samples": torch.tensor(float(len(draws))),
            "distinct_children": torch.tensor(float(len(places))),
            **trained,
        }

    def _sample_count(self) -> int:
        """K, or with adaptive samples the part of it that the entropy is of its maximum."""
        if not self._adaptive:
            return self._samples
        left = self._now().total_entropy() / self._most_entropy
        return max(FEWEST_SAMPLES, min(self._samples, math.ceil(self._samples * left)))

    def _draw(self, count: int) -> Tensor:
        """Children alpha_k ~ p(alpha | pi) of this step. -> [count, cell types * nodes * draws], choices."""
        generator = torch.Generator().manual_seed(derive_seed(self._plan.seed, "children", self.steps_done))
        with torch.no_grad():
            rows = [row for node in self._categoricals() for row in node.double().softmax(dim=1)]
        uniform = torch.rand(len(rows), count, dtype=torch.float64, generator=generator)
        # The choice whose stretch of the cumulative probabilities holds the number. The last one's end is 1 but for
        # rounding.
        choices = [torch.searchsorted(row.cumsum(0)[:-1], uniform[i], right=True) for i, row in enumerate(rows)]
        return torch.stack(choices, dim=1)

    def _categoricals(self) -> list[Tensor]:
        """The logits of each node, [draws, choices], in the order of `_draw`'s columns."""
        return [node.flatten(1) for cell in CELL_NAMES for node in self.logits_of[cell]]

    def _log_probability(self, draws: Tensor) -> Tensor:
        """log p(alpha_k | pi), Eq. 4 and 5. [samples, columns] -> [samples]."""
        rows = [row for node in self._categoricals() for row in node.double().log_softmax(dim=1)]
        return torch.stack([row[draws[:, i]] for i, row in enumerate(rows)]).sum(dim=0)

    def _network_of(self, child: Sequence[int]) -> Network:
        pairs = [tuple(sorted(child[i : i + DRAWS])) for i in range(0, len(child), DRAWS)]
        return tuple(tuple(pairs[i : i + self._nodes]) for i in range(0, len(pairs), self._nodes))

    def _log_likelihood(self, images: Tensor, labels: Tensor, children: Sequence[CellGenotype]) -> Tensor:
        """log p(y | X, v, alpha) of each child: the sum over a search batch. -> [children], float64, on the CPU."""
        with torch.no_grad(), self._runtime.autocast():
            states = self.network.stem(images)
            sums = [
                -F.cross_entropy(self.network.after_stem(states, child).float(), labels, reduction="sum")
                for child in children
            ]
        return torch.stack(sums).double().cpu()

    def _train(
        self, images: Tensor, labels: Tensor, children: Sequence[CellGenotype], shares: Sequence[float]
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

    def _loss(self, images: Tensor, labels: Tensor, child: CellGenotype) -> tuple[Tensor, Tensor]:
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
        logits: Tensor = self.network(images, self._now().mode())
        return logits

    def learning_rate(self) -> float:
        return self._schedule(max(0, self.steps_done - 1))

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """Figure 3: the entropy of p(alpha | pi) in nats (whole, per cell type, per node: both draws), and the accuracy
        of the mode on all images of the search part, with the statistics of each batch. Besides, the mode's probability
        and share of skip connections.
        """
        now = self._now()
        mode = now.mode()
        right, images_seen = 0, 0
        with torch.no_grad(), self._runtime.autocast():
            for images, labels in streams["search"].once():
                right += (self.network(images, mode).argmax(dim=1) == labels).sum()
                images_seen += len(labels)
        nodes = {
            f"entropy_{cell}_{state}": entropy
            for cell in CELL_NAMES
            for state, entropy in enumerate(now.node_entropies(cell), start=CELL_INPUTS)
        }
        return {
            "entropy": now.total_entropy(),
            **{f"entropy_{cell}": now.entropy(cell) for cell in CELL_NAMES},
            **nodes,
            "mode_accuracy": float(right) / images_seen,
            "mode_probability": math.exp(now.log_probability(mode)),
            "skip_share": mode.share("skip_connect"),
        }

    def distribution(self, provenance: Provenance) -> CategoricalDistribution:
        return CategoricalDistribution(
            space=SPACE,
            nodes=self._nodes,
            operations=OPERATIONS,
            logits={cell: tuple(n.detach().numpy().copy() for n in self.logits_of[cell]) for cell in CELL_NAMES},
            provenance=provenance,
        )

    def _now(self) -> CategoricalDistribution:
        return self.distribution(
            Provenance(nascli="", stage="search", method=None, seed=None, config={}, data=None, made_from=None)
        )

    def start_from(self, distribution: Distribution) -> None:
        """Take the logits of another search of the same space. Its weights are not taken."""
        if not isinstance(distribution, CategoricalDistribution):
            maker = distribution.provenance.method
            way_out = f": give --method {maker}" if maker else ""
            raise UsageError(f"PARSEC goes on with a categorical distribution, not with a {distribution.kind}{way_out}")
        if distribution.nodes != self._nodes:
            raise UsageError(
                f"the distribution is over cells of {distribution.nodes} nodes, the network's have {self._nodes}: "
                f"give --nodes {distribution.nodes}"
            )
        if (distribution.space, distribution.operations) != (SPACE, OPERATIONS):
            raise UsageError(f"the distribution is over other operations than those of the space {SPACE!r}")
        with torch.no_grad():
            for cell in CELL_NAMES:
                for mine, theirs in zip(self.logits_of[cell], distribution.logits[cell], strict=True):
                    mine.copy_(torch.from_numpy(theirs.copy()))

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "logits": self.logits_of,
            "weights_optimizer": self._weights.state_dict(),
            "architecture_optimizer": self._architecture.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        with torch.no_grad():
            for cell in CELL_NAMES:
                for mine, saved in zip(self.logits_of[cell], state["logits"][cell], strict=True):
                    mine.copy_(saved)
        self._weights.load_state_dict(state["weights_optimizer"])
        self._architecture.load_state_dict(state["architecture_optimizer"])


@lru_cache(maxsize=1024)
def _genotype(network: Network) -> CellGenotype:
    cells = {
        name: Cell(
            nodes=tuple(tuple(_pick(choice) for choice in node) for node in nodes),
            concat=tuple(range(CELL_INPUTS, CELL_INPUTS + len(nodes))),
        )
        for name, nodes in zip(CELL_NAMES, network, strict=True)
    }
    return CellGenotype(space=SPACE, **cells)


def _pick(choice: int) -> Pick:
    source, operation = divmod(choice, len(OPERATIONS))
    return Pick(op=OPERATIONS[operation], input=source)
