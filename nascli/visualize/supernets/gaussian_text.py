"""A Gaussian posterior as text: how large the noise of the weights is in every stage and block."""

from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.visualize.supernets.blocks import block_of
from nascli.visualize.supernets.kept import readable, stage_of, title


def describe_gaussian(posterior: GaussianDistribution) -> RenderableType:
    """A table of the stages and blocks."""
    ratios = posterior.noise_ratios
    summary = (
        f"{title(posterior)}: the weights of {len(ratios)} groups have a standard deviation of {ratios.min():.3g} to "
        f"{ratios.max():.3g} of their root mean square, {ratios.mean():.3g} on average over groups"
    )
    return Group(summary, "", _table(posterior))


def _table(posterior: GaussianDistribution) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("block")
    for column in ("groups", "deviation least", "mean", "largest"):
        table.add_column(column, justify="right")
    ratios = {group: float(ratio) for group, ratio in zip(posterior.graph.groups, posterior.noise_ratios, strict=True)}
    shown = ""
    for block, members in groupby(ratios, key=lambda group: block_of(group.conv)):
        own = [ratios[group] for group in members]
        stage = stage_of(block)
        table.add_row(
            readable(stage) if stage != shown else "",
            readable(block.removeprefix(f"{stage}.")),
            str(len(own)),
            f"{min(own):.3g}",
            f"{sum(own) / len(own):.3g}",
            f"{max(own):.3g}",
        )
        shown = stage
    return table
