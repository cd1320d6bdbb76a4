"""What distributions over the channels or the weights of a super-network share: the network, its weights, its file."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.logits import Floats, frozen
from nascli.artifacts.files.formats import validate
from nascli.artifacts.provenance import Provenance
from nascli.errors import LONGEST_NAME, ArtifactError, UsageError
from nascli.faults import artifact_error, faults_of
from nascli.frozen import Frozen
from nascli.graphs.graph import Graph
from nascli.graphs.state import Tensor, state_of
from nascli.spaces.network_settings import DataShape
from nascli.supernets import stages_of, supernet

WEIGHTS = "weights."
"""Prefix of the names of a super-network's weights in a file."""


class OfSupernet:
    """A distribution that is learnt together with the weights of a super-network. Its kinds are dataclasses.

    `weights` is the super-network's state by name (`state_of`): weights and batch norm statistics. `data` describes the
    images that they are for. `pooling_paths`: whether the super-network has them.
    """

    noise: ClassVar[str]
    """The setting of PGNAS by which such a distribution is learnt."""

    supernet: str
    width: int
    stages: tuple[int, ...]
    data: DataInfo
    weights: Mapping[str, NDArray[Any]]
    pooling_paths: bool

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

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it.

        They are the network, what is learnt about it, and the images held out for ranking, none of which the weights
        have seen.
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
            "noise": self.noise,
            **{name: value for name, value in split.items() if value is not None},
        }

    def named(self) -> dict[str, Any]:
        """The super-network, as JSON; a file says that it has pooling paths only if it has."""
        return {
            "supernet": self.supernet,
            "width": self.width,
            "stages": list(self.stages),
            **({"pooling_paths": True} if self.pooling_paths else {}),
        }

    def settings(self) -> dict[str, Any]:
        """Super-network and data, as JSON."""
        return {**self.named(), "data": self.data.model_dump(mode="json")}

    def checked(self, table: Mapping[str, Floats], prefix: str, least: float, largest: float, what: str) -> None:
        """Raise ValueError unless the super-network is possible, the weights are its own, and `table` has for every
        masked convolution a number from `least` to `largest` for each source. what: these bounds in words.
        """
        try:
            graph = self.graph
        except UsageError as error:
            raise ValueError(str(error)) from None
        except ValidationError as error:
            raise ValueError(str(artifact_error("data", faults_of(error)))) from None
        _check(table, {name: Tensor((len(conv.sources),)) for name, conv in graph.masked.items()}, prefix)
        _check(self.weights, state_of(graph), WEIGHTS)
        for name, values in table.items():
            if values.min() < least or values.max() > largest:
                raise ValueError(f"{prefix}{name}: has values beyond {what}")
        for name, values in self.weights.items():
            if name.endswith((".running_var", ".num_batches_tracked")) and values.min() < 0:
                raise ValueError(f"{WEIGHTS}{name}: has negative values")

    def copied(self, table: Mapping[str, Floats], prefix: str) -> dict[str, Floats]:
        """Read-only copies of the arrays of a checked table, in the super-network's order."""
        return {
            name: frozen(table[name], f"{prefix}{name}", (len(conv.sources),))
            for name, conv in self.graph.masked.items()
        }


def parsed(
    settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], prefix: str, noun: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The fields of an `OfSupernet` from the content of its file, and the tensors called `prefix`…, without it.

    Raises ValueError for whatever doesn't fit.
    """
    try:
        found = validate(_Settings, dict(settings), "settings")
    except ArtifactError as error:
        raise ValueError(str(error)) from None
    parts: dict[str, dict[str, NDArray[Any]]] = {prefix: {}, WEIGHTS: {}}
    for name, tensor in tensors.items():
        group = next((prefix for prefix in parts if name.startswith(prefix)), None)
        if group is None:
            raise ValueError(f"unknown tensor {name[:LONGEST_NAME]!r}: {noun} has {prefix}* and {WEIGHTS}*")
        parts[group][name.removeprefix(group)] = tensor
    fields = {name: getattr(found, name) for name in _Settings.model_fields}
    return {**fields, "weights": parts[WEIGHTS]}, parts[prefix]


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
    """What a file says about such a distribution besides its tensors."""

    supernet: str
    width: int = Field(ge=1)
    stages: tuple[int, ...]
    data: DataInfo
    pooling_paths: bool = False
