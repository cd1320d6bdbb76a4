"""Categoricals that learn: the logits of p(alpha | pi), children drawn from it, and Adam's steps on the logits."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nascli.artifacts.distributions.categorical import CategoricalDistribution, Choices
from nascli.core.optimization import adam_of
from nascli.core.runtime import Runtime
from nascli.seeds import derive_seed
from nascli.settings.single_paths import ParsecSettings


def draw(distribution: CategoricalDistribution, count: int, seed: int, purpose: str, step: int) -> Choices:
    """`count` children of one step, independent of what earlier steps drew. -> [count, draws]"""
    generator = torch.Generator().manual_seed(derive_seed(seed, purpose, step))
    uniform = torch.rand(distribution.numbers, count, dtype=torch.float64, generator=generator)
    return distribution.draw(uniform.numpy().T)


class Categoricals:
    """A few hundred logits from which children are drawn one by one, within limits. They stay on the CPU.

    With centred weights the gradient is that of sum_k (w_k - 1/K) log p(alpha_k | pi). It is the same on average,
    because the gradient of log p is 0 on average, and it is zero where all weights are equal.
    """

    def __init__(self, start: CategoricalDistribution, settings: ParsecSettings) -> None:
        """start: where the logits begin, and the limits within which children are drawn."""
        self._start, self._centred = start, settings.centred_weights
        self.logits = [torch.from_numpy(values.copy()).requires_grad_() for values in start.logits]
        self.updater = adam_of(settings, self.logits, Runtime(torch.device("cpu")))

    def distribution(self) -> CategoricalDistribution:
        """As it is now, detached."""
        return replace(self._start, logits=[logits.detach().numpy() for logits in self.logits])

    def ascend(self, now: CategoricalDistribution, choices: Choices, weights: NDArray[np.float64]) -> None:
        """A step along sum_k w_k grad log p(alpha_k | pi), taken at `now`; the weights sum to 1."""
        if self._centred:
            weights = weights - 1 / len(weights)
        for logits, gradient in zip(self.logits, now.gradient(choices, weights), strict=True):
            logits.grad = torch.from_numpy(-gradient).to(logits.dtype)
        self.updater.apply()

    def start_from(self, distribution: CategoricalDistribution) -> None:
        """Take the logits of another distribution over the same space."""
        with torch.no_grad():
            for mine, theirs in zip(self.logits, distribution.logits, strict=True):
                mine.copy_(torch.from_numpy(theirs.copy()))

    def state_dict(self) -> dict[str, Any]:
        return {"logits": self.logits, "optimizer": self.updater.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for mine, saved in zip(self.logits, state["logits"], strict=True):
                mine.copy_(saved)
        self.updater.load_state_dict(state["optimizer"])
