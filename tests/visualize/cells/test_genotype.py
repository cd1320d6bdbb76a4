"""Pictures of genotypes: with cells that concatenate nodes, and with cells that put out one."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from nascli.visualize.cells import page
from nascli.visualize.cells.cell import GREYED, OUTSIDE
from nascli.visualize.cells.genotype import draw_genotype
from nascli.visualize.style import CONVOLUTION, FAMILIES, INK, PAPER, SKIP
from tests.visualize.examples import BENCHMARK, GENOTYPE, PARTLY_NONE
from tests.visualize.figures import made, overlaps, texts

LABELS = {family.label for family in FAMILIES}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Draws a genotype and returns the figure itself."""
    monkeypatch.setattr(page, "picture", made)
    return lambda genotype: draw_genotype(genotype, "svg", None)


def written(figure) -> list[str]:
    return [text.get_text() for text in texts(figure.axes[0])]


def nodes(figure) -> dict[str, tuple[str, str]]:
    """Edge and fill of the circles with numbers in them, by the number; the last of several cells counts."""
    axes = figure.axes[0]
    circles = {patch.center: patch for patch in axes.patches if isinstance(patch, Circle)}
    found = {}
    for text in texts(axes):
        if text.get_text().isdigit() and text.get_position() in circles:
            circle = circles[text.get_position()]
            found[text.get_text()] = to_hex(circle.get_edgecolor()), to_hex(circle.get_facecolor())
    return found


def test_a_cell_of_four_states_has_an_input_three_nodes_and_an_output(drawn) -> None:
    figure = drawn(BENCHMARK.parse(BENCHMARK.example, "the example"))
    shown = written(figure)
    assert "Cell" in shown
    assert [shown.count(str(node)) for node in range(5)] == [0, 1, 1, 1, 0]
    assert shown.count("state 0") == shown.count("output") == 1
    assert "state 1" not in shown
    assert "concat" not in shown
    # Six edges: conv 3x3; skip, none; pool, skip, conv 1x1.
    assert [shown.count(op) for op in ("conv 3×3", "skip", "avg pool 3×3", "conv 1×1", "none")] == [1, 2, 1, 1, 0]
    assert LABELS & set(shown) == {"convolution", "skip connection", "pooling"}
    assert nodes(figure) == dict.fromkeys("123", (INK, PAPER))
    assert overlaps(figure) == []


def test_nodes_that_the_output_does_not_depend_on_are_grey(drawn) -> None:
    figure = drawn(PARTLY_NONE)
    assert {node: edge for node, (edge, _) in nodes(figure).items()} == {"1": GREYED, "2": GREYED, "3": INK}
    colours = [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches]
    assert SKIP.colour in colours  # the one operation that counts
    bars = [to_hex(patch.get_edgecolor()) for patch in figure.axes[0].patches if not isinstance(patch, Circle)]
    # Three operations are in vain; that the legend has their family is its only coloured box.
    assert bars.count(CONVOLUTION.colour) == 1
    assert bars.count(GREYED) == 3


def test_a_cell_that_concatenates_says_which_nodes_are_left_out(drawn) -> None:
    figure = drawn(GENOTYPE)
    shown = written(figure)
    assert {"Normal cell", "Reduction cell", "stride 2 at both inputs", "not in the output", "unused"} <= set(shown)
    assert shown.count("concat") == 2
    assert nodes(figure) == {"2": (INK, OUTSIDE), "3": (GREYED, OUTSIDE), "4": (INK, PAPER), "5": (INK, PAPER)}


def test_the_legend_names_grey_nodes_of_a_cell_with_one_output(drawn) -> None:
    assert "unused" in written(drawn(PARTLY_NONE))
