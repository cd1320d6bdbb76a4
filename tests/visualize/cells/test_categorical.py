"""The heat maps show the probability of every choice of both draws and outline what the mode picks."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import exp, log, prod

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.spaces import cell_space
from nascli.spaces.protocol import CellSpace
from nascli.visualize import visualize
from nascli.visualize.cells import heat_map, page
from nascli.visualize.cells.categorical import draw_categorical
from nascli.visualize.style import HIGHLIGHT, readable
from tests.visualize import examples
from tests.visualize.examples import few_operations
from tests.visualize.figures import figures_of, overlaps, rectangles, texts

# Of each space: its cells, how often a decision is drawn, and the operations that may be drawn.
SHAPES = {
    "darts": (
        ("normal", "reduce"),
        2,
        (
            "max_pool_3x3",
            "avg_pool_3x3",
            "skip_connect",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "dil_conv_3x3",
            "dil_conv_5x5",
        ),
    ),
    "nas-bench-201": (("cell",), 1, ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")),
}


@pytest.fixture(scope="module")
def drawn() -> Iterator[Callable[[CategoricalDistribution], Figure]]:
    with figures_of(draw_categorical, page) as draw:
        yield draw


@cache
def categorical(nodes: int, sharpness: float, space: str | CellSpace = "darts") -> CategoricalDistribution:
    """One object for the same arguments, so that it is drawn once."""
    return examples.categorical(nodes, sharpness, space=space)


def softmax(logits: Sequence[float]) -> list[float]:
    """By the definition, number by number."""
    total = sum(exp(value) for value in logits)
    return [exp(value) / total for value in logits]


Place = tuple[str, int, str, str]


def probabilities(distribution: CategoricalDistribution) -> Iterator[dict[Place, float]]:
    """The probability of every option, by cell, draw, edge and operation."""
    for decision, logits in zip(distribution.decisions, distribution.logits, strict=True):
        for draw, row in enumerate(logits):
            places = [(decision.cell, draw, f"{pick.input}→{decision.node}", pick.op) for pick in decision.options]
            yield dict(zip(places, softmax(row), strict=True))


def likeliest(distribution: CategoricalDistribution) -> list[Place]:
    """The likeliest option of each draw."""
    return [max(draw, key=draw.__getitem__) for draw in probabilities(distribution)]


def read(figure: Figure, distribution: CategoricalDistribution) -> list[dict[str, object]]:
    """The fields of the maps, by their places: cell, draw, edge, operation, number, colour, and whether outlined."""
    cells, draws, offered = SHAPES[distribution.space.name]
    axes = figure.axes[0]
    written = [(text.get_text(), *text.get_position()) for text in texts(axes)]
    edges = [(text, x, y) for text, x, y in written if "→" in text]
    operations = {readable(op): op for op in offered}
    left = min(x for _, x, _ in edges) - 20
    rows = sorted((y, operations[text]) for text, x, y in written if text in operations and x < left)
    fields = []
    patches = rectangles(axes)
    middles = np.array([(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in patches])
    for number, x, y in written:
        edge = [name for name, at, _ in edges if abs(at - x) < 1]
        row = [place for place, (at, _) in enumerate(rows) if abs(at - y) < 1]
        if not (edge and row and number.startswith((".", "1."))):
            continue
        here = [patches[i] for i in np.flatnonzero((np.abs(middles - (x, y)) < 1).all(axis=1))]
        block = row[0] // len(operations)
        fields.append(
            {
                "place": (cells[block // draws], block % draws, edge[0], rows[row[0]][1]),
                "number": number,
                "colour": to_hex(here[0].get_facecolor()),
                "outlined": any(to_hex(patch.get_edgecolor()) == HIGHLIGHT for patch in here),
            }
        )
    return fields


@pytest.mark.parametrize(
    ("nodes", "sharpness", "space"),
    [
        (1, 0.0, "darts"),
        (2, 2.0, "darts"),
        (2, 12.0, "darts"),
        (3, 2.0, "nas-bench-201"),
        (3, 12.0, "nas-bench-201"),
    ],
)
def test_every_probability_is_there_in_its_colour(drawn, nodes: int, sharpness: float, space: str) -> None:
    distribution = categorical(nodes, sharpness, space=space)
    expected = {place: share for draw in probabilities(distribution) for place, share in draw.items()}
    darkest = max(0.25, *expected.values())
    fields = read(drawn(distribution), distribution)
    assert sorted(field["place"] for field in fields) == sorted(expected)
    for field in fields:
        probability = expected[field["place"]]
        text = f"{probability:.2f}"
        assert field["number"] == ("1.0" if text == "1.00" else text[1:])
        assert field["colour"] == to_hex(colormaps["Blues"](probability / darkest))


@pytest.mark.parametrize("space", SHAPES)
@pytest.mark.parametrize("sharpness", [2.0, 12.0])
def test_outlines_are_the_likeliest_choice_of_each_draw(drawn, sharpness: float, space: str) -> None:
    distribution = categorical(2 if space == "darts" else 3, sharpness, space=space)
    outlined = [field["place"] for field in read(drawn(distribution), distribution) if field["outlined"]]
    assert sorted(outlined) == sorted(likeliest(distribution))


def test_draws_that_agree_are_outlined_in_both_maps(drawn) -> None:
    one_hot = np.zeros((2, 14))
    one_hot[:, 7 + 3] = 40.0  # the fourth of seven operations, on the second input
    distribution = CategoricalDistribution(cell_space("darts", 1), [one_hot, one_hot])
    fields = [field for field in read(drawn(distribution), distribution) if field["outlined"]]
    places = [(cell, draw, "1→2", "sep_conv_3x3") for cell in ("normal", "reduce") for draw in (0, 1)]
    assert [field["place"] for field in fields] == places
    assert {field["number"] for field in fields} == {"1.0"}


def test_headings_say_how_decided_everything_is(drawn) -> None:
    """Entropy by the definition; its limit: two draws of each node from (inputs * 7) choices."""
    distribution = categorical(2, 2.0)
    shown = [text.get_text() for text in texts(drawn(distribution).axes[0])]
    totals, best = [], []
    for cell in ("normal", "reduce"):
        entropies = []
        for decision, logits in zip(distribution.decisions, distribution.logits, strict=True):
            if decision.cell == cell:
                draws = [softmax(row) for row in logits]
                first, second = (np.argmax(draw) for draw in draws)
                other_order = draws[0][second] * draws[1][first] if first != second else 0.0
                best.append(draws[0][first] * draws[1][second] + other_order)
                entropies.append(-sum(p * log(p) for draw in draws for p in draw))
                assert f"{entropies[-1]:.2f} of {2 * log(decision.node * 7):.2f} nats" in shown
        totals.append(sum(entropies))
        assert f"entropy {totals[-1]:.2f} of {2 * (log(14) + log(21)):.2f} nats" in shown
    assert (
        f"p(α | π): entropy {sum(totals):.2f} of {4 * (log(14) + log(21)):.2f} nats, mode probability {prod(best):.2g}"
    ) in shown


def test_headings_of_the_benchmarks_nodes_are_of_all_their_edges(drawn) -> None:
    """Node n has n edges, each with five operations."""
    distribution = categorical(3, 2.0, space="nas-bench-201")
    shown = [text.get_text() for text in texts(drawn(distribution).axes[0])]
    of_edges = [-sum(p * log(p) for p in draw.values()) for draw in probabilities(distribution)]
    of_nodes = [of_edges[0], sum(of_edges[1:3]), sum(of_edges[3:])]
    for node, entropy in enumerate(of_nodes, start=1):
        assert f"{entropy:.2f} of {node * log(5):.2f}" in shown
    assert f"entropy {sum(of_edges):.2f} of {6 * log(5):.2f} nats" in shown
    assert "probability, 1 in all per edge" in " ".join(shown)
    assert not [text for text in shown if text.startswith("draw ")]


@pytest.mark.parametrize(
    ("nodes", "sharpness", "space"),
    [(1, 0.0, "darts"), (2, 12.0, "darts"), (7, 0.0, few_operations(7)), (3, 12.0, "nas-bench-201")],
    ids=["darts", "decided", "wide", "nas-bench-201"],
)
def test_no_text_lies_on_another(drawn, nodes: int, sharpness: float, space: str | CellSpace) -> None:
    assert overlaps(drawn(categorical(nodes, sharpness, space=space))) == []


def test_the_undecided_has_a_picture(drawn) -> None:
    """If all options are equal, the mode takes the first: in NAS-Bench-201 a cell of `none` alone."""
    distribution = categorical(3, 0.0, space="nas-bench-201")
    assert {pick.op for pick in distribution.mode().picks()} == {"none"}
    assert overlaps(drawn(distribution)) == []


@pytest.mark.parametrize("nodes", [1, 4, 6])
def test_up_to_six_nodes_fit_a_readme(nodes: int) -> None:
    space = cell_space("darts", nodes)
    columns = heat_map.Columns(0, page.ROOM, space)
    assert heat_map.least_room(space) + 20 <= page.ROOM
    assert columns.left(nodes, nodes + 1) + columns.width <= page.ROOM + 1e-6


@pytest.mark.parametrize("space", SHAPES)
def test_text_lists_the_likeliest_choices_of_every_draw(space: str) -> None:
    distribution = categorical(3, 2.0, space=space)
    lines = visualize(distribution, format="txt", title="A title").decode().splitlines()
    assert lines[0] == "A title"
    limit = 2 * sum(2 * log(state * 7) for state in (2, 3, 4)) if space == "darts" else 6 * log(5)
    assert f"of {limit:.2f} nats" in lines[1]
    rows = [line.split() for line in lines if line.count("←") == 3]
    found = [(float(row[-12]), row[-11], int(row[-9])) for row in rows]
    best = [(max(draw.values()), *max(draw, key=draw.__getitem__)[2:]) for draw in probabilities(distribution)]
    assert found == [(round(share, 3), op, int(edge.split("→")[0])) for share, edge, op in best]
    if space == "darts":
        assert [row[0] for row in rows[::2]] == ["2", "3", "4"] * 2
    else:
        assert [row[0] for row in rows] == ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]


def test_text_of_many_nodes_keeps_a_draw_on_a_line() -> None:
    """From ten nodes on a number has two digits."""
    uniform = CategoricalDistribution.uniform(few_operations(10))
    lines = visualize(uniform, format="txt").decode().splitlines()
    assert sum(len(re.findall(r"← \d", line)) == 3 for line in lines) == 2 * 2 * 10
