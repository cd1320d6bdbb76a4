"""The ranking of a random search: cells that were trained alike, best first, each with its score on unseen images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nascli.artifacts.cell_genotype import CellGenotype
from nascli.artifacts.faults import shorten
from nascli.artifacts.formats import validate
from nascli.artifacts.frozen import Frozen
from nascli.artifacts.logits import check_space
from nascli.artifacts.provenance import Provenance
from nascli.errors import ArtifactError, UsageError

MOST_CELLS = 10_000
"""Cells of one ranking. Each takes about a kilobyte of the file's header, which has a limit."""

_TYPES: Mapping[str, type[np.generic]] = {"accuracy": np.float64, "loss": np.float64, "number": np.int64}


@dataclass(frozen=True)
class RankedCell:
    """A cell that was trained and scored.

    `accuracy` is the share, 0 to 1, of the images held out from its training that its network gets right; `loss` the
    mean cross-entropy there, in nats; `number` counts the cells of the search from 0, in the order in which they were
    trained.
    """

    genotype: CellGenotype
    accuracy: float
    loss: float
    number: int

    def place(self) -> tuple[float, float, int]:
        """What cells are sorted by: accuracy; of equals the lower loss, then the lower number, goes first."""
        return -self.accuracy, self.loss, self.number


@dataclass(frozen=True)
class RankingDistribution:
    """The cells of a random search: `candidates`, which have been trained, best first, and `waiting`, in their order.

    A search that is done leaves none waiting. A cell waits until its training is over, and has no score until then.
    Raises ValueError where cells, scores or their order don't fit.
    """

    kind: ClassVar[str] = "ranking"

    space: str
    nodes: int
    candidates: tuple[RankedCell, ...]
    waiting: tuple[CellGenotype, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        check_space(self.space, self.nodes)
        if not self.candidates and not self.waiting:
            raise ValueError("cells: there is none, neither trained nor waiting")
        for position, candidate in enumerate(self.candidates):
            self._check(candidate.genotype, f"cells[{position}]")
            _check_scores(candidate, position)
        for position, genotype in enumerate(self.waiting):
            self._check(genotype, f"waiting[{position}]")
        seen: set[int] = set()
        for position, candidate in enumerate(self.candidates):
            if candidate.number in seen:
                raise ValueError(f"number[{position}]: {candidate.number} is there twice")
            seen.add(candidate.number)
        places = [candidate.place() for candidate in self.candidates]
        for position in range(1, len(places)):
            if places[position] < places[position - 1]:
                raise ValueError(f"cells[{position}]: is better than the one before it; the best comes first")

    def _check(self, genotype: CellGenotype, place: str) -> None:
        if genotype.space != self.space:
            raise ValueError(f"{place}: is of the space {shorten(genotype.space)}, not {self.space!r}")
        for name, cell in genotype.cells():
            if len(cell.nodes) != self.nodes:
                raise ValueError(f"{place}.{name}: has {len(cell.nodes)} nodes; {self.nodes} are needed")

    def mode(self) -> CellGenotype:
        """The best cell. Before any is trained there is nothing to choose by: then the one whose turn is first."""
        return self.candidates[0].genotype if self.candidates else self.waiting[0]

    def top(self, count: int) -> tuple[tuple[CellGenotype, None], ...]:
        """The best `count` cells, best first; a ranking knows of no probability. Raises UsageError beyond their number.

        Two of them may be the same network: cells are drawn independently.
        """
        if count > len(self.candidates):
            raise UsageError(f"{count} cells were asked for, the search has ranked {len(self.candidates)}")
        return tuple((candidate.genotype, None) for candidate in self.candidates[:count])

    def shared_settings(self) -> dict[str, Any]:
        """What a search that goes on with these cells must have in common with them."""
        return {"nodes": self.nodes}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The scores, best first: "accuracy" and "loss" [cells] float64, "number" [cells] int64."""
        rows = [(candidate.accuracy, candidate.loss, candidate.number) for candidate in self.candidates]
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        return {name: np.array(column, kind) for (name, kind), column in zip(_TYPES.items(), columns, strict=True)}

    def settings(self) -> dict[str, Any]:
        """The cells, as JSON: the trained ones, best first, and those that wait."""
        return {
            "space": self.space,
            "nodes": self.nodes,
            "cells": [candidate.genotype.model_dump(mode="json") for candidate in self.candidates],
            "waiting": [genotype.model_dump(mode="json") for genotype in self.waiting],
        }

    @classmethod
    def assemble(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], provenance: Provenance) -> Self:
        """The inverse of `settings` and `tensors`. Raises ValueError for whatever doesn't fit."""
        try:
            parsed = validate(_Settings, dict(settings), "settings")
        except ArtifactError as error:
            raise ValueError(str(error)) from None
        scores = _columns(tensors, len(parsed.cells))
        candidates = tuple(
            RankedCell(genotype, float(accuracy), float(loss), int(number))
            for genotype, accuracy, loss, number in zip(parsed.cells, *scores, strict=True)
        )
        return cls(parsed.space, parsed.nodes, candidates, parsed.waiting, provenance)


Cells = Annotated[tuple[CellGenotype, ...], Field(max_length=MOST_CELLS)]


class _Settings(Frozen):
    """What a file says of a ranking besides the scores."""

    space: str
    nodes: int
    cells: Cells
    waiting: Cells


def _check_scores(candidate: RankedCell, position: int) -> None:
    if not 0 <= candidate.accuracy <= 1:
        raise ValueError(f"accuracy[{position}]: {candidate.accuracy:g} is not from 0 to 1")
    if not 0 <= candidate.loss < math.inf:
        raise ValueError(f"loss[{position}]: {candidate.loss:g} is not a finite number from 0 on")
    if candidate.number < 0:
        raise ValueError(f"number[{position}]: {candidate.number} is negative")


def _columns(tensors: Mapping[str, NDArray[Any]], count: int) -> list[NDArray[Any]]:
    """Accuracies, losses and numbers of `count` cells, checked."""
    if stray := sorted(tensors.keys() - _TYPES.keys()):
        raise ValueError(f"unknown tensor {shorten(stray[0])}: a ranking has {', '.join(_TYPES)}")
    columns = []
    for name, kind in _TYPES.items():
        if name not in tensors:
            raise ValueError(f"{name}: is missing")
        column = tensors[name]
        if column.dtype != kind:
            raise ValueError(f"{name}: is of type {column.dtype}; {np.dtype(kind)} is needed")
        if column.shape != (count,):
            raise ValueError(f"{name}: has shape {list(column.shape)}; {[count]} is needed")
        columns.append(column)
    return columns
