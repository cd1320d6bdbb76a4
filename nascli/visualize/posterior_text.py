"""A posterior as text: p of every block's groups of channels, and how much of the block candidates keep."""

from rich.console import Group
from rich.table import Table

from nascli.artifacts.posterior import PosteriorDistribution
from nascli.visualize.blocks import blocks
from nascli.visualize.channels_text import bar_of, convolutions_of
from nascli.visualize.shares import KeptChannels, of_posterior, readable
from nascli.visualize.text import plain


def plain_posterior(posterior: PosteriorDistribution, _format: str, title: str | None) -> bytes:
    """A table of the blocks, as UTF-8 text."""
    kept = of_posterior(posterior)
    return plain(Group(kept.summary, "", _table(kept)), title)


def _table(kept: KeptChannels) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("block")
    for column in ("kept (%)", "p least", "mean", "largest"):
        table.add_column(column, justify="right")
    table.add_column("kept of each convolution")
    stage = ""
    for block in blocks(kept.graph):
        convolutions = convolutions_of(block, kept)
        dropped = [1 - share for conv in convolutions for share in conv.shares]
        channels, size = sum(conv.channels for conv in convolutions), sum(sum(conv.sizes) for conv in convolutions)
        table.add_row(
            readable(block.stage) if block.stage != stage else "",
            readable(block.name.removeprefix(f"{block.stage}.")),
            f"{100 * channels / size:.1f}",
            f"{min(dropped):.3g}",
            f"{sum(dropped) / len(dropped):.3g}",
            f"{max(dropped):.3g}",
            "".join(bar_of(conv.share) for conv in convolutions),
        )
        stage = block.stage
    return table
