"""The best cells within limits: without `none`, and with few skip connections each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from nascli.errors import UsageError
from nascli.spaces.cell_genotype import CellGenotype
from nascli.spaces.names import NONE, SKIP
from nascli.spaces.protocol import CellSpace, Decision, check_keeps_none


@dataclass(frozen=True)
class CellLimits:
    """What cells may not have: `none` on an edge, or more than `max_skips` skip connections in any one cell.

    Short searches favour skip connections, which learn fast. P-DARTS limits them to two in a cell (Chen et al., ICCV
    2019, Section 3.3); here the best cells within the limit are found exactly. Raises UsageError for a limit below 0.
    """

    without_none: bool = False
    max_skips: int | None = None

    def __post_init__(self) -> None:
        if self.max_skips is not None and self.max_skips < 0:
            raise UsageError(f"a cell has 0 skip connections or more: --max-skips cannot be {self.max_skips}")


Way = tuple[tuple[int, ...], float]
"""Options of a decision, by index, and the logarithm of their joint strength."""


def best_within(space: CellSpace, parts: Iterable[tuple[Decision, Sequence[Way]]], limits: CellLimits) -> CellGenotype:
    """The cells with the largest sum of strengths, one way per part; ties go to the first way.

    A limit that the best cells meet anyway changes nothing.

    parts: what is chosen independently, in the order of the space's decisions; a decision may have several parts.
    Raises UsageError if `none` is ruled out in a space whose cells never have it.
    """
    if limits.without_none:
        check_keeps_none(space)
    parts = list(parts)
    chosen: list[int] = []
    for cell in space.cells:
        own = [(decision, ways) for decision, ways in parts if decision.cell == cell]
        best = _best(own, CellLimits(limits.without_none))
        if limits.max_skips is not None and _total_skips(own, best) > limits.max_skips:
            best = _best(own, limits)
        chosen += [option for way in best for option in way]
    return space.genotype(chosen)


Chosen = tuple[tuple[int, ...], ...]
"""One way per part of a cell."""


def _total_skips(parts: Sequence[tuple[Decision, Sequence[Way]]], chosen: Chosen) -> int:
    return sum(_skip_count(decision, way) for (decision, _), way in zip(parts, chosen, strict=True))


def _skip_count(decision: Decision, way: tuple[int, ...]) -> int:
    return sum(decision.options[option].op == SKIP for option in way)


def _best(parts: Sequence[tuple[Decision, Sequence[Way]]], limits: CellLimits) -> Chosen:
    """The best ways of one cell. For each number of skips, only the best choice among the parts so far matters."""
    most = inf if limits.max_skips is None else limits.max_skips
    best: dict[int, tuple[float, Chosen]] = {0: (0.0, ())}
    for decision, ways in parts:
        own = _by_skips(decision, ways, limits)
        best = _strongest(
            (skips + more, strength + added, (*chosen, *way))
            for skips, (strength, chosen) in best.items()
            for more, (added, way) in own.items()
            if skips + more <= most
        )
    return max(best.values(), key=lambda entry: entry[0])[1]


def _by_skips(decision: Decision, ways: Iterable[Way], limits: CellLimits) -> dict[int, tuple[float, Chosen]]:
    """The best way for each number of skips; without a limit on skips, the best of all ways under 0."""
    found = []
    for way, strength in ways:
        ops = [decision.options[option].op for option in way]
        if not (limits.without_none and NONE in ops):
            found.append((0 if limits.max_skips is None else _skip_count(decision, way), strength, (way,)))
    return _strongest(found)


def _strongest(entries: Iterable[tuple[int, float, Chosen]]) -> dict[int, tuple[float, Chosen]]:
    """The strongest entry for each number of skips; ties go to the first."""
    best: dict[int, tuple[float, Chosen]] = {}
    for number, strength, way in entries:
        if number not in best or strength > best[number][0]:
            best[number] = strength, way
    return best
