"""The chart has a dot per trained cell, best first; the best cell is drawn below."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import mean

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from nascli.artifacts.distributions.trials import TrialsDistribution
from nascli.visualize import visualize
from nascli.visualize.cells import page
from nascli.visualize.cells.trials import draw_trials
from nascli.visualize.style import HIGHLIGHT, readable
from tests.visualize.examples import trials, trials_by_table
from tests.visualize.figures import made, overlaps, texts

TWELVE, TWELVE_BY_TABLE = trials(12, nodes=2), trials_by_table(12)


@pytest.fixture(scope="module")
def drawn() -> Iterator[Callable[[TrialsDistribution], Figure]]:
    """Draws trials and returns the figure itself, which is only looked at; of the two above, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "picture", made)
        figures = {}

        def draw(artifact: TrialsDistribution) -> Figure:
            if artifact is not TWELVE and artifact is not TWELVE_BY_TABLE:
                return draw_trials(artifact, "svg", None)
            if id(artifact) not in figures:
                figures[id(artifact)] = draw_trials(artifact, "svg", None)
            return figures[id(artifact)]

        yield draw


def test_every_cell_is_a_dot_at_its_rank(drawn) -> None:
    artifact = TWELVE
    chart = drawn(artifact).axes[1]
    dots, best, average = chart.get_lines()
    assert list(dots.get_xdata()) == list(range(1, 13))
    assert list(dots.get_ydata()) == pytest.approx([100 * trial.accuracy for trial in artifact.done])
    assert sorted(dots.get_ydata(), reverse=True) == list(dots.get_ydata())
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (1, max(dots.get_ydata()))
    assert to_hex(best.get_color()) == HIGHLIGHT
    assert average.get_ydata()[0] == pytest.approx(mean(dots.get_ydata()))
    named = [label.get_text() for label in chart.get_xticklabels()]
    assert named == [str(trial.number) for trial in artifact.done]


def test_the_best_cell_is_drawn(drawn) -> None:
    artifact = TWELVE
    shown = [text.get_text() for text in texts(drawn(artifact).axes[0])]
    operations = [readable(pick.op) for pick in artifact.done[0].genotype.picks()]
    assert sorted(set(shown) & {readable(op) for op in operations}) == sorted(set(operations))
    assert [shown.count(op) for op in operations] == [operations.count(op) for op in operations]
    assert shown.count("the best cell") == 2


def test_before_a_cell_is_trained_there_is_no_chart(drawn) -> None:
    figure = drawn(trials(0, waiting=3, nodes=1))
    shown = [text.get_text() for text in texts(figure.axes[0])]
    assert len(figure.axes) == 1
    assert "no cells trained, 3 still to train" in shown
    assert shown.count("the first to be trained") == 2


def test_scores_in_words() -> None:
    """Three accuracies of 50, 60 and 70 %: mean 60, standard deviation 10."""
    artifact = trials(3, waiting=1)
    done = tuple(
        replace(trial, accuracy=accuracy) for trial, accuracy in zip(artifact.done, (0.7, 0.6, 0.5), strict=True)
    )
    lines = visualize(replace(artifact, done=done), format="txt", title="A title").decode().splitlines()
    assert lines[:3] == [
        "A title",
        "3 cells trained, best first, 1 still to train",
        "accuracy: best 70.00 %, mean 60.00 ± 10.00 %, worst 50.00 %",
    ]


def test_text_lists_the_best_and_the_worst() -> None:
    artifact = trials(25)
    lines = visualize(artifact, format="txt").decode().splitlines()
    rows = [line.split() for line in lines if line[:4].strip().isdigit()]
    assert [int(row[0]) for row in rows] == [*range(1, 20), 25]
    for row in rows:
        trial = artifact.done[int(row[0]) - 1]
        assert int(row[1]) == trial.number
        assert float(row[2]) == pytest.approx(100 * trial.accuracy, abs=0.005)
        assert float(row[3]) == pytest.approx(trial.loss, abs=5e-5)


def test_a_search_by_a_table_has_no_loss_and_what_else_the_table_says(drawn) -> None:
    artifact = TWELVE_BY_TABLE
    lines = visualize(artifact, format="txt").decode().splitlines()
    assert lines[0] == "12 cells looked up in a table, best first"
    (head,) = [line for line in lines if line.startswith("rank")]
    assert head.split() == ["rank", "number", "accuracy", "(%)", "reported", "(%)", "skips", "(%)"]
    rows = [line.split() for line in lines if line[:4].strip().isdigit()]
    assert len(rows) == 12
    for row, cell in zip(rows, artifact.done, strict=True):
        ops = [pick.op for pick in cell.genotype.picks()]
        best = 2 + 15 * ops.count("nor_conv_3x3")
        assert row[1:] == [
            str(cell.number),
            f"{best:.2f}",
            f"{best - 1:.2f}",
            f"{100 * ops.count('skip_connect') / 6:.0f}",
        ]
    figure = drawn(artifact)
    assert overlaps(figure) == []
    dots = figure.axes[1].get_lines()[0]
    assert list(dots.get_ydata()) == pytest.approx([100 * cell.accuracy for cell in artifact.done])
    shown = [text.get_text() for text in texts(figure.axes[0])]
    assert "12 cells looked up in a table, best first" in shown
    assert shown.count("the best cell") == 1
    drawn_operations = [readable(pick.op) for pick in artifact.mode().picks() if pick.op != "none"]
    assert [shown.count(op) for op in drawn_operations] == [drawn_operations.count(op) for op in drawn_operations]


def test_nothing_is_said_of_training_where_a_table_knows(drawn) -> None:
    assert "training" not in drawn(TWELVE_BY_TABLE).axes[1].get_xlabel()


@pytest.mark.parametrize(("count", "waiting", "nodes"), [(0, 2, 1), (1, 3, 2), (32, 0, 2), (300, 1, 1)])
def test_no_text_lies_on_another(drawn, count: int, waiting: int, nodes: int) -> None:
    assert overlaps(drawn(trials(count, waiting, nodes))) == []
    visualize(trials(count, waiting, nodes), format="txt")


@pytest.mark.parametrize("count", [1, 32, 1000])
def test_no_text_lies_on_another_where_a_table_knows(drawn, count: int) -> None:
    assert overlaps(drawn(trials_by_table(count))) == []


def test_equal_accuracies_do_not_look_like_a_spread(drawn) -> None:
    artifact = trials(5, nodes=1)
    equal = tuple(replace(trial, accuracy=0.5, loss=1.0) for trial in artifact.done)
    equal = tuple(sorted(equal, key=lambda trial: trial.place()))
    low, high = drawn(replace(artifact, done=equal)).axes[1].get_ylim()
    assert high - low >= 1
    assert low < 50 < high
