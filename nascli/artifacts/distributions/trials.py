"""The trials of a random search: equally trained cells, best first, each with its accuracy on unseen images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nascli.artifacts.distributions.logits import named_space
from nascli.artifacts.files.formats import validate
from nascli.artifacts.provenance import Provenance
from nascli.errors import ArtifactError, UsageError
from nascli.faults import shorten
from nascli.frozen import Frozen
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import SKIP
from nascli.spaces.protocol import CellSpace

MOST_CELLS = 10_000
"""The most cells of one search. Each takes about a kilobyte of the file's header, whose size is limited."""

_TYPES: Mapping[str, type[np.generic]] = {"accuracy": np.float64, "number": np.int64}
_OPTIONAL: Mapping[str, type[np.generic]] = {"loss": np.float64, "reported": np.float64}
"""Columns that either all trials of a search have or none."""


@dataclass(frozen=True)
class Trial:
    """A cell that was trained and evaluated, or looked up in a table of true accuracies.

    The best has the highest `accuracy`, 0 to 1: the share of images held out from training that its network gets right,
    or what the table says. `loss` is the mean cross-entropy on these images, in nats; None if a table was used.
    `number` counts the cells of the search from 0, in the order in which they were drawn. `reported` is another
    accuracy in the table, which had no part in the choice.
    """

    genotype: CellGenotype
    accuracy: float
    loss: float | None
    number: int
    reported: float | None = None

    def place(self) -> tuple[float, float, int]:
        """The key that trials are sorted by: highest accuracy, then lowest loss, then lowest number."""
        return -self.accuracy, self.loss or 0.0, self.number


