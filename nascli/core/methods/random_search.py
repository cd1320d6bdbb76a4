"""Random search: cells drawn uniformly from the space, each trained alike for a short while, the best kept.

The baseline that a search has to beat at equal budget ("Random" in Table 1 of PARSEC; Li & Talwalkar, UAI 2019).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nascli.artifacts.distributions.budget import budget_of
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.trials import Trial, TrialsDistribution
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.core.answer import answer
from nascli.core.methods.cells import check_space, limits_notice, other_kind
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.nn.build import build_network
from nascli.core.optimization import cosine_of, sgd_of
from nascli.core.runtime import Runtime, check_memory
from nascli.distributed.ranks import ALONE
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.settings.random_search import RandomSettings
from nascli.spaces import cell_space
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import SKIP

BATCH_NORM_KEEPS = 0.9
"""The share of its running statistics that a batch norm keeps in a step of training; torch's default."""

TRAINED, EVALUATED = ("train_loss", "train_accuracy", "gradient_norm"), ("search_accuracy", "search_loss")
"""The metrics of a trial's step, and further ones of its last step."""

MOST_UNLEARNT = 0.05
"""The user is warned where running statistics keep more than this share of their initial values: under 29 steps."""


class RandomSearch:
    """Cells are drawn one after the other; each becomes an ordinary network, which shares no weights with any other.

    All draws of all decisions are uniform and independent, as PARSEC's are before it has learnt anything; with limits,
    all cells within them are equally likely but for the order of draws. A trial
    is trained on the "train" part with a whole schedule of its own, then evaluated once on all images of the "search"
    part. `epochs` is the budget of the whole search and is shared evenly, so that it means the same number of passes
    over the training part as for every other method.

    Several ranks train different trials at the same time, each whole on one rank, on the batches that it would see in
    one process; a step is then one of each of them. Trials that are being trained begin anew where a run goes on with
    another number of ranks.
    """

    def __init__(self, plan: Plan, runtime: Runtime, settings: RandomSettings) -> None:
        self._plan, self._runtime, self._settings = plan, runtime, settings
        self._space, trials = cell_space(plan.space, settings.nodes), settings.trials
        epochs = epochs_each(plan.epochs, trials)
        self._steps_each = epochs * plan.steps_per_epoch
        self.schedule = cosine_of(settings, epochs, plan.steps_per_epoch)
        self._size = plan.network_settings(settings)
        self._ranks = runtime.ranks
        self.epochs = epochs * -(-trials // self._ranks.count)
        self._budget = f"{epochs} of the {plan.epochs} epochs for each of {trials} cells"
        self.notices = self._budget_notice("drawn uniformly")
        if settings.lr_warmup_epochs >= epochs:
            self.notices += (
                f"the learning rate of a cell never falls: all its {epochs} epochs are warm-up "
                f"(--lr-warmup-epochs {settings.lr_warmup_epochs})",
            )
        if (unlearnt := BATCH_NORM_KEEPS**self._steps_each) > MOST_UNLEARNT:
            steps = "1 step is" if self._steps_each == 1 else f"{self._steps_each} steps are"
            self.notices += (
                f"{steps} few for a trial: the running statistics that a cell is evaluated with are "
                f"still {unlearnt:.0%} initial values; give more --epochs or fewer --trials",
            )
        uniform = CategoricalDistribution.uniform(self._space, plan.limits)
        self.notices += limits_notice(uniform)
        if self._ranks.count > 1:
            self.notices += (self._spread_notice(trials),)
        self._cells = tuple(uniform.sample(plan.seed, number) for number in range(trials))
        self._done: list[tuple[float, float]] = []
        self.steps_done = 0
        self._begin(self._next_group())

    def _spread_notice(self, trials: int) -> str:
        count, idle = self._ranks.count, self._ranks.count - trials
        if idle > 0:
            return f"each cell has a process of its own, {idle} of {count} processes stay without"
        return f"{count} processes train different cells at once, so {self.epochs} epochs pass"

    def _budget_notice(self, origin: str) -> tuple[str, ...]:
        return (f"{self._budget}, {origin}; the number of parameters is that of the first",)

    def _next_group(self) -> range:
        """The trials that the ranks train next at the same time; at the end the last of them again."""
        first = min(len(self._done), len(self._cells) - 1)
        return range(first, min(first + self._ranks.count, len(self._cells)))

    def _begin(self, group: range) -> None:
        """Make the network of this rank's trial, with weights that depend on the seed and the trial's number alone.

        A rank for which there is none makes one, too, but does not train it.
        """
        self._group, self._trains = group, self._ranks.rank < len(group)
        self._number = number = group[min(self._ranks.rank, len(group) - 1)]
        graph = self._cells[number].graph(self._size)
        check_memory(graph.parameters, self._runtime.device)
        network = build_network(graph, derive_seed(self._plan.seed, "weights", number))
        if self._runtime.compile:
            # Networks of one class share a cache of eight compilations, which two or three of them fill; later ones
            # would run uncompiled.
            torch.compiler.reset()
        self.network = self._runtime.place(network)
        self._runnable = self._runtime.runnable(self.network)
        alone = replace(self._runtime, ranks=ALONE)
        self._weights = sgd_of(self._settings, self.network.parameters(), alone)

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """One SGD step of the present trial, on a train batch. A trial's last step also evaluates it."""
        within = self.steps_done % self._steps_each
        if within == 0 and self._group != (group := self._next_group()):
            # Not earlier: the network that was evaluated stays available until its successor's first step.
            self._begin(group)
        is_last = within + 1 == self._steps_each
        metrics = self._trained(streams["train"], within) if self._trains else {}
        self.steps_done += 1
        if is_last:
            result = self._evaluate(streams["search"]) if self._trains else None
            self._done += [(accuracy, loss) for accuracy, loss in filter(None, self._ranks.gathered(result, "trials"))]
            metrics |= zip(EVALUATED, torch.tensor(result or (), dtype=torch.float64), strict=False)
        return self._means(metrics, TRAINED + EVALUATED if is_last else TRAINED)

    def _trained(self, stream: Stream, within: int) -> dict[str, Tensor]:
        """One step of this rank's trial."""
        place = self._number * self._steps_each + within
        if stream.position != place:
            stream.position = place
        batch = stream.next()
        with self._runtime.autocast():
            found = answer(self._runnable, batch)
        norm = self._weights.update(found.objective, self.schedule(within))
        return dict(zip(TRAINED, (found.loss.detach(), found.accuracy, norm), strict=True))

    def _means(self, metrics: Mapping[str, Tensor], names: Sequence[str]) -> Mapping[str, Tensor]:
        """Over the trials of all ranks."""
        if self._ranks.count == 1:
            return metrics
        own = torch.tensor([float(metrics[name]) if self._trains else 0.0 for name in names], dtype=torch.float64)
        return dict(zip(names, self._ranks.summed(own, "losses") / len(self._group), strict=True))

    def _evaluate(self, stream: Stream) -> tuple[float, float]:
        """Accuracy and mean cross-entropy over all images of a stream, as a trained network is evaluated."""
        images = 0
        loss = right = torch.zeros((), dtype=torch.float64, device=self._runtime.device)
        self.network.eval()
        with torch.inference_mode():
            for batch, labels in stream.once():
                with self._runtime.autocast():
                    logits = self._runnable(batch)
                images += len(labels)
                loss = loss + F.cross_entropy(logits.float(), labels, reduction="sum").double()
                right = right + (logits.argmax(dim=1) == labels).sum()
        self.network.train()
        return float(right / images), float(loss / images)

    def logits(self, images: Tensor) -> Tensor:
        """The logits of the present trial's network. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images)
        return logits

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1) % self._steps_each)

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """How many trials are done, the best and the mean of their accuracies; the share of skips in the best cell,
        or in the first before any is done.
        """
        now = self.distribution()
        health = {"trials_done": len(now.done), "skip_share": now.mode().share(SKIP)}
        if now.done:
            accuracies = [trial.accuracy for trial in now.done]
            health |= {"best_accuracy": accuracies[0], "mean_accuracy": sum(accuracies) / len(accuracies)}
        return health

    def distribution(self) -> TrialsDistribution:
        done = len(self._done)
        trials = [
            Trial(genotype, accuracy, loss, number)
            for number, (genotype, (accuracy, loss)) in enumerate(zip(self._cells[:done], self._done, strict=True))
        ]
        return TrialsDistribution(
            space=self._space,
            done=tuple(sorted(trials, key=Trial.place)),
            waiting=self._cells[done:],
        )

    def weights(self) -> None:
        return None

    def start_from(self, start: DistributionFile) -> None:
        """Train the best cells of another random search again, as many as there are trials.

        A categorical distribution (PARSEC) gives its mode as the first trial and its samples as the others, each with
        weights of its own.
        """
        count = len(self._cells)
        match start.distribution:
            case TrialsDistribution() as earlier:
                check_space(self._space, earlier.space)
                given = [*(trial.genotype for trial in earlier.done), *earlier.waiting]
                if len(given) < count:
                    raise UsageError(
                        f"the search has {len(given)} cells, not {count}: give --trials {len(given)} or fewer"
                    )
                self._cells = tuple(given[:count])
                self.notices = self._budget_notice(f"the best of {len(given)}") + self.notices[1:]
            case CategoricalDistribution() as categorical:
                check_space(self._space, categorical.space)
                samples = (categorical.sample(self._plan.seed, number) for number in range(1, count))
                self._cells = (categorical.mode(), *samples)
                distinct = len({genotype.network() for genotype in self._cells})
                self.notices = (
                    self._budget_notice(f"{distinct} of them different: a mode and samples") + self.notices[1:]
                )
            case _:
                raise other_kind(self._plan.method, "random search or a categorical", start)
        budget = budget_of(self._space, self._plan.limits)
        if beyond := sum(not budget.allows(genotype) for genotype in self._cells):
            raise UsageError(
                f"{beyond} of the {count} cells that are trained again are beyond {self._plan.limits}: leave that out"
            )
        self._begin(self._next_group())

    def state_dict(self) -> dict[str, Any]:
        """Of all ranks, which must all call this: each gives what it trains."""
        parts: list[dict[str, Any]] = [{"network": self.network.state_dict(), "optimizer": self._weights.state_dict()}]
        if self._ranks.count > 1:
            given = self._ranks.bytes_gathered(checkpoint_bytes(parts[0]), "checkpoints")
            parts = [load_checkpoint(part, f"rank {rank}") for rank, part in enumerate(given[: len(self._group)])]
        return {
            "steps_done": self.steps_done,
            "cells": [genotype.model_dump_json() for genotype in self._cells],
            "done": self._done,
            "first": self._group.start,
            "trials": parts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._cells = tuple(map(CellGenotype.model_validate_json, state["cells"]))
        self._done = [(accuracy, loss) for accuracy, loss in state["done"]]
        first, parts = state["first"], state["trials"]
        group = range(first, min(first + self._ranks.count, len(self._cells)))
        if len(group) != len(parts):  # another number of ranks
            self.steps_done = self._round_of(len(self._done)) * self._steps_each
            self._begin(self._next_group())
            return
        within = state["steps_done"] % self._steps_each
        finished = self._steps_each if len(self._done) > first else 0
        self.steps_done = self._round_of(first) * self._steps_each + (within or finished)
        self._begin(group)
        mine = parts[min(self._ranks.rank, len(parts) - 1)]
        self.network.load_state_dict(mine["network"])
        self._weights.load_state_dict(mine["optimizer"])

    def _round_of(self, first: int) -> int:
        """How many groups come before the one that begins with this trial, or before the end."""
        count, trials = self._ranks.count, len(self._cells)
        return -(-trials // count) - -(-(trials - first) // count)


def epochs_each(epochs: int, trials: int) -> int:
    """The epochs of one trial. Raises UsageError where they cannot be shared evenly.

    >>> epochs_each(100, 10)
    10
    """
    if epochs % trials:
        below = epochs - epochs % trials
        totals = [total for total in (below, below + trials) if total]
        fewer = max(number for number in range(1, min(epochs, trials) + 1) if epochs % number == 0)
        more = next((number for number in range(trials, epochs + 1) if epochs % number == 0), None)
        numbers = [number for number in (fewer, more) if number]
        raise UsageError(
            f"--epochs {epochs} cannot be shared evenly among {trials} trials: "
            f"give --epochs {_either(totals)}, or --trials {_either(numbers)}"
        )
    return epochs // trials


def _either(numbers: Iterable[int]) -> str:
    return " or ".join(map(str, numbers))
