"""A genotype of channels as text: how much every block keeps, and a bar for each of its convolutions."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.visualize.blocks import Block, blocks
from nascli.visualize.run_text import BARS
from nascli.visualize.shares import Kept, KeptChannels, of_genotype, readable
from nascli.visualize.text import plain

GONE = "–"


def plain_channels(genotype: ChannelsGenotype, _format: str, title: str | None) -> bytes:
    """A table of the blocks, as UTF-8 text."""
    kept = of_genotype(genotype)
    parts: list[RenderableType] = [kept.summary, "", _table(kept)]
    if any(conv.dead for conv in kept.convolutions.values()):
        parts += ["", f"{GONE}: a convolution that is gone"]
    return plain(Group(*parts), title)


def _table(kept: KeptChannels) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("block")
    for column in ("kept (%)", "channels", "of", "convolutions", "of"):
        table.add_column(column, justify="right")
    table.add_column("kept of each")
    stage = ""
    for block in blocks(kept.graph):
        convolutions = convolutions_of(block, kept)
        channels, size = sum(conv.channels for conv in convolutions), sum(sum(conv.sizes) for conv in convolutions)
        table.add_row(
            readable(block.stage) if block.stage != stage else "",
            readable(block.name.removeprefix(f"{block.stage}.")),
            f"{100 * channels / size:.1f}",
            f"{channels:,.0f}",
            f"{size:,}",
            str(sum(not conv.dead for conv in convolutions)),
            str(len(convolutions)),
            "".join(GONE if conv.dead else bar_of(conv.share) for conv in convolutions),
        )
        stage = block.stage
    return table


def convolutions_of(block: Block, kept: KeptChannels) -> Sequence[Kept]:
    """What is kept of each masked convolution of a block, in the order of its paths."""
    return [kept.convolutions[step.name] for step in block.steps if step.kind == "conv"]


def bar_of(share: float) -> str:
    """A bar as high as a share between 0 and 1."""
    return BARS[min(len(BARS) - 1, int(share * len(BARS)))]
