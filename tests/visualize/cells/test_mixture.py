"""The heat map shows the numbers of the distribution and outlines what the mode picks."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from math import exp

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.spaces.protocol import CellSpace
from nascli.visualize import visualize
from nascli.visualize.cells import heat_map, page
from nascli.visualize.cells.mixture import draw_mixture
from nascli.visualize.style import HIGHLIGHT, readable
from tests.visualize import examples
from tests.visualize.examples import few_operations
from tests.visualize.figures import figures_of, overlaps, rectangles, texts


@pytest.fixture(scope="module")
def drawn() -> Iterator[Callable[[MixtureDistribution], Figure]]:
    with figures_of(draw_mixture, page) as draw:
        yield draw


@cache
def mixture(
    nodes: int = 0, beta: bool = True, space: str | CellSpace = "darts", sharpness: float = 1.0
) -> MixtureDistribution:
    """One object for the same arguments, so that it is drawn once; the mode of the benchmark's has `none`."""
    return examples.mixture(nodes, beta, 3, space, sharpness)


def picks(distribution: MixtureDistribution) -> list[tuple[str, str]]:
    """All edges that the mode has, each with its operation, `none` included."""
    space = distribution.space
    return [
        (f"{pick.input}→{state}", pick.op)
        for cell in distribution.mode().cells.values()
        for state, node in enumerate(cell.nodes, start=space.inputs)
        for pick in node
    ]


@pytest.mark.parametrize("beta", [True, False])
@pytest.mark.parametrize(("space", "nodes"), [("darts", 2), ("nas-bench-201", 3)])
def test_numbers_are_alpha_times_beta(drawn, space: str, nodes: int, beta: bool) -> None:
    """Against softmax written out by hand, number by number, over all cells."""
    distribution = mixture(nodes, beta, space)
    edges = [(source, node) for node in (2, 3) for source in range(node)]
    if space == "nas-bench-201":
        edges = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    shown = [text.get_text() for text in texts(drawn(distribution).axes[0])]
    for cell, logits in distribution.alpha.items():
        for number, (_, node) in enumerate(edges):
            alpha = [exp(value) for value in logits[number]]
            weight = 1.0
            if beta:
                rivals = [exp(distribution.beta[cell][i]) for i, edge in enumerate(edges) if edge[1] == node]
                weight = exp(distribution.beta[cell][number]) / sum(rivals)
            for value in alpha:
                text = f"{weight * value / sum(alpha):.2f}"
                shown.remove("1.0" if text == "1.00" else text[1:])
    left = [text for text in shown if text.startswith((".", "1.0"))]
    assert len(left) == (len(distribution.alpha) * len(edges) if beta else 0)  # the numbers on the bars of beta


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_outlines_are_the_picks_of_the_mode(drawn, space: str) -> None:
    """If an edge of a derived cell may be `none`, that is outlined, too."""
    distribution = mixture(2 if space == "darts" else 3, True, space)
    figure = drawn(distribution)
    frames = [patch for patch in rectangles(figure.axes[0]) if to_rgb(patch.get_edgecolor()) == to_rgb(HIGHLIGHT)]
    names = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in figure.axes[0].texts}
    columns = {x: text for (x, _), text in names.items() if "→" in text}
    found = []
    for frame in frames:
        middle = frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2
        edge = columns.get(round(middle[0]))
        rows = [text for (_, y), text in names.items() if abs(y - middle[1]) < 2 and not text.startswith((".", "1"))]
        if edge and rows and rows[0] in map(readable, distribution.space.operations):
            found.append((edge, rows[0]))
    expected = [(edge, readable(op)) for edge, op in picks(distribution)]
    assert sorted(found) == sorted(expected)
    assert ("none" in {op for _, op in expected}) is (space == "nas-bench-201")


def test_headings_compare_with_the_entropy_of_the_undecided(drawn) -> None:
    """Log 8 on an edge of DARTS, log 5 on one of NAS-Bench-201."""
    for space, limit, times in (("darts", "2.08", 2), ("nas-bench-201", "1.61", 1)):
        nodes = 1 if space == "darts" else 0
        shown = [text.get_text() for text in texts(drawn(mixture(nodes, space=space, sharpness=0.0)).axes[0])]
        assert shown.count(f"entropy {limit} of {limit} nats per edge") == times


@pytest.mark.parametrize("nodes", [1, 7])
def test_nothing_of_a_map_overlaps(drawn, nodes: int) -> None:
    """Up to six nodes fit the usual width."""
    figure = drawn(mixture(space=few_operations(nodes)))
    assert overlaps(figure) == []
    width = figure.axes[0].get_xlim()[1]
    names = sorted(t.get_position()[0] for t in figure.axes[0].texts if "→" in t.get_text())[::2]
    assert len(names) == nodes * (nodes + 3) / 2
    assert min(b - a for a, b in pairwise(names)) >= heat_map.COLUMN_RANGE[0] - 1e-6
    assert names[-1] < width - 18


@pytest.mark.parametrize(
    ("nodes", "beta", "space"),
    [(4, True, few_operations(4)), (2, True, "darts"), (2, False, "darts"), (3, True, "nas-bench-201")],
    ids=["four", "darts", "no beta", "nas-bench-201"],
)
def test_no_text_lies_on_another(drawn, nodes: int, beta: bool, space: str | CellSpace) -> None:
    assert overlaps(drawn(mixture(nodes, beta, space))) == []


@pytest.mark.parametrize("space", ["darts", "nas-bench-201"])
def test_text_lists_every_edge_and_stars_the_kept(space: str) -> None:
    """DARTS keeps two edges of a node, never as `none`; NAS-Bench-201 keeps all, with the heaviest operation."""
    distribution = mixture(space=space)
    lines = visualize(distribution, format="txt").decode().splitlines()
    rows = [line.split() for line in lines if line[:3].replace("→", "").isdigit()]
    edges = [f"{a}→{b}" for a, b in distribution.space.edges()]
    assert [row[0] for row in rows] == edges * len(distribution.alpha)
    starred = [(row[0], row[2]) for row in rows if row[1] == "*"]
    assert starred == picks(distribution)
    assert len(starred) == (2 * 4 * 2 if space == "darts" else 6)
    first = 1 if space == "darts" else 0
    strengths = [row[first:].max() for name in distribution.alpha for row in distribution.strengths(name)]
    assert [float(row[-1]) for row in rows] == pytest.approx(strengths, abs=5e-4)


def test_text_of_a_mixture_whose_edges_have_no_weights_says_so() -> None:
    with_weights, without = (visualize(mixture(beta=beta), format="txt").decode() for beta in (True, False))
    assert "edge weight" in with_weights
    assert "edge weight" not in without
    assert without.startswith("edges have no weights")


@pytest.mark.parametrize("column", [0, 3])
def test_every_decided_mixture_of_the_benchmark_has_a_picture(drawn, column: int) -> None:
    """All edges have the same operation; if that is `none`, an empty cell is drawn."""
    decided = mixture(space="nas-bench-201")
    alpha = decided.alpha["cell"].copy()
    alpha[:, column] = 40.0
    distribution = MixtureDistribution(decided.space, {"cell": alpha}, None)
    assert overlaps(drawn(distribution)) == []
    assert {op for _, op in picks(distribution)} == {decided.space.operations[column]}
