"""Additive Gaussian noise on the weights of a super-network, with a learnt deviation for each group of channels.

PGNAS, Section 4, names it as the other re-parametrisation (Eq. 11 is dropout's): w = m + sigma epsilon, its example in
Section 2.2. Nothing is pruned.
"""

import math

import torch
from torch import Tensor, nn

from nascli.artifacts.distributions.gaussian import LARGEST_LOG, LEAST_LOG
from nascli.core.nn.concrete_dropout import squared_norms
from nascli.core.nn.graph_network import GraphNetwork
from nascli.upload import upload


class WeightNoise(nn.Module):
    """The logarithms of the standard deviations sigma of the weights that read each group (`Graph.groups`), and draws.

    At first sigma^2 is the mean square of a group's weights times p / (1 - p): the variance, relative to the weights,
    of dropout with the `probability` p that divides what it keeps by 1 - p (Srivastava et al., JMLR 2014, Section 10).

    What is learnt is log(sigma) sqrt(d / c), d the group's weights and c its channels. A step of SGD then moves
    log(sigma) by c / d of what it would otherwise: the prior's gradient counts channels, as it does for dropout's
    logits, and not weights, of which there are many times more, so that one learning rate suits both.
    """

    counts: Tensor
    scale: Tensor
    group: Tensor

    def __init__(self, network: GraphNetwork, probability: float) -> None:
        super().__init__()
        graph = network.graph
        outputs = {name: network.get_parameter(f"{name}.weight")[:, 0].numel() for name in graph.masked}
        counts = torch.tensor([group.size * outputs[group.conv] for group in graph.groups])
        norms = squared_norms(network).detach().cpu()
        share = probability / (1 - probability)
        start = 0.5 * (share * norms / counts).clamp(min=math.exp(2 * LEAST_LOG)).log()
        scale = (torch.tensor([group.size for group in graph.groups]) / counts).sqrt()
        self.register_buffer("scale", scale, persistent=False)
        self.scaled = nn.Parameter(start / scale)
        self.register_buffer("counts", counts, persistent=False)
        sizes = torch.tensor([group.size for group in graph.groups])
        self.register_buffer("group", torch.repeat_interleave(torch.arange(len(sizes)), sizes), persistent=False)
        self._inputs = {name: sum(conv.sources) for name, conv in graph.masked.items()}
        self.clamp_()

    @property
    def log_deviation(self) -> Tensor:
        """log(sigma). [groups]"""
        return self.scaled * self.scale

    def set_(self, log_deviation: Tensor) -> None:
        """Take these log(sigma), [groups]."""
        with torch.no_grad():
            self.scaled.copy_(log_deviation.to(self.scale) / self.scale)

    def drawn(self, network: GraphNetwork, generator: torch.Generator) -> dict[str, Tensor]:
        """Noise sigma epsilon for every masked convolution's weight, by its name, differentiable in sigma.

        The generator must be on the CPU.
        """
        noise, first = {}, 0
        deviations = self.log_deviation.exp()[self.group]
        for name, inputs in self._inputs.items():
            weight = network.get_parameter(f"{name}.weight")
            each = deviations[first : first + inputs]
            first += inputs
            epsilon = torch.randn(weight.shape, generator=generator, dtype=self.scaled.dtype)
            noise[name] = upload(epsilon, weight.device) * each[None, :, None, None]
        return noise

    def penalty(self, squared_norms: Tensor, *, weight_prior: float, images: float) -> Tensor:
        """KL(q || N(0, I / l²)) per image of the training set. -> scalar

        squared_norms: ||m||² of each group's weights, [groups]. weight_prior: l², above 0. images: N.

        sum over groups of  1/2N (l² (||m||² + d sigma²) - d (1 + log(l² sigma²))),  d the group's weights: the
        divergence of two Gaussians, without an approximation.
        """
        log_variances = 2 * self.log_deviation
        spread = weight_prior * log_variances.exp() - 1 - log_variances - math.log(weight_prior)
        return (weight_prior * squared_norms + self.counts * spread).sum() / (2 * images)

    def ratios(self, squared_norms: Tensor) -> Tensor:
        """Each sigma by the root mean square of its group's weights. [groups]"""
        ratios: Tensor = self.log_deviation.exp() / (squared_norms / self.counts).sqrt().clamp(min=1e-30)
        return ratios

    def clamp_(self) -> None:
        """Bring the deviations back into their bounds after a step."""
        with torch.no_grad():
            self.scaled.clamp_(LEAST_LOG / self.scale, LARGEST_LOG / self.scale)
