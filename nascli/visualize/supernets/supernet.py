"""A super-network as a page: a panel per stage, with the kept share of every convolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.visualize.canvas import WIDTH, bar, picture, pixel_axes, text_width, write
from nascli.visualize.cells.page import Lead
from nascli.visualize.panel import HEADING, MARGIN, TITLE, draw_panel, draw_title
from nascli.visualize.style import MUTED, SERIES, tint
from nascli.visualize.supernets.block_picture import DASHES, GONE, LINE_GAP, Lines, draw_blocks, least_width, lines
from nascli.visualize.supernets.blocks import Block, blocks
from nascli.visualize.supernets.dense import DenseStage, dense_stages
from nascli.visualize.supernets.dense_picture import draw_table, least_table_width, table_height
from nascli.visualize.supernets.kept import KeptChannels, kind, readable

PADDING = 14.0
ROOM = WIDTH - 2 * MARGIN
GAP = MARGIN / 2
SUMMARY = 28.0
LEGEND = 34.0
LEGEND_TEXT = 10.5


@dataclass(frozen=True)
class Stage:
    """The content of a panel: blocks, and a table of the blocks that read each other."""

    name: str
    blocks: tuple[Block, ...]
    table: DenseStage | None

    @property
    def convolutions(self) -> list[str]:
        """The masked convolutions in it."""
        inside = [step.name for block in self.blocks for step in block.steps if step.kind == "conv"]
        columns = self.table.columns if self.table else ()
        return inside + [name for column in columns for name in (column.conv, *column.others)]

    @property
    def least_width(self) -> float:
        """The least width of the panel."""
        table = least_table_width(self.table) if self.table else 0.0
        return max(table, least_width(self.blocks) if self.blocks else 0.0) + 2 * PADDING


@dataclass(frozen=True)
class Panel:
    """A stage's panel: where it begins, and how wide and high it is."""

    stage: Stage
    left: float
    width: float

    @cached_property
    def lines(self) -> Lines | None:
        """The blocks in as many lines as they need."""
        return lines(self.stage.blocks, self.width - 2 * PADDING) if self.stage.blocks else None

    @property
    def height(self) -> float:
        """The height of all that is in it."""
        table = self.stage.table
        above = self.lines.height if self.lines else 0.0
        between = LINE_GAP if self.lines and table else 0.0
        return HEADING + above + between + (table_height(table) if table else 0.0) + PADDING / 2


def draw_supernet(kept: KeptChannels, form: str, title: str | None, lead: Lead | None = None) -> bytes:
    """The super-network's stages, with every convolution filled by its kept share. `form`: svg, png or pdf."""
    rows = _rows(_stages(kept))
    heights = [max(panel.height for panel in row) for row in rows]
    colours = kind_colours(kept)
    of_convolutions = {name: colours[kind(kept.graph, name)] for name in kept.convolutions}
    top = MARGIN + (TITLE if title else 0) + SUMMARY

    def draw(figure: Figure) -> None:
        axes = pixel_axes(figure)
        draw_title(axes, title)
        summary = "; ".join(kept.summary)
        size = 11.5 * min(1.0, 0.95 * (WIDTH - 2 * MARGIN) / text_width(summary, 11.5))
        write(axes, MARGIN, top - SUMMARY / 2 - 5, summary, size, color=MUTED)
        y = top
        if lead:
            lead.draw(figure, axes, y)
            y += lead.height
        for row, height in zip(rows, heights, strict=True):
            for panel in row:
                _draw_panel(axes, y, height, panel, kept, of_convolutions)
            y += height + GAP
        dead = any(conv.dead for conv in kept.convolutions.values())
        _draw_legend(axes, y + LEGEND / 2 - 4, colours, dead)

    above = top + (lead.height if lead else 0.0)
    return picture(WIDTH, above + sum(heights) + GAP * len(heights) + LEGEND, draw, form)


def kind_colours(kept: KeptChannels) -> dict[str, str]:
    """A colour for each kind of convolution that the super-network has, in the order of the kinds' names."""
    kinds = sorted({kind(kept.graph, name) for name in kept.convolutions})
    return {name: SERIES[number % len(SERIES)] for number, name in enumerate(kinds)}


def _stages(kept: KeptChannels) -> list[Stage]:
    """The stages that have something to show. A block that is a column of a table is not drawn again."""
    members = {name: list(group) for name, group in groupby(blocks(kept.graph), key=lambda block: block.stage)}
    tables = dense_stages(kept.graph, members)
    in_tables = {column.block for table in tables.values() for column in table.columns}
    stages = [
        Stage(name, tuple(block for block in group if block.name not in in_tables), tables.get(name))
        for name, group in members.items()
    ]
    return [stage for stage in stages if stage.blocks or stage.table]


def _rows(stages: Sequence[Stage]) -> list[list[Panel]]:
    """Rows of as many small stages as fit side by side; the width that is left over is shared out evenly."""
    rows: list[list[Stage]] = []
    for stage in stages:
        if rows and sum(member.least_width + GAP for member in [*rows[-1], stage]) - GAP <= ROOM:
            rows[-1].append(stage)
        else:
            rows.append([stage])
    return [_side_by_side(row) for row in rows]


def _side_by_side(row: Sequence[Stage]) -> list[Panel]:
    if len(row) == 1:
        return [Panel(row[0], MARGIN, ROOM)]
    spare = (ROOM - sum(stage.least_width + GAP for stage in row) + GAP) / len(row)
    panels: list[Panel] = []
    left = MARGIN
    for stage in row:
        panels.append(Panel(stage, left, stage.least_width + spare))
        left += panels[-1].width + GAP
    return panels


def _draw_panel(
    axes: Axes, y: float, height: float, panel: Panel, kept: KeptChannels, colours: Mapping[str, str]
) -> None:
    stage = panel.stage
    members = [kept.convolutions[name] for name in stage.convolutions]
    share = sum(conv.channels for conv in members) / sum(sum(conv.sizes) for conv in members)
    draw_panel(axes, y, height, readable(stage.name), f"{100 * share:.1f} % kept", panel.left, panel.width)
    x, inside = panel.left + PADDING, y + HEADING - 4
    if panel.lines:
        draw_blocks(axes, x, inside, panel.lines, kept.convolutions, colours)
        inside += panel.lines.height + LINE_GAP
    if stage.table:
        draw_table(axes, x, inside, panel.width - 2 * PADDING, stage.table, kept.convolutions, colours)


def _draw_legend(axes: Axes, y: float, colours: Mapping[str, str], dead: bool) -> None:
    x = MARGIN + PADDING
    for label, colour in colours.items():
        bar(axes, x, y - 6, 18, 12, 1, facecolor=tint(colour, 0.42), edgecolor=colour, line=1.2)
        write(axes, x + 24, y, label, LEGEND_TEXT)
        x += 24 + text_width(label, LEGEND_TEXT) + 16
    if dead:
        bar(axes, x, y - 6, 18, 12, 1, facecolor="none", edgecolor=GONE, line=1.2, linestyle=DASHES)
        write(axes, x + 24, y, "dropped", LEGEND_TEXT)
        x += 24 + text_width("dropped", LEGEND_TEXT) + 16
    write(axes, x, y, "numbers: input channels kept (%)", LEGEND_TEXT, color=MUTED)
