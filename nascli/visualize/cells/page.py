"""The page that all pictures of cells share: a title, a panel per cell type with the drawn cell in it, a legend."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nascli.spaces.cell_genotype import CellGenotype
from nascli.visualize.canvas import WIDTH, picture, pixel_axes
from nascli.visualize.cells.cell import LEGEND, draw_cell, draw_legend
from nascli.visualize.cells.drawn_cell import DrawnCell, drawn
from nascli.visualize.cells.layout import lay_out_alike
from nascli.visualize.panel import HEADING, MARGIN, PADDING, TITLE, draw_panel, draw_title

ROOM = WIDTH - 2 * (MARGIN + PADDING)
"""The width in pixels of the inside of a panel."""


class Lead(NamedTuple):
    """What stands above all panels. `draw(figure, axes, y)` draws `height` pixels from y down."""

    height: float
    draw: Callable[[Figure, Axes, float], None]


class Over(NamedTuple):
    """What stands above the drawn cell in its panel.

    `draw(axes, x, y, room, cell)` draws `height` pixels from y down, `room` pixels from x to the right.
    """

    height: float
    draw: Callable[[Axes, float, float, float, DrawnCell], None]


def draw_cells(
    genotype: CellGenotype,
    form: str,
    title: str | None,
    remarks: Mapping[str, str],
    *,
    lead: Lead | None = None,
    over: Over | None = None,
    least_room: float = ROOM,
) -> bytes:
    """The cells of a genotype, a panel each, one below the other, and a legend. `form`: svg, png or pdf.

    `remarks` are for the headings, by the cells' names. The page gets wider if a cell or `least_room` needs it.
    """
    cells = drawn(genotype)
    layouts = lay_out_alike(cells, max(ROOM, least_room))
    room = max(layout.width for layout in layouts.values())
    above = over.height if over else 0.0
    heights = {name: HEADING + above + layout.height + PADDING for name, layout in layouts.items()}
    width = room + WIDTH - ROOM
    top = MARGIN + (TITLE if title else 0) + (lead.height if lead else 0)

    def draw(figure: Figure) -> None:
        axes = pixel_axes(figure)
        draw_title(axes, title)
        if lead:
            lead.draw(figure, axes, top - lead.height)
        y = top
        for name, cell in cells.items():
            draw_panel(axes, y, heights[name], cell.title.capitalize(), remarks[name])
            if over:
                over.draw(axes, MARGIN + PADDING, y + HEADING, room, cell)
            draw_cell(axes, (width - layouts[name].width) / 2, y + HEADING + above, cell, layouts[name])
            y += heights[name] + MARGIN
        draw_legend(axes, y + LEGEND / 2 - 8, cells.values())

    return picture(width, top + sum(heights.values()) + len(heights) * MARGIN + LEGEND, draw, form)
