"""Where everything of a drawn cell stands, in pixels; y grows downwards.

Columns of states and of operations alternate from left to right. Inside a column a wire is level, at a height of its
own; it bends only in the gaps between columns, where no box is. So in no cell do boxes overlap, or wires cross a box
that they don't belong to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nascli.visualize.cells.drawn_cell import DrawnCell
from nascli.visualize.cells.layers import Item, LayeredCell, layered, orders
from nascli.visualize.cells.rows import assign_rows, travel

INPUT = (54.0, 40.0)
NODE = (30.0, 30.0)
OPERATION = (96.0, 25.0)
OUTPUT = (48.0, 56.0)
OUTPUT_MARGIN = 16.0
LANE_HEIGHT = 4.0
LEAST_GAP = 20.0
STEEPEST = 3.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A drawn box around its centre. `state` is the state that it shows, or for an operation the node that it feeds.

    `live`: whether it is on a path from an input to the output.
    """

    kind: Literal["input", "operation", "node", "output"]
    state: int
    x: float
    y: float
    width: float
    height: float
    live: bool = True
    operation: str = ""
    pick: int = 0


@dataclass(frozen=True)
class Wire:
    """A connection. Between two knots it is a cubic curve that leaves and arrives level."""

    source: Box
    target: Box
    knots: tuple[Point, ...]


@dataclass(frozen=True)
class CellLayout:
    """All boxes and wires, inside 0..width × 0..height."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def lay_out_alike(cells: Mapping[str, DrawnCell], width: float) -> dict[str, CellLayout]:
    """The drawings of all cells, `width` pixels wide, or as wide as the cell that needs most."""
    arranged = {name: (cell, *_arrange(cell)) for name, cell in cells.items()}
    widest = max(_place(*arrangement, width).width for arrangement in arranged.values())
    return {name: _place(*arrangement, widest) for name, arrangement in arranged.items()}


def _place(cell: DrawnCell, graph: LayeredCell, rows: Mapping[Item, float], width: float) -> CellLayout:
    lefts, rights = _columns(graph, rows, width)
    boxes = _boxes(cell, graph, rows, lefts, rights)
    top = min(*(box.y - box.height / 2 for box in boxes.values()), *rows.values())
    boxes = {item: replace(box, y=box.y - top) for item, box in boxes.items()}
    rows = {item: y - top for item, y in rows.items()}
    height = max(*(box.y + box.height / 2 for box in boxes.values()), *rows.values())
    wires = tuple(_wires(graph, rows, boxes, lefts, rights))
    return CellLayout(rights[-1], height, tuple(dict.fromkeys(boxes.values())), wires)


def _arrange(cell: DrawnCell) -> tuple[LayeredCell, dict[Item, float]]:
    """The order with the fewest crossings and, among equals, the rows that let wires rise and fall least."""
    plain = layered(cell)
    size = sum(len(layer) for layer in plain.layers)
    starts = 12 if size <= 60 else 2 if size <= 200 else 1
    graphs = list(orders(plain, starts))
    fewest = min(graph.crossings() for graph in graphs)
    drawn = [(graph, assign_rows(graph, _distance)) for graph in set(graphs) if graph.crossings() == fewest]
    return min(drawn, key=lambda pair: (round(travel(*pair), 1), pair[0].layers))


def _size(item: Item) -> tuple[float, float]:
    match item.kind:
        case "input":
            return INPUT
        case "node":
            return NODE
        case "operation":
            return OPERATION
        case "lane":
            return 0.0, LANE_HEIGHT
        case "port":
            return OUTPUT[0], LANE_HEIGHT


def _distance(upper: Item, lower: Item) -> float:
    """The least distance between the centres of two neighbours in a column."""
    kinds = {upper.kind, lower.kind}
    if kinds == {"operation"}:
        gap = 8.0 if upper.state == lower.state else 18.0
    elif kinds <= {"input", "node"}:
        gap = 44.0
    else:
        gap = 11.0
    return (_size(upper)[1] + _size(lower)[1]) / 2 + gap


def _columns(graph: LayeredCell, rows: Mapping[Item, float], width: float) -> tuple[list[float], list[float]]:
    """Left and right x of every column. The room beyond the least gaps is shared out by the tallest steps.

    If a step would be steeper than `STEEPEST` within `width`, the drawing gets wider instead.
    """
    widths = [max((_size(item)[0] for item in layer), default=0.0) for layer in graph.layers]
    steps = [0.0] * (len(widths) - 1)
    for left, right in graph.links:
        steps[left.layer] = max(steps[left.layer], abs(rows[left] - rows[right]))
    least = [max(LEAST_GAP, step / STEEPEST) for step in steps]
    room = max(width - sum(widths) - sum(least), 0.0)
    shares = [step + 40 for step in steps]
    gaps = [gap + room * share / sum(shares) for gap, share in zip(least, shares, strict=True)]
    lefts = [0.0]
    for column, gap in zip(widths, gaps, strict=False):
        lefts.append(lefts[-1] + column + gap)
    return lefts, [left + column for left, column in zip(lefts, widths, strict=True)]


def _boxes(
    cell: DrawnCell, graph: LayeredCell, rows: Mapping[Item, float], lefts: list[float], rights: list[float]
) -> dict[Item, Box]:
    """The box of every item but the lanes; all ports belong to the one box of the output."""
    boxes = {}
    for layer, left, right in zip(graph.layers[:-1], lefts, rights, strict=False):
        for item in layer:
            if item.kind == "lane":
                continue
            place, live = ((left + right) / 2, rows[item], *_size(item)), item.state in cell.live
            if item.kind == "operation":
                pick = cell.nodes[item.state][item.pick]
                boxes[item] = Box("operation", item.state, *place, live and pick.input in cell.live, pick.op, item.pick)
            else:
                boxes[item] = Box("input" if item.kind == "input" else "node", item.state, *place, live)
    ports = graph.layers[-1]
    upper, lower = rows[ports[0]], rows[ports[-1]]
    height = max(lower - upper + 2 * OUTPUT_MARGIN, OUTPUT[1])
    live = not cell.live.isdisjoint(cell.concat)
    output = Box("output", -1, (lefts[-1] + rights[-1]) / 2, (upper + lower) / 2, OUTPUT[0], height, live)
    return boxes | dict.fromkeys(ports, output)


def _wires(
    graph: LayeredCell,
    rows: Mapping[Item, float],
    boxes: Mapping[Item, Box],
    lefts: list[float],
    rights: list[float],
) -> list[Wire]:
    """Every wire, followed from its target back through the lanes to its source."""
    before, _ = graph.neighbours()
    wires = []
    for target in boxes:
        for previous in before[target]:
            item = previous
            knots = [(boxes[target].x - boxes[target].width / 2, rows[target]), (lefts[target.layer], rows[target])]
            while item.kind == "lane":
                knots += [(rights[item.layer], rows[item]), (lefts[item.layer], rows[item])]
                (item,) = before[item]
            source = boxes[item]
            knots += [(rights[item.layer], rows[item]), (source.x + source.width / 2, rows[item])]
            wires.append(Wire(source, boxes[target], tuple(reversed(knots))))
    return wires
