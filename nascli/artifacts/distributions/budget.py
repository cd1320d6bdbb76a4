"""Limits for the cells of a space: what every choice uses up, and what is left."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.distributions.sums import CellSums, Ints, Logs, Uses, within
from nascli.errors import UsageError
from nascli.graphs.graph import Size
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.costs import CellCosts, cell_costs
from nascli.spaces.names import NONE, SKIP
from nascli.spaces.protocol import CellSpace, Decision, check_keeps_none

Options = tuple[int, ...]
"""Options of a decision, by index: one for each of its draws, or for one of them."""

Choice = tuple[Decision, Sequence[Options]]
"""A decision, or one of its draws, and the ways to make it."""

UNLIMITED = 1 << 62
"""More than any network has, and less than overflows."""


class Budget:
    """What the cells of a space may use up within limits. Raises UsageError for a limit that the space rules out.

    A size is counted exactly, as the sum of what the choices add (`CellCosts`).
    """

    def __init__(self, space: CellSpace, limits: CellLimits) -> None:
        if limits.without_none:
            check_keeps_none(space)
        self.space, self.limits = space, limits
        self._costs: CellCosts | None = None
        self.room: Ints = np.array([*limits.sizes.values()], np.int64)
        """What the choices may add to each size that is limited: [limits]."""
        if limits.sizes:
            assert limits.network is not None, "a limit of the size needs the network that it is about"
            self._costs = cell_costs(space, limits.network)
            self.room -= self._of(self._costs.base)

    def _of(self, size: Size) -> Ints:
        """The part of a size that is limited. -> [limits]"""
        every = {"--max-params": size.parameters, "--max-macs": size.multiply_adds}
        return np.array([every[name] for name in self.limits.sizes], np.int64)

    def _use(self, decision: Decision, option: int) -> tuple[Ints, int, int, bool]:
        """Sizes, skips, inputs as bits, and whether it is allowed, of one option."""
        pick = decision.options[option]
        allowed = not (self.limits.without_none and pick.op == NONE)
        skips = int(self.limits.max_skips is not None and pick.op == SKIP)
        if self._costs is None or pick.op == NONE:
            return np.zeros(len(self.room), np.int64), skips, 0, allowed
        sizes = self._of(self._costs.picks[decision.cell, decision.node, pick])
        reads = pick.input < self.space.inputs and self._of(self._costs.inputs[decision.cell][pick.input]).any()
        return sizes, skips, 1 << pick.input if reads else 0, allowed

    def sums(self, choices: Sequence[Choice]) -> tuple[CellSums, ...]:
        """All that choices can use up together, for each type of cell. Raises UsageError where none is within limits.

        choices: in the order of the space's decisions.
        """
        found = self._all_sums(choices)
        nothing = [np.zeros(len(sums.totals)) for sums in found]
        if not np.isfinite(rest(found, nothing, 0, self.room[None], np.maximum)).all():
            raise UsageError(f"no cell of {self.space.name} is within {self.limits}: {self._smallest(choices)}")
        return found

    def _all_sums(self, choices: Sequence[Choice]) -> tuple[CellSums, ...]:
        return tuple(
            CellSums(
                [self._uses(decision, ways) for decision, ways in choices if decision.cell == cell],
                self._input_sizes(cell),
                self.room,
                self.limits.max_skips,
            )
            for cell in self.space.cells
        )

    def _input_sizes(self, cell: str) -> Ints:
        inputs = [] if self._costs is None else self._costs.inputs[cell]
        return np.array([self._of(size) for size in inputs], np.int64).reshape(len(inputs), len(self.room))

    def _uses(self, decision: Decision, ways: Sequence[Options]) -> Uses:
        """What ways to make (a part of) a decision use up; each is one option or several."""
        own = [self._use(decision, option) for option in range(len(decision.options))]
        sizes = np.array([sum(own[o][0] for o in way) for way in ways], np.int64).reshape(len(ways), len(self.room))
        skips = np.array([sum(own[o][1] for o in way) for way in ways], np.int64)
        inputs = np.array([np.bitwise_or.reduce([own[o][2] for o in way]) for way in ways], np.int64)
        allowed = np.array([all(own[o][3] for o in way) for way in ways], np.bool_)
        return Uses(sizes, skips, inputs, allowed)

    @cached_property
    def of_draws(self) -> tuple[CellSums, ...]:
        """All that single draws can use up together. Raises as `sums`."""
        return self.sums(
            [
                (decision, [(option,) for option in range(len(decision.options))])
                for decision in self.space.decisions()
                for _ in range(decision.draws)
            ]
        )

    def allows(self, genotype: CellGenotype) -> bool:
        """Whether cells that can be drawn are within the limits."""
        ops = [[pick.op for node in cell.nodes for pick in node] for cell in genotype.cells.values()]
        if self.limits.without_none and any(NONE in own for own in ops):
            return False
        if self.limits.max_skips is not None and any(own.count(SKIP) > self.limits.max_skips for own in ops):
            return False
        if self._costs is None:
            return True
        return bool((self._of(self._costs.size(genotype)) <= [*self.limits.sizes.values()]).all())

    def _smallest(self, choices: Sequence[Choice]) -> str:
        """How small the smallest networks are, in words."""
        network = self.limits.network
        assert network is not None, "only a size can rule out every cell"
        least: dict[str, int] = {}
        for name in ("max_params", "max_macs"):
            alone: dict[str, Any] = {"max_params": None, "max_macs": None, name: UNLIMITED}
            budget = Budget(self.space, replace(self.limits, **alone))
            least[name] = UNLIMITED - int(budget.room[0])
            least[name] += sum(int(sums.totals.min()) for sums in budget._all_sums(choices))
        given = {name: limit for name in least if (limit := getattr(self.limits, name)) is not None}
        only_together = all(least[name] <= limit for name, limit in given.items())
        return (
            f"the smallest has {least['max_params']:,} parameters, and the one that computes least has "
            f"{least['max_macs']:,} multiply-adds, with {network.layers} cells and {network.channels} channels"
            + (", but none is within both limits" if only_together else "")
        )


@lru_cache(maxsize=8)
def budget_of(space: CellSpace, limits: CellLimits) -> Budget:
    """The budget for the cells of a space. Raises as `Budget`."""
    return Budget(space, limits)


def rest(
    cells: Sequence[CellSums], values: Sequence[Logs], first: int, room: Ints, combine: np.ufunc
) -> NDArray[np.float64]:
    """The value of the types of cells from number `first` on together, for each room that they may take.

    values: of each total, for each type of cell; room: [rooms, limits]; combine: as in `CellSums`. -> [rooms]
    """
    if first == len(cells):
        return np.where((room >= 0).all(axis=1), 0.0, -np.inf)
    totals = cells[first].totals
    if first == len(cells) - 1:
        return within(room, totals, values[first], combine)
    # Each room, less each total of this type of cell; equal ones are looked up once.
    left = (room[:, None] - totals).reshape(len(room) * len(totals), room.shape[1])
    different, which = np.unique(left, axis=0, return_inverse=True)
    later = rest(cells, values, first + 1, different, combine)[which.reshape(len(room), len(totals))]
    found: NDArray[np.float64] = combine.reduce(values[first] + later, axis=1, initial=-np.inf)
    return found
