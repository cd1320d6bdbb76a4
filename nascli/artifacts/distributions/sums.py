"""What choices use up together: all sums that there are, far fewer than there are cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Logs = NDArray[np.float64]

LARGEST_MATRIX = 1 << 22
"""The most numbers of a table of pairs, 32 MiB; larger ones are made in parts."""


@dataclass(frozen=True)
class Uses:
    """What the options of one choice use up: [options] each. Options that use up the same share a label.

    `sizes`: [options, limits], what each adds to the sizes that are limited. `skips`: skip connections. `inputs`: the
    inputs of the cell that it reads, as bits. `allowed`: whether it may be chosen at all.
    """

    sizes: Ints
    skips: Ints
    inputs: Ints
    allowed: NDArray[np.bool_]

    @cached_property
    def _labelled(self) -> tuple[Ints, Ints]:
        rows = np.column_stack([self.sizes, self.skips, self.inputs])
        kinds, labels = np.unique(rows[self.allowed], axis=0, return_inverse=True)
        every = np.full(len(rows), -1)
        every[self.allowed] = labels.reshape(-1)
        return kinds, every

    @property
    def kinds(self) -> Ints:
        """What the options of each label use up: [labels, limits + 2], sizes, skips, inputs."""
        return self._labelled[0]

    @property
    def labels(self) -> Ints:
        """The label of each option, -1 where it is not allowed: [options]."""
        return self._labelled[1]

    def by_label(self, logs: Logs, combine: np.ufunc) -> Logs:
        """Values of the options combined by label. [options] -> [labels]"""
        found = np.full(len(self.kinds), -np.inf)
        combine.at(found, self.labels[self.allowed], logs[self.allowed])
        return found


@dataclass(frozen=True)
class Moves:
    """How one choice leads from a sum to another: [moves] each, an earlier state, a label, a later state."""

    source: Ints
    label: Ints
    target: Ints


class CellSums:
    """All that the choices about one type of cell can use up, one choice after another, within the limits.

    `states`: after each number of choices, [states, limits + 2] as in `Uses.kinds`; `moves[i]` leads from `states[i]`
    to `states[i + 1]`. `totals` are the different sizes of whole cells, [totals, limits], and `ends` says which of them
    each last state has: with what the inputs that were read add, and whatever the number of skips.

    Values are logarithms; `combine` is np.maximum for the best, or np.logaddexp for a sum of probabilities.
    """

    def __init__(self, choices: Sequence[Uses], input_sizes: Ints, room: Ints, max_skips: int | None) -> None:
        """input_sizes: what each input adds if it is read, [inputs, limits]. room: the limits of all cells together."""
        self.choices = tuple(choices)
        limits = len(room)
        now = np.zeros((1, limits + 2), np.int64)
        self.states, self.moves = [now], []
        for uses in self.choices:
            kinds = uses.kinds
            source, label = np.repeat(np.arange(len(now)), len(kinds)), np.tile(np.arange(len(kinds)), len(now))
            sums = now[source] + kinds[label]
            sums[:, -1] = now[source, -1] | kinds[label, -1]
            fits = (sums[:, :limits] <= room).all(axis=1)
            if max_skips is not None:
                fits &= sums[:, -2] <= max_skips
            now, target = np.unique(sums[fits], axis=0, return_inverse=True)
            self.states.append(now)
            self.moves.append(Moves(source[fits], label[fits], target.reshape(-1)))
        self._input_sizes = input_sizes
        whole = now[:, :limits] + self.of_inputs(now[:, -1])
        self.totals, ends = np.unique(whole, axis=0, return_inverse=True)
        self.ends: Ints = ends.reshape(-1)

    def of_inputs(self, inputs: Ints) -> Ints:
        """What inputs that are read, as bits, add to a cell. [cells] -> [cells, limits]"""
        reads = inputs[:, None] >> np.arange(len(self._input_sizes)) & 1
        sizes: Ints = reads @ self._input_sizes
        return sizes

    def forward(self, logs: Sequence[Logs], combine: np.ufunc) -> list[Logs]:
        """The value of every state from all ways that lead there. logs: of the labels of every choice."""
        values = [np.zeros(1)]
        for move, own, later in zip(self.moves, logs, self.states[1:], strict=True):
            values.append(_gathered(values[-1][move.source] + own[move.label], move.target, len(later), combine))
        return values

    def backward(self, logs: Sequence[Logs], ends: Logs, combine: np.ufunc) -> list[Logs]:
        """The value of every state from all ways that lead on. ends: of whole cells, by their totals."""
        values = [ends[self.ends]]
        for move, own, earlier in zip(self.moves[::-1], logs[::-1], self.states[-2::-1], strict=True):
            values.append(_gathered(values[-1][move.target] + own[move.label], move.source, len(earlier), combine))
        return values[::-1]

    def by_total(self, last: Logs, combine: np.ufunc) -> Logs:
        """The value of whole cells by their totals, from that of the last states. -> [totals]"""
        return _gathered(last, self.ends, len(self.totals), combine)

    def by_label(self, place: int, values: Logs, combine: np.ufunc) -> Logs:
        """Values of the moves of one choice combined by their labels. [moves] -> [labels]"""
        return _gathered(values, self.moves[place].label, len(self.choices[place].kinds), combine)

    def into(self, place: int, target: int) -> tuple[Ints, Ints]:
        """The sources and the labels of the moves of one choice that lead to a state."""
        order, starts = self._by_target[place]
        own = order[starts[target] : starts[target + 1]]
        return self.moves[place].source[own], self.moves[place].label[own]

    @cached_property
    def _by_target(self) -> list[tuple[Ints, Ints]]:
        """For each choice, its moves in the order of their targets, and where those of each target begin."""
        found = []
        for move, later in zip(self.moves, self.states[1:], strict=True):
            order = np.argsort(move.target, kind="stable")
            found.append((order, np.searchsorted(move.target[order], np.arange(len(later) + 1))))
        return found


def within(room: Ints, totals: Ints, values: Logs, combine: np.ufunc) -> Logs:
    """The values of all totals that fit into each room, combined; -inf where none fits.

    room: [rooms, limits]; totals: [totals, limits]; values: [totals] -> [rooms]
    """
    if room.shape[1] == 1:
        order = np.argsort(totals[:, 0], kind="stable")
        so_far = np.concatenate([[-np.inf], combine.accumulate(values[order])])
        found: Logs = so_far[np.searchsorted(totals[order, 0], room[:, 0], side="right")]
        return found
    rows = max(1, LARGEST_MATRIX // max(1, len(totals)))
    parts = [np.empty(0)]
    for start in range(0, len(room), rows):
        fits = (totals <= room[start : start + rows, None]).all(axis=2)
        parts.append(combine.reduce(np.where(fits, values, -np.inf), axis=1, initial=-np.inf))
    return np.concatenate(parts)


def _gathered(values: Logs, places: Ints, count: int, combine: np.ufunc) -> Logs:
    """Values that go to the same of `count` places, combined; -inf where none goes."""
    found = np.full(count, -np.inf)
    if len(values):
        order = np.argsort(places, kind="stable")
        starts = np.flatnonzero(np.diff(places[order], prepend=-1))
        found[places[order[starts]]] = combine.reduceat(values[order], starts)
    return found
