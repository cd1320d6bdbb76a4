"""PGNAS (Zhou et al., "Posterior-Guided Neural Architecture Search", AAAI 2020): a posterior over the channels of a
super-network and its weights, learnt as concrete dropout; networks are drawn from it and ranked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nascli import supernets
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.provenance import Provenance
from nascli.core.answer import answer
from nascli.core.methods.cells import never_learns, other_kind
from nascli.core.methods.pgnas_noise import NOISES, Noise
from nascli.core.methods.protocol import Plan, Stream
from nascli.core.nn import auxiliary
from nascli.core.nn.build import seeded
from nascli.core.nn.drop_path import draw_paths, growing_probability
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.optimization import Schedule, sgd
from nascli.core.runtime import Runtime, check_memory
from nascli.errors import UsageError
from nascli.graphs.graph import Graph
from nascli.metrics import FROZEN
from nascli.milestones import milestones
from nascli.registry import SUPERNETS
from nascli.seeds import derive_seed
from nascli.settings.groups import HELD_OUT
from nascli.settings.pgnas import PgnasSettings
from nascli.spaces.network_settings import DataShape

AUGMENTED = 10
"""How many images an augmented training image counts as: the paper's N on CIFAR is ten times the 50,000 images."""

WATCHED = 4
"""Networks that are drawn from the posterior after each epoch, to watch how they do."""