@dataclass(frozen=True)
class TrialsDistribution:
    """The cells of a random search: those `done` with training, best first, and those `waiting`, in their order.

    A finished search leaves none waiting. A cell waits until its training is over; only then is it a trial.
    Raises ValueError where cells, accuracies or their order don't fit.
    """

    kind: ClassVar[str] = "trials"
    noun: ClassVar[str] = "random search"
    data: ClassVar[None] = None

    space: CellSpace
    done: tuple[Trial, ...]
    waiting: tuple[CellGenotype, ...]

    def __post_init__(self) -> None:
        if not self.done and not self.waiting:
            raise ValueError("cells: there is none, neither trained nor waiting")
        for position, trial in enumerate(self.done):
            self._check(trial.genotype, f"cells[{position}]")
            _check_trial(trial, position)
        for position, genotype in enumerate(self.waiting):
            self._check(genotype, f"waiting[{position}]")
        for name in _OPTIONAL:
            if len({getattr(trial, name) is None for trial in self.done}) > 1:
                raise ValueError(f"{name}: some cells have one and some have none")
        seen: set[int] = set()
        for position, trial in enumerate(self.done):
            if trial.number in seen:
                raise ValueError(f"number[{position}]: {trial.number} is there twice")
            seen.add(trial.number)
        places = [trial.place() for trial in self.done]
        for position in range(1, len(places)):
            if places[position] < places[position - 1]:
                raise ValueError(f"cells[{position}]: is better than the one before it; the best comes first")

    def _check(self, genotype: CellGenotype, place: str) -> None:
        if genotype.space != self.space.name:
            raise ValueError(f"{place}: is of the space {shorten(genotype.space)}, not {self.space.name!r}")
        for name, cell in genotype.cells.items():
            if len(cell.nodes) != self.space.nodes:
                raise ValueError(f"{place}.cells.{name}: has {len(cell.nodes)} nodes; {self.space.nodes} are needed")

    def mode(self) -> CellGenotype:
        """The best cell; before any is trained, the first that waits."""
        return self.done[0].genotype if self.done else self.waiting[0]

    def top(self, count: int) -> tuple[tuple[CellGenotype, None], ...]:
        """The best `count` cells, best first; none has a probability. Raises UsageError beyond their number.

        Two of them may be the same network: cells are drawn independently.
        """
        if count > len(self.done):
            raise UsageError(f"{count} cells were asked for, but the search has tried {len(self.done)}")
        return tuple((trial.genotype, None) for trial in self.done[:count])

    def undecided(self) -> None:
        """None: nothing is learnt gradually."""

    def facts(self) -> dict[str, Any]:
        """How many cells were tried, each with its accuracies and its skips, and how many wait, as JSON."""
        return {
            "kind": self.kind,
            "space": self.space.name,
            "nodes": self.space.nodes,
            "cells": len(self.done),
            "waiting": len(self.waiting),
            "trials": [
                {
                    "rank": rank,
                    "number": trial.number,
                    "accuracy": trial.accuracy,
                    "loss": trial.loss,
                    "reported": trial.reported,
                    "skips": trial.genotype.share(SKIP),
                }
                for rank, trial in enumerate(self.done, 1)
            ],
        }

    def shared_settings(self, origin: Provenance) -> dict[str, Any]:
        """The settings that a search must share with this distribution to continue from it."""
        return {"space": self.space.name, "nodes": self.space.nodes}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The columns of the trials, best first: [cells].

        "accuracy", and "loss" and "reported" if they are known, are float64, "number" is int64.
        """
        columns = {name: [getattr(cell, name) for cell in self.done] for name in {**_TYPES, **_OPTIONAL}}
        known = {name: values for name, values in columns.items() if name in _TYPES or (values and None not in values)}
        return {name: np.array(values, {**_TYPES, **_OPTIONAL}[name]) for name, values in known.items()}

    def settings(self) -> dict[str, Any]:
        """The cells, as JSON: the trained ones, best first, and those that wait."""
        return {
            "space": self.space.name,
            "nodes": self.space.nodes,
            "cells": [trial.genotype.model_dump(mode="json") for trial in self.done],
            "waiting": [genotype.model_dump(mode="json") for genotype in self.waiting],
        }

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        try:
            parsed = validate(_Settings, dict(settings), "settings")
        except ArtifactError as error:
            raise ValueError(str(error)) from None
        columns = _columns(tensors, len(parsed.cells))
        trials = tuple(
            Trial(genotype, **{"loss": None, **{name: values[row].item() for name, values in columns.items()}})
            for row, genotype in enumerate(parsed.cells)
        )
        return cls(named_space(parsed.space, parsed.nodes), trials, parsed.waiting)


Cells = Annotated[tuple[CellGenotype, ...], Field(max_length=MOST_CELLS)]


class _Settings(Frozen):
    """What a file says about trials besides its columns."""

    space: str
    nodes: int
    cells: Cells
    waiting: Cells


def _check_trial(trial: Trial, position: int) -> None:
    for name in ("accuracy", "reported"):
        if (value := getattr(trial, name)) is not None and not 0 <= value <= 1:
            raise ValueError(f"{name}[{position}]: {value:g} is not from 0 to 1")
    if trial.loss is not None and not 0 <= trial.loss < math.inf:
        raise ValueError(f"loss[{position}]: {trial.loss:g} is not a finite number from 0 on")
    if trial.number < 0:
        raise ValueError(f"number[{position}]: {trial.number} is negative")


def _columns(tensors: Mapping[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]]:
    """The columns of `count` trials by name, checked."""
    types = {**_TYPES, **_OPTIONAL}
    if stray := sorted(tensors.keys() - types.keys()):
        raise ValueError(f"unknown tensor {shorten(stray[0])}: trials have {', '.join(types)}")
    if missing := sorted(_TYPES.keys() - tensors.keys()):
        raise ValueError(f"{missing[0]}: is missing")
    for name, column in tensors.items():
        if column.dtype != types[name]:
            raise ValueError(f"{name}: is of type {column.dtype}; {np.dtype(types[name])} is needed")
        if column.shape != (count,):
            raise ValueError(f"{name}: has shape {list(column.shape)}; {[count]} is needed")
    return dict(tensors)
