"""A categorical distribution as a picture: per cell a heat map of each draw, and the mode below."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.logits import Floats
from nascli.visualize.canvas import points, text_width, write
from nascli.visualize.cells.drawn_cell import DrawnCell
from nascli.visualize.cells.entropies import of_cell, of_nodes, summary
from nascli.visualize.cells.heat_map import (
    EDGE_NAMES,
    KEY,
    LABELS,
    Columns,
    draw_edge_names,
    draw_key,
    draw_node_names,
    draw_shares,
    least_room,
    scale,
)
from nascli.visualize.cells.page import Lead, Over, draw_cells
from nascli.visualize.panel import MARGIN
from nascli.visualize.style import FAINT, INK, MUTED, WIRE

ROW = 21.0
SUMMARY = 28.0
NODE_HEADING = 38.0
METER = 4.0
DRAW_GAP = 10.0  # above the map of a draw
DRAW_NAMES = 20.0  # left of the operations
ENTROPY_TEXT = 9.5
ENTROPY_FORMS = ("{:.2f} of {:.2f} nats", "{:.2f} of {:.2f}", "{:.1f} of {:.1f}")


def draw_categorical(distribution: CategoricalDistribution, form: str, title: str | None) -> bytes:
    """Heat maps of the probability of every option, with the mode outlined, and its cells. `form`: svg, png or pdf."""
    space = distribution.space
    largest = scale(*(option for name in space.cells for option in distribution.probabilities(name)))
    remarks = {name: of_cell(distribution, name) for name in space.cells}
    maps = _Maps(distribution, largest)

    def draw_summary(_: Figure, axes: Axes, y: float) -> None:
        write(axes, MARGIN, y + SUMMARY / 2 - 5, summary(distribution), 11.5, color=MUTED)

    return draw_cells(
        distribution.mode(),
        form,
        title,
        remarks,
        lead=Lead(SUMMARY, draw_summary),
        over=Over(maps.height, maps.draw),
        least_room=DRAW_NAMES + least_room(space),
    )


class _Maps:
    """What stands over a drawn cell: a heading for every node, and below it a map of each draw."""

    def __init__(self, distribution: CategoricalDistribution, largest: float) -> None:
        self.distribution, self.largest = distribution, largest
        space = distribution.space
        offered = {pick.op for decision in distribution.decisions for pick in decision.options}
        self.operations = tuple(op for op in space.operations if op in offered)
        self.draws = max(decision.draws for decision in distribution.decisions)

    @property
    def height(self) -> float:
        """The height of all of it."""
        return NODE_HEADING + self.draws * self._map_height + EDGE_NAMES + KEY

    @property
    def _map_height(self) -> float:
        """The height of one draw's map and the gap above it."""
        return DRAW_GAP + len(self.operations) * ROW

    def draw(self, axes: Axes, x: float, y: float, room: float, cell: DrawnCell) -> None:
        """Draw from y down, `room` pixels from x to the right."""
        columns = Columns(x + DRAW_NAMES, room - DRAW_NAMES, self.distribution.space)
        _draw_entropies(axes, columns, y, self.distribution, cell.name)
        y += NODE_HEADING
        for draw in range(self.draws):
            top = y + DRAW_GAP
            shares, picked = self._shares(cell, draw)
            draw_shares(axes, columns, top, self.operations, shares, self.largest, picked, ROW)
            y += self._map_height
            if self.draws > 1:
                _draw_name(axes, columns.x - DRAW_NAMES, top, y, f"draw {draw + 1}")
        draw_edge_names(axes, columns, y + 12)
        what = "probability, 1 in all per " + ("node and draw" if self.draws > 1 else "edge")
        draw_key(axes, columns.x + LABELS, y + EDGE_NAMES + 8, self.largest, what, "in the mode, drawn below")

    def _shares(self, cell: DrawnCell, draw: int) -> tuple[Floats, set[tuple[int, int, str]]]:
        """The probabilities of one draw of every decision, [edges, operations], and the choices of the mode."""
        space = self.distribution.space
        rows = {edge: row for row, edge in enumerate(space.edges())}
        shares, picked = np.zeros((len(rows), len(self.operations))), set()
        about = [decision for decision in self.distribution.decisions if decision.cell == cell.name]
        for decision, draws in zip(about, self.distribution.probabilities(cell.name), strict=True):
            for pick, share in zip(decision.options, draws[draw], strict=True):
                shares[rows[pick.input, decision.node], self.operations.index(pick.op)] = share
            best = decision.options[int(draws[draw].argmax())]
            picked.add((best.input, decision.node, best.op))
        return shares, picked


def _draw_entropies(axes: Axes, columns: Columns, y: float, distribution: CategoricalDistribution, name: str) -> None:
    """Over each node's group, its name, its entropy, and a bar that is filled by the entropy's share of its limit."""
    draw_node_names(axes, columns, y + 4)
    entropies = of_nodes(distribution, name)
    _, narrowest = columns.group(columns.nodes[0])
    form = next((form for form in ENTROPY_FORMS if _longest(form, entropies.values()) < narrowest), ENTROPY_FORMS[-1])
    for node, (entropy, limit) in entropies.items():
        left, width = columns.group(node)
        write(axes, left + width / 2, y + 20, form.format(entropy, limit), ENTROPY_TEXT, ha="center", color=INK)
        upper = y + NODE_HEADING - METER
        axes.add_patch(Rectangle((left, upper), width, METER, facecolor=FAINT, edgecolor="none"))
        axes.add_patch(Rectangle((left, upper), width * entropy / limit, METER, facecolor=WIRE, edgecolor="none"))


def _longest(form: str, entropies: Iterable[tuple[float, float]]) -> float:
    """Width in pixels of the longest entropy, written in a form."""
    return max(text_width(form.format(*entropy), ENTROPY_TEXT) for entropy in entropies)


def _draw_name(axes: Axes, x: float, top: float, bottom: float, name: str) -> None:
    """A draw's name, upright beside its map."""
    write(axes, x + 4, (top + bottom) / 2, name, 10.5, ha="center", color=MUTED, rotation=90)
    axes.add_line(Line2D((x + 13, x + 13), (top + 2, bottom - 2), color=FAINT, linewidth=points(1.5)))
