"""Concrete dropout of channels: each group of a convolution's input channels has a learnt probability of being dropped.

PGNAS, Eq. 13 to 16; Gal, Hron and Kendall, "Concrete Dropout", NeurIPS 2017; the relaxation is that of Maddison et al.
and Jang et al., ICLR 2017.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascli.artifacts.distributions.posterior import LARGEST_LOGIT
from nascli.core.nn.graph_network import GraphNetwork
from nascli.upload import upload


class ConcreteDropout(nn.Module):
    """The drop probabilities p of all groups of a network's channels, as logits, and masks drawn from them.

    sizes: the channels of each group, in the order of a row of masks (`Graph.groups`). All groups begin with
    `probability`. temperature: tau of Eq. 16; the smaller, the nearer relaxed masks are to hard ones.
    """

    sizes: Tensor
    group: Tensor

    def __init__(self, sizes: Sequence[int], *, temperature: float, probability: float) -> None:
        super().__init__()
        self.temperature = temperature
        start = math.log(probability) - math.log1p(-probability)
        self.logit = nn.Parameter(torch.full((len(sizes),), start))
        counts = torch.tensor(sizes)
        self.register_buffer("sizes", counts, persistent=False)
        self.register_buffer("group", torch.repeat_interleave(torch.arange(len(sizes)), counts), persistent=False)
        self.clamp_()

    def probabilities(self) -> Tensor:
        """The probabilities p of dropping a channel. -> [groups]"""
        return self.logit.sigmoid()

    def relaxed(self, batch: int, generator: torch.Generator, rows: slice = slice(None)) -> Tensor:
        """A relaxed mask for every image, differentiable in the logits. -> [batch, entries], each in [0, 1]; 1 is kept.

        rows: only those of these images of the batch.

        1 - sigmoid((logit p + log(-log r2) - log(-log r1)) / tau), Eq. 16. The difference of the two Gumbel variables
        is logistic, that is, the logit of one uniform number. The generator must be on the CPU.
        """
        # A uniform number of 0 has the logit -inf, and the mask is then 1: the gradient there is 0, not NaN.
        return torch.sigmoid(
            (self.logit[self.group] + self._uniforms(batch, generator, rows).logit()) / -self.temperature
        )

    def hard(self, count: int, generator: torch.Generator) -> Tensor:
        """Masks of 0 and 1: a channel is dropped with probability p. -> [count, entries]"""
        with torch.no_grad():
            kept = self._uniforms(count, generator) >= self.probabilities()[self.group]
            return kept.to(self.logit.dtype)

    def _uniforms(self, count: int, generator: torch.Generator, rows: slice = slice(None)) -> Tensor:
        drawn = torch.rand(count, len(self.group), generator=generator, dtype=self.logit.dtype)
        return upload(drawn[rows], self.logit.device)

    def penalty(self, squared_norms: Tensor, *, weight_prior: float, images: float, drop_prior: float = 0.0) -> Tensor:
        """The part of the loss that is the divergence from the prior, per image of the training set. -> scalar

        squared_norms: ||m||² of each group's weights, [groups] (`squared_norms`). weight_prior: l², the precision of
        the weights' Gaussian prior. images: N, the effective size of the training set. drop_prior: u, the probability
        of the prior's spike.

        sum over groups of  l² (1 - p) / 2N ||m||²  +  c / N (p log p + (1 - p) log(1 - p)),  c the group's channels.

        Times N, this is KL(q || prior) of q = p N(0, s² I) + (1 - p) N(m_k, s² I) for each channel k, against the prior
        N(0, I / l²) (the spike of the paper's prior has the probability u = 0), in the limit of a small s, in which the
        two components do not overlap (Gal and Ghahramani, ICML 2016, appendix, Proposition 1). The terms that depend on
        neither p nor m are left out: 1/2 (l² s² - 1 - log(l² s²)) for each weight.

        For u > 0, p log p + (1 - p) log(1 - p) becomes p log(p / u) + (1 - p) log((1 - p) / (1 - u)). Times N, this is
        the divergence of the pairs of "dropped or not" and weights, where a channel's weights are N(0, s² I) if it is
        dropped and N(m_k, s² I) if not, from the prior of independent pairs, dropped with probability u, weights
        N(0, I / l²), but for the same terms (docs/pgnas-prior.md).
        """
        drop, keep = self.logit.sigmoid(), (-self.logit).sigmoid()
        negative_entropy = drop * F.logsigmoid(self.logit) + keep * F.logsigmoid(-self.logit)
        of_groups = weight_prior / 2 * keep * squared_norms + self.sizes * negative_entropy
        if drop_prior:
            of_groups = of_groups - self.sizes * (drop * math.log(drop_prior) + keep * math.log1p(-drop_prior))
        return of_groups.sum() / images

    def entropy(self) -> Tensor:
        """The entropy of the distribution over hard masks, in nats. -> scalar"""
        drop, keep = self.logit.sigmoid(), (-self.logit).sigmoid()
        return -(self.sizes * (drop * F.logsigmoid(self.logit) + keep * F.logsigmoid(-self.logit))).sum()

    def kept_share(self) -> Tensor:
        """The share of all channels that a hard mask keeps on average. -> scalar"""
        return (self.sizes * (-self.logit).sigmoid()).sum() / self.sizes.sum()

    def clamp_(self) -> None:
        """Bring the probabilities back into their bounds after a step."""
        with torch.no_grad():
            self.logit.clamp_(-LARGEST_LOGIT, LARGEST_LOGIT)


def squared_norms(network: GraphNetwork) -> Tensor:
    """||m||² of the weights that read each group's channels. -> [groups], in the order of `Graph.groups`.

    A depthwise convolution has no mask, and its weights are in no norm: in a separable one, m is the pointwise part.
    """
    per_group = []
    for name, conv in network.graph.masked.items():
        squares = network.get_parameter(f"{name}.weight").square()
        if len(conv.sources) == 1:
            per_group.append(squares.sum()[None])
        else:
            per_channel = squares.sum(dim=(0, 2, 3))
            per_group.append(torch.stack([part.sum() for part in per_channel.split(list(conv.sources))]))
    return torch.cat(per_group)
