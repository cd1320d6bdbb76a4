"""What PGNAS learns besides the weights: how its two kinds of noise enter a step, and what is known of them."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.core.nn.concrete_dropout import ConcreteDropout, squared_norms
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.stacked import StackedNetwork
from nascli.core.nn.weight_noise import WeightNoise
from nascli.settings.pgnas import PgnasSettings


class Noise(Protocol):
    """One kind of noise."""

    @property
    def kind(self) -> type[OfSupernet]:
        """The distribution that is learnt with it."""

    @property
    def module(self) -> nn.Module:
        """What draws it."""

    @property
    def learnt(self) -> nn.Parameter:
        """The module's parameter, [groups]: one number for each convolution and source."""

    def values(self) -> Tensor:
        """What a file says of it. [groups]"""

    def take(self, values: Tensor) -> None:
        """The inverse of `values`."""

    def drawn(self, images: int, generator: torch.Generator, rows: slice = slice(None)) -> dict[str, Any]:
        """What a step gives the network besides its batch: Algorithm 1, line 3.

        rows: the images of the batch that the network sees here, where several processes share it.
        """

    def penalty(self, images: float) -> Tensor:
        """The divergence from the prior, per image of the training set of effective size `images`."""

    def clamp_(self) -> None:
        """Bring what is learnt back into its bounds after a step."""

    def watched(self, count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """From images to logits [1 + count, B, classes]: the whole network's without noise, then of `count` drawn ones.

        In evaluation mode, without gradients; the network stays as it is.
        """

    def health(self) -> Mapping[str, float]:
        """Numbers for every epoch."""

    def distribution(self, table: Mapping[str, Any], **common: Any) -> OfSupernet:
        """What has been learnt; table: the `values` of each convolution."""

    @staticmethod
    def table(distribution: Any) -> Mapping[str, Any]:
        """The inverse: what a distribution of this `kind` says, by convolution."""


class Dropout:
    """Channels are dropped (Eq. 11 to 16)."""

    kind = PosteriorDistribution

    def __init__(self, network: GraphNetwork, given: PgnasSettings, device: torch.device) -> None:
        self._network, self._given = network, given
        self.module = ConcreteDropout(
            [group.size for group in network.graph.groups],
            temperature=given.temperature,
            probability=given.initial_dropout,
        ).to(device)
        self.learnt = self.module.logit

    def values(self) -> Tensor:
        return self.learnt.detach()

    def take(self, values: Tensor) -> None:
        with torch.no_grad():
            self.learnt.copy_(values)

    def drawn(self, images: int, generator: torch.Generator, rows: slice = slice(None)) -> dict[str, Any]:
        return {"masks": self.module.relaxed(images, generator, rows)}

    def penalty(self, images: float) -> Tensor:
        given, norms = self._given, squared_norms(self._network)
        return self.module.penalty(norms, weight_prior=given.weight_prior, images=images, drop_prior=given.drop_prior)

    def clamp_(self) -> None:
        self.module.clamp_()

    def watched(self, count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        masks = self.module.hard(count, generator)
        # As in any network trained with dropout: nothing is dropped; values are scaled to their average in training.
        whole = (1 - self.module.probabilities().detach())[self.module.group][None]
        stacked, rows = StackedNetwork(self._network), torch.cat((whole, masks))
        return lambda images: stacked(images, rows)

    def health(self) -> Mapping[str, float]:
        """Of p: its mean over channels, its bounds, the share kept on average; and the masks' entropy in nats."""
        drop = self.module.probabilities().detach()
        kept = float(self.module.kept_share().detach())
        return {
            "kept_share": kept,
            "drop_mean": 1 - kept,
            "drop_min": float(drop.min()),
            "drop_max": float(drop.max()),
            "entropy": float(self.module.entropy().detach()),
        }

    def distribution(self, table: Mapping[str, Any], **common: Any) -> PosteriorDistribution:
        return PosteriorDistribution(logits=table, **common)

    @staticmethod
    def table(distribution: PosteriorDistribution) -> Mapping[str, Any]:
        return distribution.logits


class Gaussian:
    """Weights have additive Gaussian noise; no channel is dropped (Section 4).

    A step draws the weights once, for all its images: a sample of q(w) as it is, in the network that is ranked later.
    The local reparametrisation of Kingma et al. (NeurIPS 2015) would draw every output of a convolution instead, which
    is the same only where no two outputs of an image share weights: not in a convolution.
    """

    kind = GaussianDistribution

    def __init__(self, network: GraphNetwork, given: PgnasSettings, device: torch.device) -> None:
        self._network, self._given = network, given
        self.module = WeightNoise(network, given.initial_dropout).to(device)
        self.learnt = self.module.scaled

    def values(self) -> Tensor:
        return self.module.log_deviation.detach()

    def take(self, values: Tensor) -> None:
        self.module.set_(values)

    def drawn(self, images: int, generator: torch.Generator, rows: slice = slice(None)) -> dict[str, Any]:
        return {"noise": self.module.drawn(self._network, generator)}

    def penalty(self, images: float) -> Tensor:
        norms = squared_norms(self._network)
        return self.module.penalty(norms, weight_prior=self._given.weight_prior, images=images)

    def clamp_(self) -> None:
        self.module.clamp_()

    def watched(self, count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        network = self._network
        with torch.no_grad():
            noises = [None, *(self.module.drawn(network, generator) for _ in range(count))]

        def logits(images: Tensor) -> Tensor:
            training = network.training
            network.eval()
            with torch.no_grad():
                found = torch.stack([network(images, noise=noise) for noise in noises])
            network.train(training)
            return found

        return logits

    def health(self) -> Mapping[str, float]:
        """Of the standard deviations, each by the root mean square of its weights: their mean and their bounds."""
        ratios = self.module.ratios(squared_norms(self._network)).detach()
        return {
            "noise_mean": float(ratios.mean()),
            "noise_min": float(ratios.min()),
            "noise_max": float(ratios.max()),
        }

    def distribution(self, table: Mapping[str, Any], **common: Any) -> GaussianDistribution:
        return GaussianDistribution(log_deviations=table, **common)

    @staticmethod
    def table(distribution: GaussianDistribution) -> Mapping[str, Any]:
        return distribution.log_deviations


NOISES: Mapping[str, Callable[[GraphNetwork, PgnasSettings, torch.device], Noise]] = {
    "dropout": Dropout,
    "gaussian": Gaussian,
}
"""By the setting `noise`."""
