"""What the methods share: the size of their networks, and errors for distributions that they cannot start from."""

from math import exp

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.limits import NO_LIMITS
from nascli.core.methods.protocol import Plan
from nascli.errors import UsageError
from nascli.settings.groups import CellNetwork, Warmup
from nascli.spaces.network_settings import NetworkSettings
from nascli.spaces.protocol import CellSpace


def sized(
    plan: Plan, space: CellSpace, given: CellNetwork, auxiliary: float
) -> tuple[NetworkSettings, tuple[str, ...]]:
    """The size of a search network, with an auxiliary tower if that has a weight and fits; and a notice if it does not.

    Raises UsageError for sizes that no network of the space can have.
    """
    size = plan.network_settings(given)
    graph = space.graph(space.everything(), size)
    if auxiliary and not graph.tower_fits:
        return size, (f"searched without an auxiliary tower: {graph.why_no_tower}",)
    return size.model_copy(update={"auxiliary": auxiliary > 0}), ()


def limits_notice(distribution: CategoricalDistribution) -> tuple[str, ...]:
    """What the limits are about, and how many of the cells that a distribution draws freely are within them."""
    limits = distribution.limits
    if limits == NO_LIMITS:
        return ()
    network = limits.network
    about = f", with {network.layers} cells and {network.channels} channels" if network is not None else ""
    return (f"only cells within {limits}{about}: {exp(distribution.log_mass):.2g} of all draws",)


def never_learns(what: str, plan: Plan, given: Warmup) -> tuple[str, ...]:
    """A notice where the warm-up takes all epochs; it begins with `what`, such as "p never learns"."""
    if given.arch_warmup_epochs < plan.epochs:
        return ()
    return (f"{what}: all {plan.epochs} epochs are warm-up (--arch-warmup-epochs {given.arch_warmup_epochs})",)


def other_kind(method: str, wanted: str, start: DistributionFile) -> UsageError:
    """The error for a distribution that is not of the `wanted` kind: only the method that made it can go on with it."""
    maker = start.provenance.method
    way_out = f": give --method {maker}" if maker and maker != method else ""
    return UsageError(f"{method} goes on with a {wanted}, not with a {start.distribution.noun}{way_out}")


def check_space(mine: CellSpace, theirs: CellSpace) -> None:
    """Raise UsageError for a distribution over other cells than those of the search."""
    if theirs.name != mine.name:
        raise UsageError(
            f"the distribution is over cells of the space {theirs.name}, this search over those of {mine.name}: "
            f"give --space {theirs.name}"
        )
    if theirs.nodes != mine.nodes:
        raise UsageError(
            f"the distribution is over cells of {theirs.nodes} nodes, the network's have {mine.nodes}: "
            f"give --nodes {theirs.nodes}"
        )
