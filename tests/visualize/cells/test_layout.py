"""Nothing overlaps, whatever the cell: boxes against boxes, and sampled points of every wire against every box."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from nascli.artifacts.genotypes import published
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick
from nascli.visualize.canvas import text_width
from nascli.visualize.cells.cell import OPERATION_TEXT
from nascli.visualize.cells.drawn_cell import DrawnCell, drawn
from nascli.visualize.cells.layout import OPERATION, Box, CellLayout, Wire, lay_out_alike
from nascli.visualize.cells.page import ROOM
from nascli.visualize.style import readable
from tests.visualize.examples import (
    BENCHMARK,
    PARTLY_NONE,
    PARTLY_UNUSED,
    SPACE,
    benchmark_genotypes,
    cells,
    drawn_cell,
)

CLEARANCE = 2.0


def lay_out(cell: DrawnCell, width: float) -> CellLayout:
    """The layout of a cell that is drawn alone."""
    return lay_out_alike({"": cell}, width)[""]


def bernstein(wire: Wire, samples: int = 17) -> np.ndarray:
    """Points on a wire, [samples * pieces, 2]: cubic Bézier curves whose inner corners lie half way, level."""
    points = []
    for (x0, y0), (x1, y1) in pairwise(wire.knots):
        corners = np.array([(x0, y0), ((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)])
        t = np.linspace(0, 1, samples)[:, None]
        weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        points.append(weights @ corners)
    return np.concatenate(points)


def assert_nothing_overlaps(layout: CellLayout) -> None:
    for one, other in combinations(layout.boxes, 2):
        apart_x = abs(one.x - other.x) - (one.width + other.width) / 2
        apart_y = abs(one.y - other.y) - (one.height + other.height) / 2
        assert max(apart_x, apart_y) >= CLEARANCE, (one, other)
    centres = np.array([(box.x, box.y) for box in layout.boxes])
    halves = np.array([(box.width / 2, box.height / 2) for box in layout.boxes])
    for wire in layout.wires:
        own = np.array([box in (wire.source, wire.target) for box in layout.boxes])
        reach = halves + np.where(own, -1e-6, CLEARANCE)[:, None]
        inside = (np.abs(bernstein(wire)[:, None] - centres) < reach).all(axis=2)
        assert not inside.any(), wire


def assert_complete(cell: Cell, layout: CellLayout, inputs: int = 2) -> None:
    """The layout has the picks, inputs and nodes of the cell, wired as in the cell, inside its own bounds.

    Edges that are `none` have neither a box nor a wire.
    """
    kinds = [box.kind for box in layout.boxes]
    nodes = dict(enumerate(cell.nodes, start=inputs))
    picks = [(pick.op, state, pick.input) for state, node in nodes.items() for pick in node if pick.op != "none"]
    assert (kinds.count("input"), kinds.count("output")) == (inputs, 1)
    assert sorted(box.state for box in layout.boxes if box.kind == "node") == list(nodes)
    reads = [(w.target.operation, w.target.state, w.source.state) for w in layout.wires if w.target.kind == "operation"]
    assert sorted(reads) == sorted(picks)
    sums = [(w.source.operation, w.target.state) for w in layout.wires if w.source.kind == "operation"]
    assert sorted(sums) == sorted((op, state) for op, state, _ in picks)
    assert sorted(w.source.state for w in layout.wires if w.target.kind == "output") == sorted(cell.concat)
    for box in layout.boxes:
        assert box.x - box.width / 2 >= -1e-6
        assert box.x + box.width / 2 <= layout.width + 1e-6
        assert box.y - box.height / 2 >= -1e-6
        assert box.y + box.height / 2 <= layout.height + 1e-6


def assert_left_to_right(layout: CellLayout) -> None:
    for wire in layout.wires:
        assert all(a[0] <= b[0] + 1e-6 for a, b in pairwise(wire.knots))
        start, end = wire.knots[0], wire.knots[-1]
        assert start == pytest.approx((wire.source.x + wire.source.width / 2, wire.source.y))
        assert end[0] == pytest.approx(wire.target.x - wire.target.width / 2)
        assert abs(end[1] - wire.target.y) <= wire.target.height / 2


@pytest.mark.parametrize("name", published.names())
def test_published_cells_are_drawn_without_overlap(name: str) -> None:
    for cell_name, cell in published.load(name).genotype.cells.items():
        layout = lay_out(drawn_cell(cell, cell_name), ROOM)
        assert_nothing_overlaps(layout)
        assert_complete(cell, layout)
        assert_left_to_right(layout)
        assert layout.width == pytest.approx(ROOM)  # every published cell fits a README


@settings(max_examples=12, deadline=None, derandomize=True)
@given(cells())
def test_any_cell_is_drawn_without_overlap(cell: Cell) -> None:
    layout = lay_out(drawn_cell(cell), ROOM)
    assert_nothing_overlaps(layout)
    assert_complete(cell, layout)
    assert_left_to_right(layout)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(benchmark_genotypes())
def test_any_cell_of_the_benchmark_is_drawn_without_overlap_and_without_none(genotype: CellGenotype) -> None:
    (cell,) = drawn(genotype).values()
    layout = lay_out(cell, ROOM)
    assert_nothing_overlaps(layout)
    assert_complete(cell.cell, layout, inputs=1)
    assert_left_to_right(layout)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(benchmark_genotypes())
def test_what_no_path_from_the_input_to_the_output_crosses_is_marked(genotype: CellGenotype) -> None:
    """Against all paths of the cell, followed one by one."""
    (cell,) = drawn(genotype).values()
    paths: list[list[tuple[int, int, str]]] = [[]]
    finished = []
    while paths:
        path = paths.pop()
        end = path[-1][1] if path else 0
        if end == 3:
            finished.append(path)
        paths += [
            [*path, (pick.input, state, pick.op)]
            for state, node in enumerate(cell.cell.nodes, start=1)
            for pick in node
            if pick.input == end and pick.op != "none"
        ]
    crossed = {edge for path in finished for edge in path}
    boxes = lay_out(cell, ROOM).boxes
    states = {state for source, target, _ in crossed for state in (source, target)}
    assert {box.state for box in boxes if box.kind in {"input", "node"} and box.live} == states
    live = {
        (cell.nodes[box.state][box.pick].input, box.state, box.operation): box.live for box in boxes if box.operation
    }
    assert {edge for edge, is_live in live.items() if is_live} == crossed
    assert {box.live for box in boxes if box.kind == "output"} == {bool(finished)}


def test_the_check_sees_overlap() -> None:
    """A wire through a box that is not its own, and boxes on each other, are found."""
    boxes = tuple(Box("node", 2 + i, x, 50, 30, 30) for i, x in enumerate((20, 100, 180)))
    wire = Wire(boxes[0], boxes[2], ((35, 50), (165, 50)))
    with pytest.raises(AssertionError):
        assert_nothing_overlaps(CellLayout(200, 100, boxes, (wire,)))
    with pytest.raises(AssertionError):
        assert_nothing_overlaps(CellLayout(200, 100, (*boxes, Box("node", 9, 40, 60, 30, 30)), ()))


def test_a_cell_without_need_of_crossings_has_none() -> None:
    """Wires of one cell meet only where they start or end: checked on the sampled curves."""
    cell = Cell(
        nodes=(
            (Pick(op="skip_connect", input=1), Pick(op="sep_conv_3x3", input=1)),
            (Pick(op="skip_connect", input=0), Pick(op="sep_conv_3x3", input=0)),
            (Pick(op="skip_connect", input=2), Pick(op="max_pool_3x3", input=1)),
        ),
        concat=(3, 4),
    )
    layout = lay_out(drawn_cell(cell), ROOM)
    grid = np.linspace(0, layout.width, 400)
    for one, other in combinations(layout.wires, 2):
        if one.source == other.source or one.target == other.target:
            continue
        low = max(one.knots[0][0], other.knots[0][0])
        high = min(one.knots[-1][0], other.knots[-1][0])
        shared = grid[(grid > low) & (grid < high)]
        a, b = (np.interp(shared, *bernstein(wire).T) for wire in (one, other))
        assert (a < b).all() or (a > b).all()


def test_what_the_output_does_not_depend_on_is_marked() -> None:
    dead = {(box.kind, box.state) for box in lay_out(drawn_cell(PARTLY_UNUSED), ROOM).boxes if not box.live}
    assert dead == {("input", 1), ("operation", 3), ("node", 3)}


def test_what_reads_a_node_that_is_nothing_is_marked() -> None:
    """Node 1 has no edge but `none`; node 2 has another, but nothing reads it."""
    boxes = lay_out(drawn(PARTLY_NONE)["cell"], ROOM).boxes
    assert {(box.kind, box.state, box.operation) for box in boxes if not box.live} == {
        ("node", 1, ""),
        ("node", 2, ""),
        ("operation", 2, "nor_conv_3x3"),
        ("operation", 2, "skip_connect"),
        ("operation", 3, "nor_conv_1x1"),
    }
    nothing = lay_out(drawn(BENCHMARK.genotype([0] * 6))["cell"], ROOM).boxes
    assert [box for box in nothing if box.live or box.operation] == []
    assert len(nothing) == 5


@pytest.mark.parametrize("operation", [*SPACE.known_operations, *BENCHMARK.operations])
def test_every_operation_name_fits_its_box(operation: str) -> None:
    assert text_width(readable(operation), OPERATION_TEXT) <= OPERATION[0] - 6


def test_the_largest_legal_cell_is_laid_out_in_bounded_time() -> None:
    """32 nodes of 16 picks in a chain: the bound on visits keeps it to seconds."""
    nodes = tuple(tuple(Pick(op="skip_connect", input=(7 * k) % (j + 2)) for k in range(16)) for j in range(32))
    layout = lay_out(drawn_cell(Cell(nodes=nodes, concat=(33,))), ROOM)
    assert len(layout.boxes) == 2 + 32 + 32 * 16 + 1