class Pgnas:
    """Algorithm 1, lines 1 to 6: SGD on the weights m and the logits of p, together and on the same images.

    A step multiplies the input channels of every masked convolution, image by image, with a relaxed mask, and descends
    the cross-entropy plus the divergence from the prior (`ConcreteDropout.penalty`). There is no other weight decay.
    With the noise "gaussian" it adds noise to the weights instead, whose deviations it learns (`WeightNoise`).
    Ranking the networks that are drawn from the posterior (lines 7 to 16) is left to `derive`; the images for it,
    `held_out`, are used here only to report, never to learn.

    In the first `arch_warmup_epochs`, which the paper does not have, p stays where it starts: in a short search the
    prior would otherwise act faster than the data, and drop channels that were about to learn.

    What the masks cost: one multiplication of each convolution's input forward, two backward, and the memory of the
    product, as both the input and the product are needed for the gradients.
    """

    def __init__(self, plan: Plan, runtime: Runtime, settings: PgnasSettings) -> None:
        self._plan, self._runtime, self._settings = plan, runtime, settings
        self._first_dropout_step = settings.arch_warmup_epochs * plan.steps_per_epoch
        self._images = settings.effective_images or AUGMENTED * plan.data.train_images
        self.schedule = Schedule(
            settings.lr,
            settings.lr_min,
            plan.epochs,
            plan.steps_per_epoch,
            kind=settings.schedule,
            milestones=milestones(settings.lr_milestones),
            restart_epochs=settings.restart_epochs,
            restart_factor=settings.restart_factor,
        )
        self.steps_done, self.epochs = 0, plan.epochs
        self._supernet, self._stages = plan.space, supernets.stages_of(plan.space, settings.depth)
        self._width = settings.width or SUPERNETS[plan.space].width
        shape = plan.shape
        graph = supernets.supernet(
            self._supernet,
            self._width,
            self._stages,
            classes=shape.classes,
            image_channels=shape.image_channels,
            image_size=shape.image_size,
            pooling_paths=settings.pooling_paths,
        )
        check_memory(graph.parameters, runtime.device, "a smaller --width or --depth")
        with_tower = settings.auxiliary > 0 and graph.tower_fits
        self._auxiliary_weight = settings.auxiliary if with_tower else 0.0
        self.notices = tuple(self._notices(graph))
        self.network = seeded(lambda: GraphNetwork(graph, with_tower=with_tower), derive_seed(plan.seed, "weights"))
        runtime.place(self.network)
        self._runnable = runtime.runnable(self.network)
        self.noise: Noise = NOISES[settings.noise](self.network, settings, runtime.device)
        groups: list[dict[str, Any]] = [
            {"params": list(self.network.parameters())},
            {"params": [self.noise.learnt], "lr_scale": settings.arch_lr_scale},
        ]
        self._updater = sgd(
            groups,
            runtime,
            momentum=settings.momentum,
            weight_decay=0.0,
            clip=settings.clip,
            nesterov=settings.nesterov,
        )

    def _notices(self, graph: Graph) -> Iterator[str]:
        given = self._settings
        if given.auxiliary > 0 and not graph.tower_fits:
            yield f"searched without an auxiliary tower: {graph.why_no_tower}"
        yield from never_learns("p never learns", self._plan, given)

    def step(self, streams: Mapping[str, Stream]) -> Mapping[str, Tensor]:
        """Algorithm 1, lines 2 to 5: the logits of p and the weights m move together."""
        ranks = self._runtime.ranks
        batch = streams["train"].next(ranks.share)  # line 2
        count, rows = self._runtime.rows(self._plan.batch_size, len(batch[1]))
        drawn = self.noise.drawn(count, self._generator("masks", self.steps_done), rows)  # line 3, relaxed
        parts = self._runtime.parts(self._plan.batch_size)
        with self._runtime.autocast():
            paths = self._paths(count, rows)
            found = answer(self._runnable, batch, paths, auxiliary=self._auxiliary_weight, parts=parts, **drawn)
        penalty = self.noise.penalty(self._images)
        self._updater.clear()
        own = penalty if ranks.count == 1 else penalty / ranks.count
        self._updater.accumulate(found.objective + own)  # the gradients of lines 4 and 5
        if self.steps_done < self._first_dropout_step:
            assert self.noise.learnt.grad is not None, "`clear` has made one"
            self.noise.learnt.grad.zero_()
        norm = self._updater.apply(self.schedule(self.steps_done))  # lines 4 and 5
        self.noise.clamp_()
        self.steps_done += 1
        return {
            "train_loss": found.loss.detach(),
            "train_accuracy": found.accuracy,
            "penalty": penalty.detach(),
            "gradient_norm": norm,
        }

    def _paths(self, batch: int, rows: slice = slice(None)) -> Tensor | None:
        """Drop-path multipliers of this step, for these rows of the batch; None where nothing is dropped."""
        epoch = self.steps_done // self._plan.steps_per_epoch
        probability = growing_probability(self._settings.drop_path, epoch, self._plan.epochs)
        if probability == 0 or not self.network.path_count:
            return None
        draw = self._generator("drop_path", self.steps_done)
        return draw_paths(self.network.path_count, batch, probability, draw, self._runtime.device, rows)

    def _generator(self, *purpose: str | int) -> torch.Generator:
        return self._runtime.generator(self._plan.seed, *purpose)

    def logits(self, images: Tensor) -> Tensor:
        """The whole super-network's logits, with the statistics of this batch. [B, C, H, W] -> [B, classes]."""
        logits: Tensor = self.network(images)
        return logits

    def learning_rate(self) -> float:
        return self.schedule(max(0, self.steps_done - 1))

    def health(self, streams: Mapping[str, Stream]) -> Mapping[str, float]:
        """How the posterior and its networks are doing.

        On all held-out images, with running statistics: accuracy and loss of the whole super-network, whose channels
        are scaled by 1 - p, or whose weights have no noise, and on average of WATCHED networks drawn from the
        posterior, always by the same random numbers. Then what is known of the noise (`Noise.health`), and whether this
        was an epoch of the warm-up, in which it does not change.
        """
        return {
            **self._held_out_metrics(streams[HELD_OUT]),
            **self.noise.health(),
            FROZEN: self.steps_done <= self._first_dropout_step,
        }

    def _held_out_metrics(self, stream: Stream) -> dict[str, float]:
        networks = self.noise.watched(WATCHED, self._generator("watched"))
        loss = torch.zeros(1 + WATCHED, device=self._runtime.device, dtype=torch.float64)
        right, seen = torch.zeros_like(loss), 0
        with self._runtime.autocast():
            for images, labels in stream.once(self._runtime.ranks.share):
                logits = networks(images).float()
                each = labels.expand(1 + WATCHED, -1)
                loss += F.cross_entropy(logits.transpose(1, 2), each, reduction="none").sum(dim=1).double()
                right += (logits.argmax(dim=2) == each).sum(dim=1)
                seen += len(labels)
        totals = self._runtime.ranks.summed(torch.cat((loss, right, loss.new_tensor([seen]))), "held-out images")
        losses, accuracies = (part.tolist() for part in (totals[:-1] / totals[-1]).chunk(2))
        return {
            "supernet_accuracy": accuracies[0],
            "supernet_loss": losses[0],
            "sampled_accuracy": sum(accuracies[1:]) / WATCHED,
            "sampled_loss": sum(losses[1:]) / WATCHED,
        }

    def distribution(self) -> OfSupernet:
        convs = self.network.graph.masked
        learnt = self.noise.values().cpu().split([len(conv.sources) for conv in convs.values()])
        state = self.network.state_dict()
        return self.noise.distribution(
            {name: values.numpy().copy() for name, values in zip(convs, learnt, strict=True)},
            supernet=self._supernet,
            width=self._width,
            stages=self._stages,
            data=self._plan.data,
            weights={
                name: tensor.contiguous().cpu().numpy().copy()
                for name, tensor in state.items()
                if not name.startswith(auxiliary.PREFIX)
            },
            pooling_paths=self._settings.pooling_paths,
        )

    def weights(self) -> None:
        return None

    def start_from(self, start: DistributionFile) -> None:
        """Take the logits and the weights of another search of the same super-network.

        The images may be others of the same shape. Where they are the same, the held-out ones must be, too: the other
        search has learnt from the rest. Raises UsageError that says what differs.
        """
        distribution = start.distribution
        if not isinstance(distribution, OfSupernet):
            raise other_kind(self._plan.method, PosteriorDistribution.kind, start)
        if not isinstance(distribution, self.noise.kind):
            raise UsageError(
                f"the posterior was learnt with the noise {distribution.noise}, this search has "
                f"{self._settings.noise}: give --noise {distribution.noise}"
            )
        self._check_network(distribution)
        for origin in start.provenance.descent():
            self._check_images(origin)
        convs = self.network.graph.masked
        with torch.no_grad():
            table = self.noise.table(distribution)
            self.noise.take(torch.cat([torch.from_numpy(table[name].copy()) for name in convs]))
            self.noise.clamp_()
        weights = {name: torch.from_numpy(values.copy()) for name, values in distribution.weights.items()}
        tower = {
            name: values for name, values in self.network.state_dict().items() if name.startswith(auxiliary.PREFIX)
        }
        self.network.load_state_dict({**weights, **tower})

    def _check_network(self, other: OfSupernet) -> None:
        """Raise UsageError if the posterior's weights are not those of this super-network."""
        mine = self._plan.shape
        for differs, text in (
            (
                other.supernet != self._supernet,
                f"is for {other.supernet}, this search for {self._supernet}: give --space {other.supernet}",
            ),
            (
                other.width != self._width,
                f"is of width {other.width}, this search of width {self._width}: give --width {other.width}",
            ),
            (
                other.stages != self._stages,
                f"has {list(other.stages)} blocks per stage, this search {list(self._stages)}: "
                f"give --depth {other.depth}",
            ),
            (
                other.pooling_paths != self._settings.pooling_paths,
                "has pooling paths, this search none: give --pooling-paths"
                if other.pooling_paths
                else "has no pooling paths, this search has them: leave --pooling-paths out",
            ),
            (
                other.shape != mine,
                f"is for {_in_words(other.shape)}, this search for {_in_words(mine)}: weights cannot be taken over",
            ),
        ):
            if differs:
                raise UsageError(f"the posterior {text}")

    def _check_images(self, origin: Provenance) -> None:
        """Raise UsageError if another search of these images learnt from some that are held out here."""
        if origin.data is None or origin.data.fingerprint != self._plan.data.fingerprint:
            return
        settings = origin.config.get("settings")
        held_out = settings.get("held_out") if isinstance(settings, dict) else None
        differences = [
            f"{flag} {theirs} (here {mine})"
            for flag, theirs, mine in (
                ("--seed", origin.seed, self._plan.seed if self._plan.split_seed is None else self._plan.split_seed),
                ("--held-out", held_out, self._settings.held_out),
                ("--limit-train", origin.data.train_images, self._plan.data.train_images),
            )
            if theirs != mine
        ]
        if differences:
            raise UsageError(
                "the earlier search has learnt from images that this run would keep apart, to rank candidates on: keep "
                f"the same ones apart with {', '.join(differences)}"
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self.steps_done,
            "network": self.network.state_dict(),
            "dropout": self.noise.module.state_dict(),
            "optimizer": self._updater.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps_done = state["steps_done"]
        self.network.load_state_dict(state["network"])
        self.noise.module.load_state_dict(state["dropout"])
        self._updater.load_state_dict(state["optimizer"])


def _in_words(shape: DataShape) -> str:
    return f"{shape.classes} classes and {shape.image_channels} x {shape.image_size} x {shape.image_size} images"
