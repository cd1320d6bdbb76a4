"""The best combinations of independent factors, without enumerating all of them."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import fsum


def best_first(factors: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """Combinations of one value per factor, the largest sum first: the position in each factor, and the sum.

    Each factor is in falling order. A combination waits in the heap until it is the best there; then it is replaced by
    those that are one step worse in one factor. Only the last factor that has moved, and those after it, may move. So
    every combination has one parent (the last moved factor one step back), and none comes up twice. Ties in the heap go
    to the combination that is better in the earlier factors.
    """

    def entry(positions: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        # fsum rounds once, so a sum never grows when a term falls: children never go before their parents.
        return -fsum(factor[position] for factor, position in zip(factors, positions, strict=True)), positions

    if not all(factors):
        return
    waiting = [entry((0,) * len(factors))]
    while waiting:
        negative, positions = heappop(waiting)
        yield positions, -negative
        last_moved = max((place for place, position in enumerate(positions) if position), default=0)
        for place in range(last_moved, len(factors)):
            if positions[place] + 1 < len(factors[place]):
                heappush(waiting, entry((*positions[:place], positions[place] + 1, *positions[place + 1 :])))
