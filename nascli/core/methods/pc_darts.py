"""PC-DARTS (Xu et al., ICLR 2020), and DARTS (Liu et al., ICLR 2019), which is K = 1 without beta."""

from collections.abc import Mapping
from functools import partial
from itertools import groupby
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.core.answer import Answer, Batch, answer
from nascli.core.methods.cells import check_space, never_learns, other_kind, sized
from nascli.core.methods.mixtures import copy_logits, frozen, mixture_network, path_weights, small_logits, tensors_of
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.optimization import adam_of, cosine_of, sgd_of
from nascli.core.runtime import Runtime
from nascli.core.unrolled import restored, unrolled_gradient
from nascli.errors import UsageError
from nascli.metrics import FROZEN
from nascli.seeds import derive_seed
from nascli.settings.mixture import PcDartsSettings
from nascli.spaces import cell_space
from nascli.spaces.names import SKIP
from nascli.upload import upload

Mixture = tuple[dict[str, Tensor], dict[str, Tensor] | None]
"""Weights of the operations, [edges, operations], and of the edges, [edges] or None, for each cell type."""


class PcDarts:
    """A continuous mixture of operations on every edge, its weights learnt by alternating gradient steps.

    The first 1/K of the channels goes through softmax(alpha)-weighted operations, the rest past them (Eq. 1); a node
    sums its edges with weights softmax(beta) over its inputs (Eq. 2).
    """

    def __init__(self, plan: Plan, runtime: Runtime, settings: PcDartsSettings) -> None:
        if settings.second_order and runtime.precision == "fp16":
            raise UsageError("--order 2 does not go with --precision fp16, which scales gradients: use bf16 or fp32")
        self._plan, self._runtime, self._second_order = plan, runtime, settings.second_order
        self._space = cell_space(plan.space, settings.nodes)
        self._random_channels = settings.channel_sampling == "random"
        self._first_architecture_step = settings.arch_warmup_epochs * plan.steps_per_epoch
        self.schedule = cosine_of(settings, plan.epochs, plan.steps_per_epoch)
        self.steps_done, self.epochs = 0, plan.epochs
        size, self.notices = sized(plan, self._space, settings, settings.auxiliary)
        self._auxiliary = settings.auxiliary if size.auxiliary else 0.0
        self.notices += never_learns("the architecture will not learn", plan, settings)

        self.network = mixture_network(
            plan,
            runtime,
            self._space,
            size,
            partial_channels=settings.partial_channels,
            recompute=settings.recompute,
        )
        # The second order holds gradients of one pass while others follow.
        self._runnable = runtime.runnable(self.network, replays=not settings.second_order)
        if runtime.replays and settings.second_order:
            self.notices += ("--cuda-graphs does nothing with --order 2: steps run in the ordinary way",)

        draw = torch.Generator().manual_seed(derive_seed(plan.seed, "architecture"))
        cells, edges, operations = self._space.cells, self._space.edges(), len(self._space.operations)
        self.alpha = {cell: small_logits(len(edges), operations, draw=draw, device=runtime.device) for cell in cells}
        beta = {cell: small_logits(len(edges), draw=draw, device=runtime.device) for cell in cells}
        self.beta = beta if settings.edge_normalization else None
        self._edges_into_nodes = [len([*into]) for _, into in groupby(node for _, node in edges)]

        self._weights = sgd_of(settings, self.network.parameters(), runtime)
        architecture = [*self.alpha.values(), *(self.beta or {}).values()]
        self._architecture = adam_of(settings, architecture, runtime, settings.arch_weight_decay)

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """One Adam step on alpha and beta from a search batch, then one SGD step on the weights from a train batch.

        With order 2 the former looks ahead to the latter, on the same train batch (Liu et al., Algorithm 1).
        """
        metrics: dict[str, Tensor] = {}
        ranks = self._runtime.ranks
        train = streams["train"].next(ranks.share)
        if self.steps_done >= self._first_architecture_step:
            descend = self._descend_unrolled if self._second_order else self._descend
            loss, accuracy = descend(streams["search"].next(ranks.share), train)
            metrics |= {"search_loss": loss, "search_accuracy": accuracy}
        with torch.no_grad():
            mixture = self._mixture()
        found = self._answer(train, "train", mixture)
        norm = self._weights.update(found.objective, self.schedule(self.steps_done))
        self.steps_done += 1
        return metrics | {
            "train_loss": found.loss.detach(),
            "train_accuracy": found.accuracy,
            "gradient_norm": norm,
        }

    def _descend(self, search: Batch, _: Batch) -> tuple[Tensor, Tensor]:
        """The architecture's step with the weights as they are. -> loss and accuracy on the search batch."""
        with frozen(self.network):
            found = self._answer(search, "search", self._mixture())
        self._architecture.update(found.objective)
        return found.loss.detach(), found.accuracy

    def _descend_unrolled(self, search: Batch, train: Batch) -> tuple[Tensor, Tensor]:
        """The architecture's step through the weights' next one. -> loss and accuracy there on the search batch.

        The running statistics of batch norms belong to the weights that the network has: these passes leave them alone.
        """

        def train_loss(*, exactly: bool = False) -> Tensor:
            return self._answer(train, "train", self._mixture(), exactly=exactly).objective

        def search_loss() -> tuple[Tensor, Tensor]:
            found = self._answer(search, "search", self._mixture())
            return found.objective, found.accuracy

        with restored(self.network.buffers()):
            unrolled = unrolled_gradient(
                train_loss,
                search_loss,
                self._weights.optimizer,
                self._architecture.parameters,
                rate=self.schedule(self.steps_done),
                exact_train_loss=partial(train_loss, exactly=True),
                add_up=partial(self._runtime.ranks.sum_, purpose="gradients"),
            )
        for parameter, gradient in zip(self._architecture.parameters, unrolled.gradient, strict=True):
            parameter.grad = gradient
        self._architecture.apply()
        return self._runtime.ranks.summed(unrolled.loss, "losses"), unrolled.measured

    def _mixture(self) -> Mixture:
        """softmax(alpha) over the operations of an edge, softmax(beta) over the edges into a node."""
        operations = {cell: alpha.softmax(dim=-1) for cell, alpha in self.alpha.items()}
        if self.beta is None:
            return operations, None
        edges = {
            cell: torch.cat([into.softmax(dim=0) for into in beta.split(self._edges_into_nodes)])
            for cell, beta in self.beta.items()
        }
        return operations, edges

    def _answer(self, batch: Batch, purpose: str, mixture: Mixture, *, exactly: bool = False) -> Answer:
        """Loss and accuracy of a mixture on a batch; for the purpose "train", with the tower's loss in the objective.

        exactly: in float32, whatever the precision.
        """
        channels = self._channels(purpose, batch[0].device)
        auxiliary = self._auxiliary if purpose == "train" else 0.0
        with self._runtime.full_precision() if exactly else self._runtime.autocast():
            parts = self._runtime.parts(self._plan.batch_size)
            return answer(self._runnable, batch, *mixture, channels, auxiliary=auxiliary, parts=parts)

    def _channels(self, purpose: str, device: torch.device) -> list[Tensor] | None:
        """The channels that each edge mixes in this step (Eq. 1); None for the first ones and a shuffle (Section 4)."""
        if not self._random_channels:
            return None
        draw = torch.Generator().manual_seed(derive_seed(self._plan.seed, "channels", purpose, self.steps_done))
        return [upload(drawn, device) for drawn in self.network.draw_channels(draw)]

    def logits(self, images: Tensor) -> Tensor:
        """The mixture's logits with the present architecture. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images, *self._mixture(), self._channels("logits", images.device))
        return logits

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1))

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """Mean entropy of an edge's operations, in nats, per cell type; the share of skips in the derived cells; and
        whether this was an epoch of the warm-up, in which the architecture does not move.
        """
        now = self.distribution()
        entropy = {f"edge_entropy/{cell}": now.entropy(cell) for cell in self._space.cells}
        frozen = self.steps_done <= self._first_architecture_step
        return {**entropy, "skip_share": now.mode().share(SKIP), FROZEN: frozen}

    def distribution(self) -> MixtureDistribution:
        def arrays(tensors: dict[str, Tensor]) -> dict[str, Any]:
            return {cell: tensor.detach().cpu().numpy().copy() for cell, tensor in tensors.items()}

        return MixtureDistribution(self._space, arrays(self.alpha), None if self.beta is None else arrays(self.beta))

    def weights(self) -> Mapping[str, NDArray[Any]]:
        return path_weights(self.network)

    def start_from(self, start: DistributionFile) -> None:
        """Take alpha, and beta where both have it, from another search of the same space."""
        distribution = start.distribution
        if not isinstance(distribution, MixtureDistribution):
            raise other_kind(self._plan.method, MixtureDistribution.kind, start)
        check_space(self._space, distribution.space)
        copy_logits(self.alpha, tensors_of(distribution.alpha))
        if self.beta is not None and distribution.beta is not None:
            copy_logits(self.beta, tensors_of(distribution.beta))
        elif self.beta is not None:
            self.notices += ("the given run has no weights of edges (beta): they start anew",)
        elif distribution.beta is not None:
            self.notices += (
                "the given run's weights of edges (beta) are left behind: --edge-normalization goes on with them",
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "alpha": self.alpha,
            "beta": self.beta,
            "weights_optimizer": self._weights.state_dict(),
            "architecture_optimizer": self._architecture.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        copy_logits(self.alpha, state["alpha"])
        copy_logits(self.beta or {}, state["beta"] or {})
        self._weights.load_state_dict(state["weights_optimizer"])
        self._architecture.load_state_dict(state["architecture_optimizer"])
