"""Pictures as bytes, drawn by matplotlib without pyplot: the same content gives the same bytes.

All sizes are CSS pixels (1/96 inch); PNG has two dots per pixel.
"""

import io
from collections.abc import Callable
from math import sqrt
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from nascli.visualize.style import INK, PAPER, one_line

PIXELS_PER_INCH = 96
PNG_SCALE = 2
MOST_PIXELS = 60e6  # of a PNG; a cell of 32 nodes would take gigabytes at full scale
LONGEST_SIDE = 65_000  # pixels; matplotlib's own limit is 2**16
WIDTH = 830.0
"""The width of a README on GitHub."""

FONT = "DejaVu Sans"  # comes with matplotlib: the same picture everywhere
SETTINGS = {
    "font.family": [FONT],
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",
    "svg.hashsalt": "nascli",
    "text.color": INK,
}
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def picture(width: float, height: float, draw: Callable[[Figure], None], form: str) -> bytes:
    """The picture that `draw` makes on an empty figure of width × height pixels, as svg, png or pdf."""
    with style.context(["default", SETTINGS]):  # a matplotlibrc has no say
        figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
        figure.set_facecolor(PAPER)  # solid, so that dark pages don't shine through
        draw(figure)
        stream = io.BytesIO()
        scale = min(PNG_SCALE, sqrt(MOST_PIXELS / (width * height)), LONGEST_SIDE / max(width, height))
        figure.savefig(stream, format=form, dpi=PIXELS_PER_INCH * scale, metadata=METADATA[form])
    return stream.getvalue()


def pixel_axes(figure: Figure) -> Axes:
    """Bare axes over the whole figure; units are pixels from the upper left corner."""
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return axes


def write(axes: Axes, x: float, y: float, text: str, size: float, **settings: Any) -> Text:
    """Text with its vertical centre at y; `size` in pixels. Dollar signs are plain text; `symbol` writes formulae."""
    return axes.text(x, y, text, fontsize=points(size), va="center_baseline", parse_math=False, **settings)


def symbol(axes: Axes, x: float, y: float, formula: str, size: float, **settings: Any) -> Text:
    """A formula in matplotlib's TeX subset, centred at (x, y)."""
    return axes.text(x, y, f"${formula}$", fontsize=points(size), ha="center", va="center", **settings)


def bar(
    axes: Axes, x: float, y: float, width: float, height: float, radius: float, line: float = 1.5, **colours: Any
) -> None:
    """A box with rounded corners whose upper left corner is (x, y)."""
    shape = f"round,pad=0,rounding_size={radius}"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, linewidth=points(line), **colours))


def text_width(text: str, size: float) -> float:
    """The width in pixels of a line that `write` draws at `size`."""
    font = FontProperties(family=FONT, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def points(pixels: float) -> float:
    """Pixels in points, matplotlib's unit of fonts and lines."""
    return pixels * 72 / PIXELS_PER_INCH


def printable(text: str, longest: int) -> str:
    """The text as one line of at most `longest` characters; those that the font lacks become "?"."""
    font = get_font(findfont(FontProperties(family=FONT)))
    line = "".join(char if font.get_char_index(ord(char)) else "?" for char in one_line(text))
    return line if len(line) <= longest else line[: longest - 1] + "…"
