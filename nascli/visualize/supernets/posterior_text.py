"""A posterior as text: p for the groups of channels of every block, and how much of the block candidates keep."""

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.visualize.supernets.channels_text import channels_of, rows_of
from nascli.visualize.supernets.kept import KeptChannels, of_posterior


def describe_posterior(posterior: PosteriorDistribution) -> RenderableType:
    """A table of the stages and blocks."""
    kept, drop = of_posterior(posterior), posterior.probabilities
    keep, groups = kept.summary
    spread = (
        f"{groups}: {drop.min():.4g} to {drop.max():.4g}, {drop.mean():.4g} on average over channels; "
        f"{posterior.undecided()}"
    )
    return Group(keep, spread, "", _table(kept))


def _table(kept: KeptChannels) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("block")
    for column in ("channels", "kept (%)", "p least", "mean", "largest"):
        table.add_column(column, justify="right")
    table.add_column("kept of each convolution")
    for stage, block, convolutions, bars in rows_of(kept):
        dropped = [1 - share for conv in convolutions for share in conv.shares]
        channels, size = channels_of(convolutions)
        table.add_row(
            stage,
            block,
            f"{size:,}",
            f"{100 * channels / size:.1f}",
            f"{min(dropped):.3g}",
            f"{sum(dropped) / len(dropped):.3g}",
            f"{max(dropped):.3g}",
            bars,
        )
    return table
