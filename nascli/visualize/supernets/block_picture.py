"""A stage of a super-network as blocks side by side. Each convolution is a box, filled by its kept share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from nascli.visualize.canvas import points, text_width, write
from nascli.visualize.style import FAINT, INK, MUTED, PAPER, WIRE, tint
from nascli.visualize.supernets.blocks import Block
from nascli.visualize.supernets.kept import Kept, readable

BLOCK_GAP = 10.0
MOST_IN_LINE = 6
LINE_GAP = 8.0  # between two lines of blocks
NAME = 20.0
ROW = 24.0
BOX = 17.0
BOX_WIDTHS = (22.0, 96.0)
COMFORTABLE_BOX = 50.0
COLUMN_GAP = 12.0
END = 11.0  # of the lines that enter and leave a block
NUMBER = 9.5
DASHES: Any = (0, (2.2, 1.8))
GONE = "#9aa5b4"
POOL = "#eef1f5"


@dataclass(frozen=True)
class Lines:
    """A stage's blocks in lines, and the width of the boxes in them."""

    lines: tuple[tuple[Block, ...], ...]
    box: float

    @property
    def height(self) -> float:
        """The height of all lines."""
        return sum(map(_line_height, self.lines)) + (len(self.lines) - 1) * LINE_GAP


def lines(blocks: Sequence[Block], room: float) -> Lines:
    """As many blocks to a line as fit into `room` pixels, with boxes as wide as these lines allow."""
    narrowest, widest = BOX_WIDTHS
    rows: list[list[Block]] = [[]]
    for block in blocks:
        if len(rows[-1]) == MOST_IN_LINE or (rows[-1] and _line_width([*rows[-1], block], narrowest) > room):
            rows.append([])
        rows[-1].append(block)
    fitting = min((room - _line_width(row, 0)) / sum(block.width for block in row) for row in rows)
    return Lines(tuple(map(tuple, rows)), min(widest, max(narrowest, fitting)))


def least_width(blocks: Sequence[Block]) -> float:
    """The width at which the blocks of a stage look good on one line; infinite if they need several."""
    return _line_width(blocks, COMFORTABLE_BOX) if len(blocks) <= MOST_IN_LINE else inf


def draw_blocks(
    axes: Axes, x: float, y: float, stage: Lines, kept: Mapping[str, Kept], colours: Mapping[str, str]
) -> None:
    """The blocks of a stage, from (x, y) to the right and down. `colours` has that of each convolution."""
    for line in stage.lines:
        left = x
        for block in line:
            name = readable(block.name.removeprefix(f"{block.stage}."))
            write(axes, left + END, y + NAME / 2 - 2, name, 9.5, color=MUTED)
            _draw_block(axes, left, y + NAME, block, stage.box, kept, colours)
            left += _block_width(block, stage.box) + BLOCK_GAP
        y += _line_height(line) + LINE_GAP


def _block_width(block: Block, box: float) -> float:
    return 2 * END + block.width * box + (block.width - 1) * COLUMN_GAP


def _line_width(line: Sequence[Block], box: float) -> float:
    return sum(_block_width(block, box) for block in line) + (len(line) - 1) * BLOCK_GAP


def _line_height(line: Sequence[Block]) -> float:
    return NAME + ROW * (1 + max(max(block.rows.values()) for block in line))


