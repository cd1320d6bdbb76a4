"""The heat map shows the numbers of the distribution and outlines what the mode picks."""

from itertools import pairwise
from math import exp

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from nascli.artifacts.mixture import edges
from nascli.visualize import heat_map, page, visualize
from nascli.visualize.mixture import draw_mixture
from nascli.visualize.style import HIGHLIGHT, readable
from tests.visualize.examples import SPACE, mixture
from tests.visualize.figures import made, overlaps, rectangles


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Draws a distribution and returns the figure itself."""
    monkeypatch.setattr(page, "picture", made)
    return lambda distribution: draw_mixture(distribution, "svg", None)


@pytest.mark.parametrize("beta", [True, False])
def test_numbers_are_alpha_times_beta(drawn, beta: bool) -> None:
    """Against softmax written out by hand, number by number, over both cells."""
    distribution = mixture(nodes=3, beta=beta)
    shown = [text.get_text() for text in drawn(distribution).axes[0].texts]
    for cell in ("normal", "reduce"):
        for number, (_, node) in enumerate(edges(3)):
            alpha = [exp(value) for value in distribution.alpha[cell][number]]
            weight = 1.0
            if beta:
                rivals = [exp(distribution.beta[cell][i]) for i, edge in enumerate(edges(3)) if edge[1] == node]
                weight = exp(distribution.beta[cell][number]) / sum(rivals)
            for value in alpha:
                text = f"{weight * value / sum(alpha):.2f}"
                shown.remove("1.0" if text == "1.00" else text[1:])
    left = [text for text in shown if text.startswith((".", "1.0"))]
    assert len(left) == (2 * len(edges(3)) if beta else 0)  # the numbers on the bars of beta


def test_outlines_are_the_picks_of_the_mode(drawn) -> None:
    distribution = mixture(nodes=3, seed=3)
    figure = drawn(distribution)
    frames = [patch for patch in rectangles(figure.axes[0]) if to_rgb(patch.get_edgecolor()) == to_rgb(HIGHLIGHT)]
    names = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in figure.axes[0].texts}
    columns = {x: text for (x, _), text in names.items() if "→" in text}
    found = []
    for frame in frames:
        middle = frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2
        edge = columns.get(round(middle[0]))
        rows = [text for (_, y), text in names.items() if abs(y - middle[1]) < 2 and not text.startswith((".", "1"))]
        if edge and rows and rows[0] in map(readable, SPACE.search_operations):
            found.append((edge, rows[0]))
    picks = [
        (f"{pick.input}→{state}", readable(pick.op))
        for _, cell in distribution.mode().cells()
        for state, node in enumerate(cell.nodes, start=2)
        for pick in node
    ]
    assert sorted(found) == sorted(picks)


@pytest.mark.parametrize("nodes", [1, 4, 9])
def test_columns_of_the_map_never_overlap(drawn, nodes: int) -> None:
    figure = drawn(mixture(nodes=nodes))
    width = figure.axes[0].get_xlim()[1]
    names = sorted(t.get_position()[0] for t in figure.axes[0].texts if "→" in t.get_text())[::2]
    assert len(names) == len(edges(nodes))
    assert min(b - a for a, b in pairwise(names)) >= heat_map.COLUMN_RANGE[0] - 1e-6
    assert names[-1] < width - 18


@pytest.mark.parametrize(("nodes", "beta"), [(1, True), (6, True), (9, False)])
def test_no_text_lies_on_another(drawn, nodes: int, beta: bool) -> None:
    assert overlaps(drawn(mixture(nodes=nodes, beta=beta))) == []


def test_text_lists_every_edge_and_stars_the_kept() -> None:
    distribution = mixture(nodes=4)
    lines = visualize(distribution, format="txt").decode().splitlines()
    rows = [line.split() for line in lines if line[:3].replace("→", "").isdigit()]
    assert [row[0] for row in rows] == [f"{a}→{b}" for a, b in edges(4)] * 2
    starred = [(row[0], row[2]) for row in rows if row[1] == "*"]
    picks = [
        (f"{pick.input}→{state}", pick.op)
        for _, cell in distribution.mode().cells()
        for state, node in enumerate(cell.nodes, start=2)
        for pick in node
    ]
    assert starred == picks
    strengths = np.concatenate([distribution.strengths(name) for name in ("normal", "reduce")])
    assert [float(row[-1]) for row in rows] == pytest.approx(strengths, abs=5e-4)
