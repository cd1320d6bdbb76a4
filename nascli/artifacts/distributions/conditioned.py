"""A product of categoricals, conditioned on limits of what is drawn: its mass, its marginals and its draws, exactly."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.distributions.budget import Budget, rest
from nascli.artifacts.distributions.sums import Ints, Logs


class Conditioned:
    """p(alpha | pi, within) = p(alpha | pi) / P(within), for alpha within a budget.

    P(within) is a sum over all cells that fit, found by dynamic programming over what the draws use up together
    (`CellSums`): few sums, each with the probability of all draws that have it. Forwards it gives the probability of
    every sum of the first draws, and backwards the probability that what follows still fits. All probabilities are
    logarithms, so that limits that are hardly ever met lose no precision.
    """

    def __init__(self, budget: Budget, rows: Sequence[Logs]) -> None:
        """rows: the log-probabilities of the options of each draw, in the order of the space's decisions."""
        self._room, self._cells, self._rows = budget.room, budget.of_draws, list(rows)
        counts = [len(sums.choices) for sums in self._cells]
        self._numbers = [range(start, end) for start, end in pairwise(accumulate(counts, initial=0))]
        self._logs = [
            [
                uses.by_label(self._rows[number], np.logaddexp)
                for uses, number in zip(sums.choices, numbers, strict=True)
            ]
            for sums, numbers in zip(self._cells, self._numbers, strict=True)
        ]
        self._rests: dict[tuple[int, tuple[int, ...]], Logs] = {}
        self._forward = [sums.forward(logs, np.logaddexp) for sums, logs in zip(self._cells, self._logs, strict=True)]
        self._wholes = [
            sums.by_total(values[-1], np.logaddexp) for sums, values in zip(self._cells, self._forward, strict=True)
        ]

    @cached_property
    def log_mass(self) -> float:
        """log P(within)."""
        return float(rest(self._cells, self._wholes, 0, self._room[None], np.logaddexp)[0])

    @cached_property
    def log_marginals(self) -> list[Logs]:
        """The log-probability of every option of each draw, among what is within the limits: [options] each."""
        found = []
        for cell, sums in enumerate(self._cells):
            others = [n for n in range(len(self._cells)) if n != cell]
            ends = rest(
                [self._cells[n] for n in others],
                [self._wholes[n] for n in others],
                0,
                self._room - sums.totals,
                np.logaddexp,
            )
            before, after = self._forward[cell], sums.backward(self._logs[cell], ends, np.logaddexp)
            for place, number in enumerate(self._numbers[cell]):
                joint = before[place][sums.moves[place].source] + after[place + 1][sums.moves[place].target]
                by_label = sums.by_label(place, joint, np.logaddexp)
                labels = sums.choices[place].labels
                own = np.where(labels >= 0, by_label[labels] + self._rows[number], -np.inf)
                found.append(own - self.log_mass)
        return found

    def draw(self, uniform: NDArray[np.float64]) -> list[int]:
        """One child, from uniform numbers in [0, 1): one for each draw, then one for each type of cell.

        What a type of cell uses up is drawn first, by how probable that is and what follows then; the draws are then
        made from the last to the first, each by how probable it is that those before it use up what is left.
        """
        chosen = [0] * len(self._rows)
        room: Ints = self._room
        for cell, sums in enumerate(self._cells):
            left = self._left(cell, tuple(room.tolist()))
            state = _drawn(self._forward[cell][-1] + left[sums.ends], uniform[len(self._rows) + cell])
            room = room - sums.totals[sums.ends[state]]
            for place in range(len(sums.choices) - 1, -1, -1):
                number = self._numbers[cell][place]
                source, label = sums.into(place, state)
                fits = sums.choices[place].labels == label[:, None]
                weights = np.where(fits, self._forward[cell][place][source][:, None] + self._rows[number], -np.inf)
                way, chosen[number] = divmod(_drawn(weights.reshape(-1), uniform[number]), weights.shape[1])
                state = int(source[way])
        return chosen

    def _left(self, cell: int, room: tuple[int, ...]) -> Logs:
        """The probability that the types of cells after one still fit into a room, by the totals of that one."""
        if (cell, room) not in self._rests:
            left = np.array(room, np.int64) - self._cells[cell].totals
            self._rests[cell, room] = rest(self._cells, self._wholes, cell + 1, left, np.logaddexp)
        return self._rests[cell, room]


def _drawn(weights: Logs, uniform: float) -> int:
    """An index, drawn in proportion to weights that are given as logarithms."""
    cumulative = np.exp(weights - weights.max()).cumsum()
    last = cumulative.searchsorted(cumulative[-1], side="left")  # the last that has any weight
    return int(min(last, cumulative.searchsorted(uniform * cumulative[-1], side="right")))
