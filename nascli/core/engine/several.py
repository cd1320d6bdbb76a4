"""Several searches as one: the distribution of their mean logits.

The result of a short search depends on its seed; what several of them have in common comes from the images.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from nascli.artifacts.distributions.distribution import Distribution, OffersMean
from nascli.artifacts.load import LoadedDistribution
from nascli.core.engine.inputs import given_twice
from nascli.errors import UsageError

_ALIKE = ("stage", "method", "search space", "logits", "images")
"""What searches must have in common for a mean."""


def mean_distribution(starts: Sequence[LoadedDistribution], epochs: int | None = None) -> Distribution:
    """The distribution of a search; for several, that of their mean logits.

    epochs: take the mean of this many last epochs of each, not its last one. Raises UsageError for a kind without
    logits, and for searches by other methods, of other spaces, or on other images than the first.
    """
    parts: list[Any] = [_averaged(start, epochs) for start in starts]  # of one kind, as `_check_alike` ensures
    first: Distribution = parts[0]
    if len(starts) == 1:
        return first
    if not isinstance(first, OffersMean):
        raise UsageError(f"a {first.noun} has no mean with others: give one")
    _check_alike(starts)
    return type(first).mean(parts)


def _averaged(start: LoadedDistribution, epochs: int | None) -> Distribution:
    return start.distribution if epochs is None else start.value.averaged(epochs)


def _check_alike(starts: Sequence[LoadedDistribution]) -> None:
    first = starts[0]
    for one, other in combinations(starts, 2):
        if one.sha256 == other.sha256:
            raise UsageError(f"{given_twice(one, other)}: a mean needs different searches")
    for other in starts[1:]:
        for what, mine, others in zip(_ALIKE, _aspects(first), _aspects(other), strict=True):
            if mine != others:
                raise UsageError(
                    f"{other.where} does not have the same {what} as {first.where}: a mean needs searches that differ "
                    "only in their seeds, or in how they were trained"
                )


def _aspects(start: LoadedDistribution) -> tuple[object, ...]:
    """What `_ALIKE` names, of one search."""
    origin, distribution = start.provenance, start.distribution
    space = distribution.kind, distribution.settings()
    return origin.stage, origin.method, space, set(distribution.tensors()), origin.data
