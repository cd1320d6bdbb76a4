"""PGNAS's posterior: which channels of a super-network are dropped, and the weights that go with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.logits import Floats
from nascli.artifacts.distributions.of_supernet import WEIGHTS, OfSupernet, parsed
from nascli.artifacts.distributions.uniforms import uniforms
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.masks import Mask, channels_of
from nascli.seeds import derive_seed

LEAST_PROBABILITY = 1e-6
"""p stays in [LEAST_PROBABILITY, 1 - LEAST_PROBABILITY], so that its logit can always come back."""

_BOUND = np.float32(np.log((1 - LEAST_PROBABILITY) / LEAST_PROBABILITY))

LARGEST_LOGIT = float(np.nextafter(_BOUND, np.float32(0)))
"""The size of log(p / (1 - p)) at the bounds of p: the last float32 within them."""

_LARGEST_READ = float(np.nextafter(_BOUND, np.float32(np.inf)))
"""The same for logits in a file, whichever way the bound was rounded."""

_LOGITS = "logits."


@dataclass(frozen=True, eq=False)
class PosteriorDistribution(OfSupernet):
    """q(phi): every masked channel is dropped independently, with the probability p of its convolution and source.

    `logits` holds log(p / (1 - p)) for the sources of every masked convolution, float32 [sources]. The other fields are
    those of `OfSupernet`. Raises ValueError where names, shapes, types or values don't fit.
    """

    kind: ClassVar[str] = "posterior"
    noun: ClassVar[str] = "posterior"
    noise: ClassVar[str] = "dropout"

    supernet: str
    width: int
    stages: tuple[int, ...]
    data: DataInfo
    logits: Mapping[str, Floats]
    weights: Mapping[str, NDArray[Any]]
    pooling_paths: bool = False

    def __post_init__(self) -> None:
        bounds = f"{_LARGEST_READ:.7g}, those of p = {LEAST_PROBABILITY:g}"
        self.checked(self.logits, _LOGITS, -_LARGEST_READ, _LARGEST_READ, bounds)
        object.__setattr__(self, "logits", self.copied(self.logits, _LOGITS))

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The drop probability of every entry of a row of masks (`Graph.groups`). [mask_size]"""
        groups = [(self.logits[group.conv][group.source], group.size) for group in self.graph.groups]
        logits, sizes = zip(*groups, strict=True)
        drop: NDArray[np.float64] = np.repeat(1 / (1 + np.exp(-np.array(logits, np.float64))), sizes)
        return drop

    def undecided(self) -> Entropy:
        """The entropy of the masks, which are independent coins, with that of fair coins as its limit."""
        drop = self.probabilities
        entropy = float(-(drop * np.log(drop) + (1 - drop) * np.log1p(-drop)).sum())
        return Entropy(entropy, self.graph.mask_size * float(np.log(2)))

    def uniforms(self, seed: int, number: int) -> NDArray[np.float64]:
        """The random numbers in [0, 1) behind candidate `number` of the sequence `seed`. [mask_size]"""
        return uniforms(self.graph.mask_size, derive_seed(seed, "candidate", number))

    def mask(self, seed: int, number: int) -> Mask:
        """Which channels candidate `number` of the sequence `seed` keeps. [mask_size]"""
        return self.uniforms(seed, number) >= self.probabilities

    def genotype(self, mask: Mask) -> ChannelsGenotype:
        """The genotype that keeps what a mask keeps. [mask_size]"""
        return ChannelsGenotype.of(
            self.supernet, self.width, self.stages, channels_of(self.graph, mask), pooling_paths=self.pooling_paths
        )

    def sample(self, seed: int, number: int) -> ChannelsGenotype:
        """Network `number` of the sequence `seed`, regardless of which others are drawn."""
        return self.genotype(self.mask(seed, number))

    def facts(self) -> dict[str, Any]:
        """The super-network and a summary of its drop probabilities, as JSON. Means are over channels."""
        graph, drop, entropy = self.graph, self.probabilities, self.undecided()
        parts = {part: np.concatenate(ranges) for part, ranges in graph.mask_parts.items()}
        return {
            "kind": self.kind,
            **self.named(),
            "parameters": graph.parameters,
            "multiply_adds": graph.multiply_adds,
            "channels": graph.mask_size,
            "groups": len(graph.groups),
            "drop": _spread(drop),
            "entropy": entropy.value,
            "largest_entropy": entropy.limit,
            "expected_kept": float(1 - drop.mean()),
            "parts": [
                {
                    "part": part,
                    "channels": len(entries),
                    "drop": _spread(drop[entries]),
                    "expected_kept": float(1 - drop[entries].mean()),
                }
                for part, entries in parts.items()
            ],
            "data": self.data.model_dump(mode="json"),
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learnt, as "logits.<convolution>" and "weights.<name in the network's state>"."""
        return {
            **{_LOGITS + name: values for name, values in self.logits.items()},
            **{WEIGHTS + name: values for name, values in self.weights.items()},
        }

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        fields, logits = parsed(settings, tensors, _LOGITS, "a posterior")
        return cls(logits=logits, **fields)


def _spread(drop: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(drop.mean()), "least": float(drop.min()), "greatest": float(drop.max())}
