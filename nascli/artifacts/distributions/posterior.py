"""PGNAS's posterior: which channels of a super-network are dropped, and the weights that go with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.entropy import Entropy
from nascli.artifacts.distributions.logits import Floats, frozen
from nascli.artifacts.distributions.uniforms import uniforms
from nascli.artifacts.files.formats import validate
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.genotypes.masks import Mask, channels_of
from nascli.artifacts.provenance import Provenance
from nascli.errors import LONGEST_NAME, ArtifactError, UsageError
from nascli.faults import artifact_error, faults_of
from nascli.frozen import Frozen
from nascli.graphs.graph import Graph
from nascli.graphs.state import Tensor, state_of
from nascli.seeds import derive_seed
from nascli.spaces.network_settings import DataShape
from nascli.supernets import stages_of, supernet

LEAST_PROBABILITY = 1e-6
"""p stays in [LEAST_PROBABILITY, 1 - LEAST_PROBABILITY], so that its logit can always come back."""

_BOUND = np.float32(np.log((1 - LEAST_PROBABILITY) / LEAST_PROBABILITY))

LARGEST_LOGIT = float(np.nextafter(_BOUND, np.float32(0)))
"""The size of log(p / (1 - p)) at the bounds of p: the last float32 within them."""

_LARGEST_READ = float(np.nextafter(_BOUND, np.float32(np.inf)))
"""The same for logits in a file, whichever way the bound was rounded."""

_LOGITS, _WEIGHTS = "logits.", "weights."


@dataclass(frozen=True, eq=False)
class PosteriorDistribution:
    """q(phi): every masked channel is dropped independently, with the probability p of its convolution and source.

    `logits` holds log(p / (1 - p)) for the sources of every masked convolution, float32 [sources]. `weights` is the
    super-network's state by name (`state_of`): weights and batch norm statistics. `data` describes the images that they
    are for. `pooling_paths`: whether the super-network has them. Raises ValueError where names, shapes, types or values
    don't fit.
    """

    kind: ClassVar[str] = "posterior"
    noun: ClassVar[str] = "posterior"

    supernet: str
    width: int
    stages: tuple[int, ...]
    data: DataInfo
    logits: Mapping[str, Floats]
    weights: Mapping[str, NDArray[Any]]
    pooling_paths: bool = False

    def __post_init__(self) -> None:
        try:
            graph = self.graph
        except UsageError as error:
            raise ValueError(str(error)) from None
        except ValidationError as error:
            raise ValueError(str(artifact_error("data", faults_of(error)))) from None
        sources = {name: Tensor((len(conv.sources),)) for name, conv in graph.masked.items()}
        _check(self.logits, sources, _LOGITS)
        _check(self.weights, state_of(graph), _WEIGHTS)
        for name, values in self.logits.items():
            if np.abs(values).max() > _LARGEST_READ:
                raise ValueError(
                    f"{_LOGITS}{name}: has values beyond {_LARGEST_READ:.7g}, those of p = {LEAST_PROBABILITY:g}"
                )
        for name, values in self.weights.items():
            if name.endswith((".running_var", ".num_batches_tracked")) and values.min() < 0:
                raise ValueError(f"{_WEIGHTS}{name}: has negative values")
        copies = {name: frozen(self.logits[name], f"{_LOGITS}{name}", sources[name].shape) for name in sources}
        object.__setattr__(self, "logits", copies)

    @property
    def shape(self) -> DataShape:
        """What goes into the super-network and out of it."""
        return DataShape(
            classes=len(self.data.classes), image_channels=self.data.channels, image_size=self.data.image_size
        )

    @property
    def depth(self) -> int:
        """Blocks in each stage; 0 for those of the published network."""
        return 0 if self.stages == stages_of(self.supernet) else self.stages[0]

    @cached_property
    def graph(self) -> Graph:
        """The super-network, as data."""
        shape = self.shape
        return supernet(
            self.supernet,
            self.width,
            self.stages,
            classes=shape.classes,
            image_channels=shape.image_channels,
            image_size=shape.image_size,
            pooling_paths=self.pooling_paths,
        )

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
            "supernet": self.supernet,
            "width": self.width,
            "stages": list(self.stages),
            **self._pooling_paths,
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

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it.

        They are the network, and the images held out for ranking, none of which the weights have seen.
        """
        config = origin.config
        own = config.get("settings")
        held_out = own.get("held_out") if isinstance(own, dict) else None
        split = {"held_out": held_out, "seed": origin.seed, "limit_train": config.get("limit_train")}
        return {
            "space": self.supernet,
            "width": self.width,
            "depth": self.depth,
            "pooling_paths": self.pooling_paths,
            **{name: value for name, value in split.items() if value is not None},
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that was learnt, as "logits.<convolution>" and "weights.<name in the network's state>"."""
        return {
            **{_LOGITS + name: values for name, values in self.logits.items()},
            **{_WEIGHTS + name: values for name, values in self.weights.items()},
        }

    def settings(self) -> dict[str, Any]:
        """Super-network and data, as JSON."""
        return {
            "supernet": self.supernet,
            "width": self.width,
            "stages": list(self.stages),
            **self._pooling_paths,
            "data": self.data.model_dump(mode="json"),
        }

    @property
    def _pooling_paths(self) -> dict[str, bool]:
        """Whether there are pooling paths, for a file, which says so only if there are."""
        return {"pooling_paths": True} if self.pooling_paths else {}

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        try:
            parsed = validate(_Settings, dict(settings), "settings")
        except ArtifactError as error:
            raise ValueError(str(error)) from None
        parts: dict[str, dict[str, NDArray[Any]]] = {_LOGITS: {}, _WEIGHTS: {}}
        for name, tensor in tensors.items():
            group = next((prefix for prefix in parts if name.startswith(prefix)), None)
            if group is None:
                raise ValueError(f"unknown tensor {name[:LONGEST_NAME]!r}: a posterior has {_LOGITS}* and {_WEIGHTS}*")
            parts[group][name.removeprefix(group)] = tensor
        return cls(
            parsed.supernet,
            parsed.width,
            parsed.stages,
            parsed.data,
            parts[_LOGITS],
            parts[_WEIGHTS],
            parsed.pooling_paths,
        )


def _spread(drop: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(drop.mean()), "least": float(drop.min()), "greatest": float(drop.max())}


def _check(given: Mapping[str, NDArray[Any]], needed: Mapping[str, Tensor], group: str) -> None:
    """Raise ValueError unless the arrays have exactly these names, shapes and types, and are finite."""
    for name in given:
        if name not in needed:
            raise ValueError(f"{group}{name[:LONGEST_NAME]}: this super-network has no such tensor")
    for name, (shape, dtype) in needed.items():
        if name not in given:
            raise ValueError(f"{group}{name}: is missing")
        values = given[name]
        if values.dtype != dtype:
            raise ValueError(f"{group}{name}: is of type {values.dtype}; {dtype} is needed")
        if values.shape != shape:
            raise ValueError(f"{group}{name}: has shape {list(values.shape)}; {list(shape)} is needed")
        if not np.isfinite(values).all():
            raise ValueError(f"{group}{name}: has values that are not finite")


class _Settings(Frozen):
    """What a file says about a posterior besides its tensors."""

    supernet: str
    width: int = Field(ge=1)
    stages: tuple[int, ...]
    data: DataInfo
    pooling_paths: bool = False
