"""The posterior of PGNAS with Gaussian noise: a Gaussian for every weight of a super-network, which stays whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.logits import Floats
from nascli.artifacts.distributions.of_supernet import WEIGHTS, OfSupernet, parsed
from nascli.artifacts.genotypes.channels import ChannelsGenotype

LEAST_LOG, LARGEST_LOG = log(1e-6), log(100.0)
"""The standard deviation stays in [1e-6, 100]."""

_MARGIN = 1e-5  # either way that float32 rounds the bounds
_DEVIATIONS = "log_deviations."


@dataclass(frozen=True, eq=False)
class GaussianDistribution(OfSupernet):
    """q(w): the weights that read one source of a masked convolution are independent Gaussians N(m, sigma^2).

    `log_deviations` holds log(sigma) for the sources of every masked convolution, float32 [sources]. The means are the
    super-network's `weights`; all that is not behind a mask has no noise. The other fields are those of `OfSupernet`.
    Raises ValueError where names, shapes, types or values don't fit.
    """

    kind: ClassVar[str] = "gaussian"
    noun: ClassVar[str] = "Gaussian posterior"
    noise: ClassVar[str] = "gaussian"

    supernet: str
    width: int
    stages: tuple[int, ...]
    data: DataInfo
    log_deviations: Mapping[str, Floats]
    weights: Mapping[str, NDArray[Any]]
    pooling_paths: bool = False

    def __post_init__(self) -> None:
        bounds = "1e-6 to 100, the bounds of a standard deviation"
        self.checked(self.log_deviations, _DEVIATIONS, LEAST_LOG - _MARGIN, LARGEST_LOG + _MARGIN, bounds)
        object.__setattr__(self, "log_deviations", self.copied(self.log_deviations, _DEVIATIONS))

    @cached_property
    def noise_ratios(self) -> NDArray[np.float64]:
        """The standard deviation of each group's weights, by the root mean square of their means. [groups]"""
        ratios = []
        for group in self.graph.groups:
            means = self.weights[f"{group.conv}.weight"][:, group.first : group.first + group.size]
            size = float(np.sqrt(np.square(means, dtype=np.float64).mean()))
            ratios.append(float(np.exp(np.float64(self.log_deviations[group.conv][group.source]))) / max(size, 1e-30))
        return np.array(ratios)

    def undecided(self) -> None:
        """There is no choice that the weights' noise would leave open."""

    @cached_property
    def genotype(self) -> ChannelsGenotype:
        """That of the whole super-network, which is the network of every sample."""
        everything = {name: range(sum(conv.sources)) for name, conv in self.graph.masked.items()}
        return ChannelsGenotype.of(self.supernet, self.width, self.stages, everything, pooling_paths=self.pooling_paths)

    def facts(self) -> dict[str, Any]:
        """The super-network and a summary of the noise of its weights, as JSON."""
        graph, ratios = self.graph, self.noise_ratios
        return {
            "kind": self.kind,
            **self.named(),
            "parameters": graph.parameters,
            "multiply_adds": graph.multiply_adds,
            "groups": len(graph.groups),
            "noise_ratio": {
                "mean": float(ratios.mean()),
                "least": float(ratios.min()),
                "greatest": float(ratios.max()),
            },
            "data": self.data.model_dump(mode="json"),
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learnt, as "log_deviations.<convolution>" and "weights.<name in the network's state>"."""
        return {
            **{_DEVIATIONS + name: values for name, values in self.log_deviations.items()},
            **{WEIGHTS + name: values for name, values in self.weights.items()},
        }

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        fields, deviations = parsed(settings, tensors, _DEVIATIONS, "a Gaussian posterior")
        return cls(log_deviations=deviations, **fields)
