import math

import pytest
from matplotlib.figure import Figure

from nascli.errors import UsageError
from nascli.visualize import run as drawing
from nascli.visualize import visualize
from nascli.visualize.run_text import spark_line
from tests.visualize.examples import search_rows


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Draws runs and returns the charts by their titles."""
    figures: list[Figure] = []

    def keep(width, height, draw, form):
        figure = Figure(figsize=(width / 96, height / 96), dpi=96)
        draw(figure)
        figures.append(figure)
        return b""

    monkeypatch.setattr(drawing, "picture", keep)

    def draw(runs):
        drawing.draw_runs(runs, "svg", None)
        return {axes.get_title(loc="left"): axes for axes in figures.pop().axes[1:]}

    return draw


def test_charts_show_the_numbers_in_their_units(drawn) -> None:
    charts = drawn(search_rows(30))
    assert list(charts) == ["Accuracy", "Loss", "Entropy", "Skip connections"]
    train, search = charts["Accuracy"].get_lines()
    assert list(train.get_xdata()) == list(range(1, 31))
    assert train.get_ydata() == pytest.approx(range(1, 31))  # per cent
    assert search.get_ydata()[-1] == pytest.approx(15)
    assert charts["Skip connections"].get_lines()[0].get_ydata()[-1] == pytest.approx(3)
    for axes in charts.values():
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel().endswith(("(%)", "(nats)"))


def test_a_training_run_has_no_charts_of_the_search(drawn) -> None:
    rows = [{"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.1}, {"epoch": 2, "train_loss": 1.0}]
    charts = drawn(rows)
    assert list(charts) == ["Accuracy", "Loss"]
    assert [text.get_text() for text in charts["Loss"].get_legend().get_texts()] == ["train"]
    assert list(charts["Accuracy"].get_lines()[0].get_xdata()) == [1]  # the row without the key is left out


def test_numbers_that_are_not_finite_are_left_out(drawn) -> None:
    rows = [{"epoch": e, "train_loss": loss} for e, loss in enumerate([2.0, math.nan, 1.0, math.inf, None], start=1)]
    assert list(drawn(rows)["Loss"].get_lines()[0].get_xdata()) == [1, 3]


def test_one_epoch_is_a_visible_point(drawn) -> None:
    line = drawn(search_rows(1))["Loss"].get_lines()[0]
    assert line.get_marker() == "o"


def test_a_quantity_at_rest_looks_like_one(drawn) -> None:
    """Entropy moves by 1e-9 in warm-up; the axis must not blow that up, nor print offsets."""
    rows = [{"epoch": e, "edge_entropy_normal": 2.0794 + e * 1e-9, "skip_share": 0.0} for e in range(1, 4)]
    charts = drawn(rows)
    low, high = charts["Entropy"].get_ylim()
    assert high - low == pytest.approx(0.1)
    assert low < 2.0794 < high
    assert charts["Entropy"].yaxis.get_major_formatter().get_useOffset() is False


def test_several_runs_have_a_colour_each_and_a_style_per_curve(drawn) -> None:
    lines = drawn({"one": search_rows(20), "two": search_rows(30)})["Accuracy"].get_lines()
    assert len(lines) == 4
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color() == lines[3].get_color()
    assert lines[0].get_linestyle() == lines[2].get_linestyle() != lines[1].get_linestyle()


def test_warm_up_is_shaded_where_the_rows_tell_of_it(drawn) -> None:
    band = drawn(search_rows(30, warm_up=10))["Entropy"].patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == (0.5, 10.5)
    assert not drawn(search_rows(30))["Entropy"].patches
    both = drawn({"a": search_rows(30, warm_up=10), "b": search_rows(30, warm_up=4)})["Entropy"].patches[0]
    assert both.get_width() == 4


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "no finished epoch"),
        ({"first": search_rows(2), "second": []}, "run second has no finished epoch"),
        ({}, "no run"),
        ([{"epoch": 1, "seconds": 3.0}], "train_accuracy"),
    ],
)
@pytest.mark.parametrize("form", ["svg", "txt"])
def test_nothing_to_draw_is_said(runs, message: str, form: str) -> None:
    with pytest.raises(UsageError, match=message):
        visualize(runs, format=form)


def test_text_has_first_best_and_last() -> None:
    rows = [{"epoch": e, "train_loss": loss, "train_accuracy": 1 - loss} for e, loss in ((1, 0.5), (2, 0.2), (3, 0.4))]
    text = visualize({"my run": rows}, format="txt").decode()
    assert "my run" in text
    table = {line.split("  ")[0]: line.split()[-4:] for line in text.splitlines()}
    assert table["accuracy, train (%)"] == ["50", "80", "60", "▁█▃"]
    assert table["loss, train (nats)"] == ["0.5", "0.2", "0.4", "█▁▆"]


def test_spark_line() -> None:
    assert spark_line([0, 7]) == "▁█"
    assert spark_line([3.0]) == "▁"
    assert spark_line(list(range(1000))) == "".join(sorted(spark_line(list(range(1000)))))
    assert len(spark_line(list(range(1000)))) == 30