def _draw_block(
    axes: Axes,
    x: float,
    y: float,
    block: Block,
    box: float,
    kept: Mapping[str, Kept],
    colours: Mapping[str, str],
) -> None:
    left = {step.name: x + END + block.columns[step.name] * (box + COLUMN_GAP) for step in block.steps}
    middle = {step.name: y + (block.rows[step.name] + 0.5) * ROW for step in block.steps}
    right = x + END + block.width * box + (block.width - 1) * COLUMN_GAP
    dead = _dead(block, kept)
    sources = list(dict.fromkeys(name for step in block.steps for name in step.before))
    wires: list[tuple[bool, list[tuple[float, float]]]] = []
    starts = [middle[step.name] for step in block.steps if not step.before]
    ends = [middle[name] for name in block.last]
    hub, end = sum(starts) / len(starts), sum(ends) / len(ends)
    for step in block.steps:
        at = left[step.name], middle[step.name]
        if not step.before:
            wires.append((step.name in dead, [(x, hub), (x + END / 2, hub), (x + END / 2, at[1]), at]))
        for name in step.before:
            # The lines from two steps that several others read are kept apart.
            same = [other for other in sources if block.columns[other] == block.columns[name] and _shared(block, other)]
            offset = (same.index(name) + 1) / (len(same) + 1) if name in same else 0.5
            bend = at[0] - COLUMN_GAP * (1 - offset)
            gone = step.name in dead or name in dead
            wires.append((gone, [(left[name] + box, middle[name]), (bend, middle[name]), (bend, at[1]), at]))
        if step.name in block.last:
            away = left[step.name] + (0 if step.kind == "wire" else box)
            bend = right + END / 2
            wires.append((step.name in dead, [(away, at[1]), (bend, at[1]), (bend, end), (bend + END / 2, end)]))
    for gone, knots in sorted(wires, key=lambda wire: not wire[0]):
        look = {"color": GONE, "linestyle": DASHES} if gone else {"color": WIRE}
        axes.add_artist(Line2D(*zip(*knots, strict=True), linewidth=points(1.2), zorder=1, **look))
    for step in block.steps:
        corner = left[step.name], middle[step.name] - BOX / 2
        if step.kind == "conv":
            draw_box(axes, *corner, box, BOX, kept[step.name], colours[step.name])
        elif step.kind == "pool":
            _draw_pool(axes, *corner, box, step.name in dead)


def _shared(block: Block, name: str) -> bool:
    """Whether several steps read this one."""
    return sum(name in step.before for step in block.steps) > 1


def _dead(block: Block, kept: Mapping[str, Kept]) -> set[str]:
    """The convolutions that are gone, and the steps that read nothing else."""
    dead: set[str] = set()
    for step in sorted(block.steps, key=lambda step: block.columns[step.name]):
        gone = kept[step.name].dead if step.kind == "conv" else bool(step.before) and dead.issuperset(step.before)
        if gone:
            dead.add(step.name)
    return dead


def draw_box(axes: Axes, x: float, y: float, width: float, height: float, kept: Kept, colour: str) -> None:
    """A box with the kept share in it. A strip for each source is filled from the left by that source's kept share."""
    axes.add_artist(Rectangle((x, y), width, height, facecolor=PAPER, edgecolor="none", zorder=2))
    if not kept.dead:
        tops = accumulate((height * size / sum(kept.sizes) for size in kept.sizes), initial=0.0)
        for top, size, share in zip(tops, kept.sizes, kept.shares, strict=False):
            strip = height * size / sum(kept.sizes)
            filling = tint(colour, 0.42)
            axes.add_artist(
                Rectangle((x, y + top), width * share, strip, facecolor=filling, edgecolor="none", zorder=2)
            )
    line = {"edgecolor": GONE, "linestyle": DASHES} if kept.dead else {"edgecolor": colour}
    axes.add_artist(Rectangle((x, y), width, height, facecolor="none", linewidth=points(1.2), zorder=3, **line))
    number = "–" if kept.dead else percent(kept.share)
    ink = MUTED if kept.dead else INK
    write(axes, x + width / 2, y + height / 2, number, NUMBER, ha="center", color=ink, zorder=4)


def percent(share: float) -> str:
    """A share in per cent, without the sign.

    >>> percent(0.571)
    '57'
    """
    return f"{100 * share:.0f}"


def _draw_pool(axes: Axes, x: float, y: float, width: float, dead: bool) -> None:
    axes.add_artist(
        Rectangle(
            (x, y),
            width,
            BOX,
            facecolor=POOL,
            edgecolor=GONE if dead else FAINT,
            linestyle=DASHES if dead else "-",
            linewidth=points(1.0),
            zorder=2,
        )
    )
    name = "pool" if text_width("pool", NUMBER) < width - 2 else "p"
    write(axes, x + width / 2, y + BOX / 2, name, NUMBER, ha="center", color=MUTED, zorder=4)
