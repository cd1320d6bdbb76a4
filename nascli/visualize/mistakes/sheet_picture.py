"""A sheet of pictures that were answered wrong, each over its answer, its true class, and their probabilities."""

from collections.abc import Callable
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.artifacts.mistakes import Mistake
from nascli.visualize.canvas import WIDTH, picture, pixel_axes, printable, text_width, write
from nascli.visualize.mistakes.sheet import Sheet
from nascli.visualize.panel import HEADING, MARGIN, PADDING, TITLE, draw_panel, draw_title
from nascli.visualize.style import FAINT, HIGHLIGHT, INK, MUTED

COLUMNS = 6
GAP = 14.0
BOX = (WIDTH - 2 * MARGIN - 2 * PADDING - (COLUMNS - 1) * GAP) / COLUMNS
"""The side of the square that a picture fits into."""

LINE = 15.0
TEXT = 10.5
CAPTION = 3 * LINE + 8
ROW = BOX + CAPTION + 12
MARK = 13.0
LONGEST_NAME = 200


def draw_sheet(sheet: Sheet, form: str, title: str | None) -> bytes:
    """The sheet as svg, png or pdf. Raises DataError if no picture can be read."""
    shown = sheet.pictures
    top = MARGIN + (TITLE if title else 0)
    height = HEADING + ceil(len(shown) / COLUMNS) * ROW + PADDING - 8

    def draw(figure: Figure) -> None:
        page = pixel_axes(figure)
        draw_title(page, title)
        total = len(sheet.mistakes.rows)
        heading = f"{len(shown)} of {total:,} wrong answers" if total > 1 else "The wrong answer"
        draw_panel(page, top, height, heading, "✗ the answer, ✓ the truth, and the probabilities of both")
        for number, (mistake, pixels) in enumerate(shown):
            row, column = divmod(number, COLUMNS)
            x, y = MARGIN + PADDING + column * (BOX + GAP), top + HEADING + row * ROW
            _place(page, x, y, pixels)
            _name(page, x, y + BOX + 8, mistake)

    return picture(WIDTH, top + height + MARGIN, draw, form)


def _place(page: Axes, x: float, y: float, pixels: np.ndarray) -> None:
    """A picture in the middle of its box, as large as fits."""
    height, width = (side * BOX / max(pixels.shape[:2]) for side in pixels.shape[:2])
    left, upper = x + (BOX - width) / 2, y + (BOX - height) / 2
    page.imshow(pixels, extent=(left, left + width, upper + height, upper), aspect="auto", zorder=2)
    edges = [(left, upper), (left + width, upper), (left + width, upper + height), (left, upper + height)]
    page.fill(*zip(*edges, strict=True), fill=False, edgecolor=FAINT, linewidth=0.75, zorder=3)  # ends a white picture


def _name(page: Axes, x: float, y: float, mistake: Mistake) -> None:
    for line, (mark, name, colour) in enumerate((("✗", mistake.answer, HIGHLIGHT), ("✓", mistake.truth, INK))):
        middle = y + (line + 0.5) * LINE
        write(page, x, middle, mark, TEXT, color=colour)
        write(page, x + MARK, middle, fitting(name, BOX - MARK), TEXT, color=colour)
    shares = f"{100 * mistake.probability:.1f} % and {100 * mistake.truth_probability:.1f} %"
    write(page, x + MARK, y + 2.5 * LINE, shares, TEXT - 0.5, color=MUTED)


def fitting(name: str, room: float, width: Callable[[str, float], float] = text_width) -> str:
    """A name in at most `room` pixels: its middle goes, since both ends may be what tells it from others."""
    whole = printable(name, LONGEST_NAME)
    kept, short = len(whole), whole
    while kept > 1 and width(short, TEXT) > room:
        kept -= 1
        short = f"{whole[: (kept + 1) // 2]}…{whole[len(whole) - kept // 2 :]}"
    return short
