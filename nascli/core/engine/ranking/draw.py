"""Line 7: candidates are drawn from a distribution, and as many uniform ones to compare them with. Needs no torch."""

from collections.abc import Sequence
from dataclasses import astuple
from math import inf

from nascli.config import DeriveConfig
from nascli.core.engine.offers import check_count
from nascli.core.engine.ranking.candidates import Candidate, Candidates, mean_parameters
from nascli.core.engine.reporter import Reporter
from nascli.errors import UsageError


def draw(
    candidates: Candidates, config: DeriveConfig, count: int, reporter: Reporter
) -> tuple[list[Candidate], float | None]:
    """A distribution's candidates that are within the budget, of which `count` are wanted; then as many uniform ones.

    The second result is the probability of dropping a channel in uniform dropout; None where there is none. Raises
    UsageError where fewer than `count` would be ranked to the end.
    """
    check_count(count)
    drawn = candidates.own(config.seed, config.candidates)
    chosen = within_budget(drawn, config.max_params, config.max_macs)
    if len(chosen) < len(drawn):
        reporter.notice(
            f"{len(chosen):,} of {len(drawn):,} candidates are within the budget; the others are not ranked"
        )
    finalists = min(len(chosen), config.shortlist or len(chosen))
    if finalists < count:
        raise UsageError(f"{count:,} networks are asked for, and {finalists:,} would be ranked to the end")
    if not config.uniform:
        return chosen, None
    # As many as those that are ranked (with a budget, not all that were drawn) and, on average, as large. The budget
    # does not apply to them: none is chosen, and without the larger ones they would be smaller on average.
    uniform, probability = candidates.uniform(config.seed, len(chosen), mean_parameters(chosen))
    return chosen + uniform, probability


def within_budget(
    candidates: Sequence[Candidate], max_params: int | None = None, max_macs: int | None = None
) -> list[Candidate]:
    """Those whose networks are small enough. Raises UsageError, which names the least sizes, where none is."""
    parameters, macs = max_params or inf, max_macs or inf
    small = [one for one in candidates if one.size.parameters <= parameters and one.size.multiply_adds <= macs]
    if not small:
        least, least_macs = (min(sizes) for sizes in zip(*(astuple(one.size) for one in candidates), strict=True))
        limits = {"--max-params": max_params, "--max-macs": max_macs}
        given = " and ".join(f"{name} {limit:,}" for name, limit in limits.items() if limit is not None)
        raise UsageError(
            f"none of {len(candidates):,} candidates is within {given}: they have at least {least:,} parameters and "
            f"{least_macs:,} multiply-adds. Raise the limit, draw more --candidates, or search with a larger "
            "--weight-prior"
        )
    return small
