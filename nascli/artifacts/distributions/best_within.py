"""The best cells within limits, best first, without enumerating those that are beyond them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import islice, takewhile
from math import fsum

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.distributions.best_first import best_first
from nascli.artifacts.distributions.budget import Budget, Options, rest
from nascli.artifacts.distributions.sums import Ints, Logs
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.protocol import CellSpace, Decision

Way = tuple[Options, float]
"""Options of a decision, and the logarithm of their joint strength."""

MOST_COUNTED = 10_000
"""Better cells that are beyond the limits are counted up to this number."""


@dataclass(frozen=True)
class Ranked:
    """Cells and the logarithm of their strength, or their log-probability."""

    genotype: CellGenotype
    value: float


Place = tuple[int, tuple[int, ...], int, int]
"""A type of cell, what the types before it use up, how many of its decisions are made, and their state."""


class BestWithin:
    """The ways of all decisions about cells, and the best combinations of them that a budget allows.

    A* search: a combination is made one decision after another, and waits in a heap by the value of what is decided and
    the best that the rest can add within what is left. That bound is exact: it is the best of all sums that are left,
    found once, from the last decision to the first, since many combinations use up the same. So the search goes
    straight to the best, then to the next, and a combination that is too large is never begun. The order is exact up to
    the rounding of a sum in float64; ties go to the way that comes first.
    """

    def __init__(self, space: CellSpace, budget: Budget, parts: Iterable[tuple[Decision, Sequence[Way]]]) -> None:
        """parts: the ways of each decision, in the order of the space's decisions, the best first.

        Raises UsageError where none is within the limits.
        """
        self._space, self._budget, self._parts = space, budget, list(parts)
        self._values = [np.array([value for _, value in ways]) for _, ways in self._parts]
        self._cells = budget.sums([(decision, [way for way, _ in ways]) for decision, ways in self._parts])
        self._numbers = [
            [number for number, (decision, _) in enumerate(self._parts) if decision.cell == cell]
            for cell in space.cells
        ]
        self._best = [
            [
                uses.by_label(self._values[number], np.maximum)
                for uses, number in zip(sums.choices, numbers, strict=True)
            ]
            for sums, numbers in zip(self._cells, self._numbers, strict=True)
        ]
        self._bounds: dict[tuple[int, tuple[int, ...]], list[Logs]] = {}
        self._next: dict[Place, tuple[list[int], list[float], list[Place | None]]] = {}

    @cached_property
    def _wholes(self) -> list[Logs]:
        return [
            sums.by_total(sums.forward(best, np.maximum)[-1], np.maximum)
            for sums, best in zip(self._cells, self._best, strict=True)
        ]

    def __iter__(self) -> Iterator[Ranked]:
        """The combinations, the best first."""
        start: Place = (0, (0,) * len(self._budget.room), 0, 0)
        # An entry: the negative bound, the ways so far, the value so far, where that leads, and which of the ways on
        # from there is next. Only the best way on is followed, and the next best waits.
        waiting: list[tuple[float, tuple[int, ...], float, Place, int]] = []

        def wait(ways: tuple[int, ...], value: float, place: Place, rank: int) -> None:
            order, bounds, _ = self._ways_on(place)
            if rank < len(order):
                heappush(waiting, (-(value + bounds[rank]), (*ways, order[rank]), value, place, rank))

        wait((), 0.0, start, 0)
        while waiting:
            _, ways, value, place, rank = heappop(waiting)
            wait(ways[:-1], value, place, rank + 1)
            later = self._ways_on(place)[2][rank]
            if later is None:
                yield self._ranked(ways)
            else:
                wait(ways, value + float(self._values[len(ways) - 1][ways[-1]]), later, 0)

    def _ranked(self, ways: tuple[int, ...]) -> Ranked:
        chosen = [own[way] for (_, own), way in zip(self._parts, ways, strict=True)]
        genotype = self._space.genotype([option for options, _ in chosen for option in options])
        assert self._budget.allows(genotype)
        return Ranked(genotype, fsum(value for _, value in chosen))

    def _ways_on(self, place: Place) -> tuple[list[int], list[float], list[Place | None]]:
        """The ways of the next decision, the best first, the bound of each, and where it leads; None: to the end."""
        if place not in self._next:
            cell, used, made, state = place
            sums, number = self._cells[cell], self._numbers[cell][made]
            bounds = self._bounds_of(cell, used)[made + 1]
            moves = sums.moves[made]
            targets = np.full(len(sums.choices[made].kinds), -1)
            here = moves.source == state
            targets[moves.label[here]] = moves.target[here]
            labels = sums.choices[made].labels
            ahead = np.where(labels >= 0, targets[labels], -1)
            bound = np.where(ahead >= 0, self._values[number] + bounds[ahead], -np.inf)
            order = [int(way) for way in np.argsort(-bound, kind="stable") if bound[way] > -np.inf]
            places = [self._after(place, int(ahead[way])) for way in order]
            self._next[place] = order, [float(bound[way]) for way in order], places
        return self._next[place]

    def _after(self, place: Place, state: int) -> Place | None:
        """Where a decision leads that ends in `state`."""
        cell, used, made, _ = place
        if made + 1 < len(self._numbers[cell]):
            return cell, used, made + 1, state
        if cell + 1 == len(self._cells):
            return None
        own = self._cells[cell].totals[self._cells[cell].ends[state]]
        return cell + 1, tuple((own + used).tolist()), 0, 0

    def _bounds_of(self, cell: int, used: tuple[int, ...]) -> list[Logs]:
        """The best that can follow every state of a type of cell, after cells that have `used` so much."""
        if (cell, used) not in self._bounds:
            sums = self._cells[cell]
            left: Ints = self._budget.room - np.array(used, np.int64) - sums.totals
            ends = rest(self._cells, self._wholes, cell + 1, left, np.maximum)
            self._bounds[cell, used] = sums.backward(self._best[cell], ends, np.maximum)
        return self._bounds[cell, used]

    def better_beyond(self, best: Sequence[Ranked]) -> int:
        """How many better combinations than the last of the `best` are beyond the limits, up to MOST_COUNTED."""
        ranked = best_first([values.tolist() for values in self._values])
        value = best[-1].value
        better = takewhile(lambda one: one[1] > value, islice(ranked, MOST_COUNTED + len(best)))
        ways = np.array([positions for positions, _ in better], np.int64).reshape(-1, len(self._parts))
        return min(MOST_COUNTED, len(ways) - int(self._allowed(ways).sum()))

    def _allowed(self, ways: Ints) -> NDArray[np.bool_]:
        """Which combinations are within the limits. [combinations, decisions] -> [combinations]"""
        most, room = self._budget.limits.max_skips, self._budget.room
        allowed, sizes = np.ones(len(ways), np.bool_), np.zeros((len(ways), len(room)), np.int64)
        for sums, numbers in zip(self._cells, self._numbers, strict=True):
            own = [(uses, ways[:, number]) for uses, number in zip(sums.choices, numbers, strict=True)]
            allowed &= np.all([uses.allowed[way] for uses, way in own], axis=0)
            if most is not None:
                allowed &= sum(uses.skips[way] for uses, way in own) <= most
            sizes += sum(uses.sizes[way] for uses, way in own)
            sizes += sums.of_inputs(np.bitwise_or.reduce([uses.inputs[way] for uses, way in own]))
        return allowed & (sizes <= room).all(axis=1)
