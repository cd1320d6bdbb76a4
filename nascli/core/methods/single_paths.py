"""Weights that all cells of a space share, and their training one path at a time: what PARSEC and SPOS both do."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.core.answer import answer
from nascli.core.methods.categoricals import draw
from nascli.core.methods.cells import limits_notice, sized
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.nn import auxiliary
from nascli.core.nn.build import seeded
from nascli.core.nn.shared_network import SharedNetwork, Siblings
from nascli.core.nn.synced import synchronised
from nascli.core.optimization import cosine_of, sgd_of
from nascli.core.runtime import Runtime, check_memory
from nascli.graphs.graph import Graph
from nascli.seeds import derive_seed
from nascli.settings.single_paths import SinglePathSettings
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype

LEAST_SHARE = 1e-8
"""A child with a smaller importance weight gets no backward pass: its part of the gradient is lost in float32."""


class SinglePaths:
    """A network of all operations, SGD on its weights, and children that are paths through it."""

    def __init__(self, plan: Plan, runtime: Runtime, settings: SinglePathSettings) -> None:
        self._plan, self._runtime, self._space = plan, runtime, cell_space(plan.space, settings.nodes)
        self._auxiliary_weight = settings.auxiliary
        self.schedule = cosine_of(settings, plan.epochs, plan.steps_per_epoch)
        self.steps_done, self.epochs = 0, plan.epochs
        self._size, self.notices = sized(plan, self._space, settings, settings.auxiliary)
        for flag, given in (("--compile", runtime.compile), ("--cuda-graphs", runtime.replays)):
            if given:
                self.notices += (f"{flag} does nothing here: every child is another network",)
        self._wiring = settings.wiring(self._space)
        whole = self._space.graph(self._space.everything(), self._size, self._wiring)
        check_memory(whole.parameters, runtime.device)
        self.network = seeded(
            lambda: SharedNetwork(whole, with_tower=self._size.auxiliary), derive_seed(plan.seed, "weights")
        )
        runtime.place(self.network)
        self._weights = sgd_of(settings, self.network.parameters(), runtime)
        self._uniform = CategoricalDistribution.uniform(self._space, plan.limits)
        self.notices += limits_notice(self._uniform)

    def uniform_step(self, stream: Stream) -> Mapping[str, Tensor]:
        """A step of SGD on one uniform child."""
        (choices,) = draw(self._uniform, 1, self._plan.seed, "single path", self.steps_done).tolist()
        ranks = self._runtime.ranks
        metrics = self._train(*stream.next(ranks.share), [self._graph(self._space.genotype(choices))], [1.0])
        self.steps_done += 1
        return metrics

    def _graph(self, child: CellGenotype) -> Graph:
        return self._space.graph(child, self._size, self._wiring)

    def _log_likelihood(
        self, images: Tensor, labels: Tensor, children: Sequence[Graph], *, spread: bool = False
    ) -> Tensor:
        """log p(y | X, v, alpha) of each child: the sum over a search batch. -> [children], float64, on the CPU.

        spread: the children are spread over the ranks, which all have the whole batch; else each has a part of it.
        """
        ranks = self._runtime.ranks
        mine = ranks.share.turns(range(len(children))) if spread else range(len(children))
        siblings = Siblings(self.network, [children[number] for number in mine])
        sums = torch.zeros(len(children), dtype=torch.float64, device=images.device)
        with torch.no_grad(), self._runtime.autocast(), self._synchronised(len(labels), spread):
            for turn in siblings.turns:
                logits = siblings(images, turn).double()
                sums[mine[turn.place]] = -F.cross_entropy(logits, labels, reduction="sum")
        return ranks.summed(sums.cpu(), "log-likelihoods")

    def _synchronised(self, own: int, spread: bool) -> AbstractContextManager[None]:
        """Where a batch is spread over the ranks, batch norms see the whole of it."""
        parts = None if spread else self._runtime.parts(self._plan.batch_size)
        if parts is None or not parts.synchronise:
            return nullcontext()
        return synchronised(parts.ranks, images=parts.images, own=own)

    def _train(
        self,
        images: Tensor,
        labels: Tensor,
        children: Sequence[Graph],
        shares: Sequence[float],
        *,
        spread: bool = False,
    ) -> dict[str, Tensor]:
        """SGD on the weights along the children's gradients weighted by `shares`, in the memory of one child.

        spread: as in `_log_likelihood`.
        """
        self._weights.clear()
        tower = self._auxiliary_weight if self.network.auxiliary is not None else 0.0
        zero = torch.zeros((), device=images.device)
        loss, accuracy = zero, zero
        counted = [(child, share) for child, share in zip(children, shares, strict=True) if share >= LEAST_SHARE]
        ranks = self._runtime.ranks
        trained = len(counted)
        if spread:
            counted = list(ranks.share.turns(counted))
        parts = None if spread else self._runtime.parts(self._plan.batch_size)
        siblings = Siblings(self.network, [child for child, _ in counted])
        for turn in siblings.turns:
            _, share = counted[turn.place]
            with self._runtime.autocast():
                part = answer(siblings, (images, labels), turn, auxiliary=tower, parts=parts)
            siblings.backward(turn, self._weights.scaled(share * part.objective))
            loss, accuracy = loss + share * part.objective.detach(), accuracy + share * part.accuracy
        if ranks.count > 1:
            own = accuracy if spread else accuracy / ranks.count  # of parts of a batch, each rank knows the whole
            loss, accuracy = ranks.summed(torch.stack((loss, own.to(loss.dtype))), "losses").unbind()
        norm = self._weights.apply(self.schedule(self.steps_done))
        return {
            "train_loss": loss,
            "train_accuracy": accuracy,
            "trained_children": torch.tensor(float(trained)),
            "gradient_norm": norm,
        }

    def right_answers(self, images: Tensor, labels: Tensor, child: Graph) -> Tensor:
        """How many images a child gets right, with the statistics of this batch. -> []"""
        with torch.no_grad(), self._runtime.autocast():
            logits: Tensor = self.network(images, child)
            return (logits.argmax(dim=1) == labels).sum()

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1))

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """The weights of all children, without the auxiliary tower, which scoring does not use."""
        state = self.network.state_dict()
        return {k: v.detach().cpu().numpy() for k, v in state.items() if not k.startswith(auxiliary.PREFIX)}

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "weights_optimizer": self._weights.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        self._weights.load_state_dict(state["weights_optimizer"])
