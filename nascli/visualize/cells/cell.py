"""A cell as a picture: inputs on the left, one box per operation, output on the right."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.patches import Circle, PathPatch
from matplotlib.path import Path

from nascli.visualize.canvas import bar, points, symbol, text_width, write
from nascli.visualize.cells.drawn_cell import DrawnCell
from nascli.visualize.cells.layout import Box, CellLayout, Point, Wire
from nascli.visualize.panel import MARGIN
from nascli.visualize.style import FAINT, FAMILIES, INK, MUTED, PANEL, PAPER, WIRE, family, readable, tint

LEGEND = 34.0
LEGEND_TEXT = 11.0
OPERATION_TEXT = 11.5
GREYED = "#b6bfca"
OUTSIDE = "#dfe3e8"
CONCAT = "#a3afbf"


def draw_cell(axes: Axes, x: float, y: float, cell: DrawnCell, layout: CellLayout) -> None:
    """The cell itself with its upper left corner at (x, y)."""
    _draw_wires(axes, x, y, layout.wires)
    for box in layout.boxes:
        match box.kind:
            case "operation":
                _draw_operation(axes, x + box.x, y + box.y, box)
            case "node":
                _draw_node(axes, x + box.x, y + box.y, box, box.live and not cell.left_out(box.state))
            case "input" | "output":
                _draw_end(axes, x + box.x, y + box.y, box, cell)


def draw_legend(axes: Axes, y: float, cells: Iterable[DrawnCell]) -> None:
    """One line at height `y`: the families of the operations that occur, and the special kinds of nodes that do."""
    cells = tuple(cells)
    used = {family(pick.op) for cell in cells for node in cell.nodes.values() for pick in node}
    x = MARGIN + 16
    for entry in FAMILIES:
        if entry in used:
            bar(axes, x, y - 6, 20, 12, 4, facecolor=tint(entry.colour, 0.22), edgecolor=entry.colour)
            write(axes, x + 27, y, entry.label, LEGEND_TEXT)
            x += 27 + text_width(entry.label, LEGEND_TEXT) + 20
    outside = any(cell.left_out(state) and state in cell.live for cell in cells for state in cell.nodes)
    unused = any(state not in cell.live for cell in cells for state in cell.nodes)
    for label, there, colour in (("not in the output", outside, INK), ("unused", unused, GREYED)):
        if there:
            axes.add_patch(Circle((x + 7, y), 7, facecolor=OUTSIDE, edgecolor=colour, linewidth=points(1.5)))
            write(axes, x + 20, y, label, LEGEND_TEXT)
            x += 20 + text_width(label, LEGEND_TEXT) + 20


def _draw_wires(axes: Axes, x: float, y: float, wires: Iterable[Wire]) -> None:
    """Faint wires first. Wires that belong together share a rim in the panel's colour: crossings look like bridges."""
    groups: dict[tuple[int, Box], dict[tuple[str, Point, Point], None]] = {}
    for wire in wires:
        rank, hub, colour = _wire_style(wire)
        pieces = zip(wire.knots, wire.knots[1:], strict=False)
        groups.setdefault((rank, hub), {}).update(dict.fromkeys((colour, *piece) for piece in pieces))
    for _, group in sorted(groups.items(), key=lambda entry: entry[0][0]):
        curves = [(colour, _curve(x, y, start, end)) for colour, start, end in group if start != end]
        rim = Path.make_compound_path(*(curve for _, curve in curves))
        axes.add_patch(PathPatch(rim, facecolor="none", edgecolor=PANEL, linewidth=points(5), capstyle="butt"))
        for colour in dict.fromkeys(colour for colour, _ in curves):
            line = Path.make_compound_path(*(curve for other, curve in curves if other == colour))
            axes.add_patch(PathPatch(line, facecolor="none", edgecolor=colour, linewidth=points(1.7), capstyle="butt"))


def _wire_style(wire: Wire) -> tuple[int, Box, str]:
    """A wire's rank in the order of drawing, the box with whose wires it is drawn, and its colour."""
    hub = wire.target if wire.source.kind == "operation" else wire.source
    if not (wire.source.live and wire.target.live):
        return 0, hub, FAINT
    if wire.target.kind == "output":
        return 1, hub, CONCAT
    if wire.source.kind == "operation":
        return 3, hub, family(wire.source.operation).colour
    return 2, hub, WIRE


def _curve(x: float, y: float, start: Point, end: Point) -> Path:
    middle = (start[0] + end[0]) / 2
    corners = (start, (middle, start[1]), (middle, end[1]), end)
    return Path([(x + a, y + b) for a, b in corners], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def _draw_operation(axes: Axes, x: float, y: float, box: Box) -> None:
    colour = family(box.operation).colour if box.live else GREYED
    corner = x - box.width / 2, y - box.height / 2
    bar(axes, *corner, box.width, box.height, 7, facecolor=tint(colour, 0.16), edgecolor=colour)
    write(axes, x, y, readable(box.operation), OPERATION_TEXT, ha="center", color=INK if box.live else MUTED)


def _draw_node(axes: Axes, x: float, y: float, box: Box, in_output: bool) -> None:
    colour = INK if box.live else GREYED
    fill = PAPER if in_output else OUTSIDE
    axes.add_patch(Circle((x, y), box.width / 2, facecolor=fill, edgecolor=colour, linewidth=points(1.6)))
    write(axes, x, y, str(box.state), 13, ha="center", weight="bold", color=colour)


def _draw_end(axes: Axes, x: float, y: float, box: Box, cell: DrawnCell) -> None:
    fill = INK if box.live else GREYED
    bar(axes, x - box.width / 2, y - box.height / 2, box.width, box.height, 8, facecolor=fill, edgecolor=fill)
    if box.kind == "output":
        formula, note = "c_k", "concat" if len(cell.concat) > 1 else "output"
    else:
        formula, note = cell.input_names[box.state].replace("(", "_{").replace(")", "}"), f"state {box.state}"
    symbol(axes, x, y - 6, formula, 15, color=PAPER)
    write(axes, x, y + 10, note, 9, ha="center", color=FAINT if box.live else PAPER)
