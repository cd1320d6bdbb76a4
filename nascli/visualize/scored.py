"""Scores of a posterior's candidates and of those from uniform dropout, as a derivation leaves them in its folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import mean, stdev
from typing import Any

from nascli.errors import UsageError

POSTERIOR, UNIFORM = "posterior", "uniform"


@dataclass(frozen=True)
class Scored:
    """A candidate: its number in its population, and how it did on the held-out images. `accuracy` is from 0 to 1."""

    number: int
    accuracy: float
    loss: float
    parameters: int


@dataclass(frozen=True)
class Candidates:
    """The candidates of each population that has some, the posterior's first, in the order of their numbers."""

    populations: Mapping[str, tuple[Scored, ...]]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "Candidates":
        """From the rows of a file; rows without a score, of candidates over a budget, are left out.

        Raises UsageError where no row has one.
        """
        found: dict[str, dict[int, Scored]] = {POSTERIOR: {}, UNIFORM: {}}
        for row in rows:
            population, accuracy, loss = row.get("population"), row.get("accuracy"), row.get("loss")
            if population in found and _is_number(accuracy) and _is_number(loss):
                number, parameters = int(row["number"]), int(row["parameters"])
                found[population][number] = Scored(number, float(accuracy), float(loss), parameters)
        populations = {
            name: tuple(scored[number] for number in sorted(scored)) for name, scored in found.items() if scored
        }
        if not populations:
            raise UsageError("no candidate has a score yet: there is nothing to draw")
        return cls(populations)

    def best(self) -> tuple[str, Scored]:
        """The most accurate of the first population; of equals the one with the least loss, then the first."""
        name = next(iter(self.populations))
        return name, min(self.populations[name], key=lambda one: (-one.accuracy, one.loss, one.number))


def summary(scored: tuple[Scored, ...]) -> str:
    """A population on one line: how many, best, mean ± standard deviation, and what they weigh."""
    accuracies = [100 * one.accuracy for one in scored]
    spread = f" ± {stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    parameters = mean(one.parameters for one in scored)
    return (
        f"{len(scored):,} {'candidate' if len(scored) == 1 else 'candidates'}: best {max(accuracies):.2f} %, "
        f"mean {mean(accuracies):.2f}{spread} %, {short(parameters)} parameters on average"
    )


def short(count: float) -> str:
    """A large number in three digits.

    >>> short(950), short(71_000), short(123_456), short(26_192_922)
    ('950', '71.0 k', '123 k', '26.2 M')
    """
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if count >= unit:
            return f"{count / unit:#.3g}".rstrip(".") + name
    return f"{count:.0f}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)
