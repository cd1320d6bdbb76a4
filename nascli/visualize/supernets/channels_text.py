"""A genotype of channels as text: how much every stage and block keeps, and a bar for each of its convolutions."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.visualize.supernets.blocks import Block, blocks
from nascli.visualize.supernets.kept import Kept, KeptChannels, of_genotype, readable
from nascli.visualize.text import BARS

GONE = "–"


def describe_channels(genotype: ChannelsGenotype) -> RenderableType:
    """A table of the stages and blocks."""
    kept = of_genotype(genotype)
    parts: list[RenderableType] = [*kept.summary, "", _table(kept)]
    if any(conv.dead for conv in kept.convolutions.values()):
        parts += ["", f"{GONE}: a convolution that is gone"]
    return Group(*parts)


def _table(kept: KeptChannels) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("block")
    for column in ("kept (%)", "channels", "of", "convolutions", "of"):
        table.add_column(column, justify="right")
    table.add_column("kept of each")
    for stage, block, convolutions, bars in rows_of(kept):
        channels, size = channels_of(convolutions)
        table.add_row(
            stage,
            block,
            f"{100 * channels / size:.1f}",
            f"{channels:,.0f}",
            f"{size:,}",
            str(sum(not conv.dead for conv in convolutions)),
            str(len(convolutions)),
            bars,
        )
    return table


def rows_of(kept: KeptChannels) -> Iterator[tuple[str, str, Sequence[Kept], str]]:
    """The lines of a table: the names of stage and block, their masked convolutions, and a bar for each.

    A stage with several blocks has a line of its own before theirs, without bars.
    """
    for stage, members in groupby(blocks(kept.graph), key=lambda block: block.stage):
        own = list(members)
        of_blocks = [_convolutions(block, kept) for block in own]
        name = readable(stage)
        if len(own) > 1:
            yield name, f"all {len(own)}", [conv for convolutions in of_blocks for conv in convolutions], ""
            name = ""
        for block, convolutions in zip(own, of_blocks, strict=True):
            bars = "".join(GONE if conv.dead else _bar(conv.share) for conv in convolutions)
            yield name, readable(block.name.removeprefix(f"{stage}.")), convolutions, bars


def channels_of(convolutions: Sequence[Kept]) -> tuple[float, int]:
    """How many of their input channels are kept, and how many there are."""
    return sum(conv.channels for conv in convolutions), sum(sum(conv.sizes) for conv in convolutions)


def _convolutions(block: Block, kept: KeptChannels) -> Sequence[Kept]:
    """What is kept of each masked convolution of a block, in the order of its paths."""
    return [kept.convolutions[step.name] for step in block.steps if step.kind == "conv"]


def _bar(share: float) -> str:
    """A bar whose height is a share between 0 and 1."""
    return BARS[min(len(BARS) - 1, int(share * len(BARS)))]
