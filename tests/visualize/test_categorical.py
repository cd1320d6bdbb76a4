"""The heat maps show the probability of every choice of both draws and outline what the mode picks."""

from dataclasses import replace
from math import exp, log, prod

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.visualize import heat_map, page, visualize
from nascli.visualize.categorical import draw_categorical
from nascli.visualize.style import HIGHLIGHT, readable
from tests.visualize.examples import PROVENANCE, categorical
from tests.visualize.figures import made, overlaps, rectangles, texts

CELLS = ("normal", "reduce")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Draws a distribution and returns the figure itself."""
    monkeypatch.setattr(page, "picture", made)
    return lambda distribution: draw_categorical(distribution, "svg", None)


def softmax(logits: np.ndarray) -> list[list[list[float]]]:
    """[inputs, operations] of one draw by the definition, number by number."""
    total = sum(exp(value) for row in logits for value in row)
    return [[exp(value) / total for value in row] for row in logits]


def read(figure: Figure, distribution: CategoricalDistribution) -> list[dict[str, object]]:
    """The fields of the maps, from where they stand: cell, draw, edge, operation, number, colour, whether outlined."""
    axes = figure.axes[0]
    written = [(text.get_text(), *text.get_position()) for text in texts(axes)]
    edges = [(text, x, y) for text, x, y in written if "→" in text]
    operations = {readable(op): op for op in distribution.operations}
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
                "place": (CELLS[block // 2], block % 2, edge[0], rows[row[0]][1]),
                "number": number,
                "colour": to_hex(here[0].get_facecolor()),
                "outlined": any(to_hex(patch.get_edgecolor()) == HIGHLIGHT for patch in here),
            }
        )
    return fields


@pytest.mark.parametrize(("nodes", "sharpness"), [(1, 1.0), (3, 2.0), (2, 12.0), (2, 0.0)])
def test_every_probability_is_there_in_its_colour(drawn, nodes: int, sharpness: float) -> None:
    distribution = categorical(nodes, sharpness)
    expected = {
        (cell, draw, f"{source}→{state}", op): probability
        for cell in CELLS
        for state, logits in enumerate(distribution.logits[cell], start=2)
        for draw in (0, 1)
        for source, row in enumerate(softmax(logits[draw]))
        for op, probability in zip(distribution.operations, row, strict=True)
    }
    darkest = max(0.25, *expected.values())
    fields = read(drawn(distribution), distribution)
    assert sorted(field["place"] for field in fields) == sorted(expected)
    for field in fields:
        probability = expected[field["place"]]
        text = f"{probability:.2f}"
        assert field["number"] == ("1.0" if text == "1.00" else text[1:])
        assert field["colour"] == to_hex(colormaps["Blues"](probability / darkest))


@pytest.mark.parametrize("seed", [0, 1])
def test_outlines_are_the_likeliest_choice_of_each_draw(drawn, seed: int) -> None:
    distribution = categorical(3, seed=seed)
    outlined = {field["place"] for field in read(drawn(distribution), distribution) if field["outlined"]}
    expected = set()
    for cell in CELLS:
        for state, logits in enumerate(distribution.logits[cell], start=2):
            for draw in (0, 1):
                source, op = np.unravel_index(logits[draw].argmax(), logits[draw].shape)
                expected.add((cell, draw, f"{source}→{state}", distribution.operations[op]))
    assert outlined == expected


def test_draws_that_agree_are_outlined_in_both_maps(drawn) -> None:
    one_hot = np.zeros((2, 2, 7))
    one_hot[:, 1, 3] = 40.0
    distribution = replace(categorical(1), logits={"normal": (one_hot,), "reduce": (one_hot,)})
    fields = [field for field in read(drawn(distribution), distribution) if field["outlined"]]
    op = distribution.operations[3]
    assert [field["place"] for field in fields] == [(cell, draw, "1→2", op) for cell in CELLS for draw in (0, 1)]
    assert {field["number"] for field in fields} == {"1.0"}


def test_headings_say_how_decided_everything_is(drawn) -> None:
    """Entropy by the definition; its limit: two draws of each node from (inputs * 7) choices."""
    distribution = categorical(2, 2.0)
    shown = [text.get_text() for text in texts(drawn(distribution).axes[0])]
    totals, likeliest = [], []
    for cell in CELLS:
        entropies = []
        for state, logits in enumerate(distribution.logits[cell], start=2):
            draws = [np.ravel(softmax(logits[draw])) for draw in (0, 1)]
            likeliest += [max(draw) for draw in draws]
            entropies.append(-sum(p * log(p) for draw in draws for p in draw))
            assert f"{entropies[-1]:.2f} of {2 * log(state * 7):.2f} nats" in shown
        totals.append(sum(entropies))
        assert f"entropy {totals[-1]:.2f} of {2 * (log(14) + log(21)):.2f} nats" in shown
    assert (
        f"p(α | π): entropy {sum(totals):.2f} of {4 * (log(14) + log(21)):.2f} nats, "
        f"mode probability {prod(likeliest):.2g}"
    ) in shown


@pytest.mark.parametrize(("nodes", "sharpness"), [(1, 0.0), (4, 12.0), (6, 0.0)])
def test_no_text_lies_on_another(drawn, nodes: int, sharpness: float) -> None:
    assert overlaps(drawn(categorical(nodes, sharpness))) == []


@pytest.mark.parametrize("nodes", [1, 4, 6])
def test_up_to_six_nodes_fit_a_readme(nodes: int) -> None:
    columns = heat_map.Columns(0, page.ROOM, nodes)
    assert heat_map.least_room(nodes) + 20 <= page.ROOM
    assert columns.left(nodes, nodes + 1) + columns.width <= page.ROOM + 1e-6


def test_text_lists_the_likeliest_choices_of_every_draw() -> None:
    distribution = categorical(3, 2.0)
    lines = visualize(distribution, format="txt", title="A title").decode().splitlines()
    assert lines[0] == "A title"
    assert f"of {2 * sum(2 * log(state * 7) for state in (2, 3, 4)):.2f} nats" in lines[1]
    rows = [line.split() for line in lines if line.count("←") == 3]
    found = [(float(row[-12]), row[-11], int(row[-9])) for row in rows]
    expected = []
    for cell in CELLS:
        for logits in distribution.logits[cell]:
            for draw in (0, 1):
                source, op = np.unravel_index(logits[draw].argmax(), logits[draw].shape)
                expected.append((round(softmax(logits[draw])[source][op], 3), distribution.operations[op], source))
    assert found == expected
    assert [row[0] for row in rows[::2]] == ["2", "3", "4"] * 2


def test_text_of_many_nodes_keeps_a_draw_on_a_line() -> None:
    lines = visualize(CategoricalDistribution.uniform(12, PROVENANCE), format="txt").decode().splitlines()
    assert sum(line.count("←") == 3 for line in lines) == 2 * 2 * 12
