"""Scores of candidates from a posterior and from uniform dropout, as a derivation leaves them in its folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean, stdev

from nascli.artifacts.runs.scores import MEAN, POPULATIONS, Scored, ranked
from nascli.errors import UsageError


@dataclass(frozen=True)
class Candidates:
    """The candidates of each population that has some, the posterior's first, ordered by their numbers."""

    populations: Mapping[str, tuple[Scored, ...]]

    @classmethod
    def of(cls, scores: Iterable[Scored]) -> "Candidates":
        """Group scores by population. Raises UsageError if there are none."""
        known = sorted(scores, key=lambda score: score.number)
        found = {name: tuple(score for score in known if score.population == name) for name in POPULATIONS}
        if not known:
            raise UsageError("no candidate has a score yet: there is nothing to draw")
        return cls({name: scored for name, scored in found.items() if scored})

    @property
    def sizes(self) -> frozenset[int]:
        """The numbers of parameters that candidates have."""
        return frozenset(one.parameters for scored in self.populations.values() for one in scored)

    def best(self) -> Scored:
        """The most accurate of the first population; ties go to the least loss, then to the first."""
        return ranked(next(iter(self.populations.values())))[0]


def summary(scored: tuple[Scored, ...]) -> str:
    """A population on one line: number, best accuracy, mean ± standard deviation, and mean size."""
    accuracies = [100 * one.accuracy for one in scored]
    if len(scored) == 1:
        what = "network of the mean weights" if scored[0].population == MEAN else "candidate"
        return f"1 {what}: {accuracies[0]:.2f} %, {short(scored[0].parameters)} parameters"
    spread = f" ± {stdev(accuracies):.2f}"
    parameters = mean(one.parameters for one in scored)
    each = "each" if len({one.parameters for one in scored}) == 1 else "on average"
    return (
        f"{len(scored):,} candidates: best {max(accuracies):.2f} %, mean {mean(accuracies):.2f}{spread} %, "
        f"{short(parameters)} parameters {each}"
    )


def short(count: float) -> str:
    """A number in three digits.

    >>> short(950), short(71_000), short(123_456), short(26_192_922)
    ('950', '71.0 k', '123 k', '26.2 M')
    """
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if count >= unit:
            return f"{count / unit:#.3g}".rstrip(".") + name
    return f"{count:.0f}"
