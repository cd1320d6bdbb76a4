import math
from collections import Counter

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nascli.errors import UsageError
from nascli.metrics import METRICS, PANELS
from nascli.visualize import visualize
from nascli.visualize.runs import run as drawing
from nascli.visualize.style import MUTED, SERIES
from nascli.visualize.text import spark_line
from tests.visualize.examples import parsec_rows, pgnas_rows, random_rows, search_rows
from tests.visualize.figures import made, overlaps

PLAIN = [{"epoch": 1, "train_loss": 2.0}]
SEVERAL_METHODS = {
    "parsec": parsec_rows(20),
    "pc-darts": search_rows(30, warm_up=5),
    "random": random_rows(12),
    "other": PLAIN,
}


@pytest.fixture(scope="module")
def drawn():
    """Draws runs and returns the charts by their titles; they are only looked at, and the same runs are drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", made)
        figures = {}

        def draw(runs):
            key = repr(runs)
            if key not in figures:
                figures[key] = drawing.draw_runs(runs, "svg", "A title")
            return {axes.get_title(loc="left"): axes for axes in figures[key].axes[1:]}

        yield draw


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
    rows = [{"epoch": e, "edge_entropy/normal": 2.0794 + e * 1e-9, "skip_share": 0.0} for e in range(1, 4)]
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


@pytest.mark.parametrize(("warm_up", "band"), [(0, None), (3, (0, 3.5))])
def test_warm_up_begins_with_the_start(drawn, warm_up: int, band: tuple[float, float] | None) -> None:
    """Nothing has learnt at epoch 0, whether or not a warm-up follows."""
    start = {"epoch": 0, "edge_entropy/normal": 2.08, "edge_entropy/reduce": 2.08, "architecture_frozen": True}
    axes = drawn([start, *search_rows(10, warm_up)])["Entropy"]
    found = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    assert found == ([band] if band else [])
    assert axes.get_lines()[0].get_xdata()[0] == 0


def test_a_search_by_sampling_has_the_two_charts_of_the_paper_side_by_side(drawn) -> None:
    """PARSEC, Figure 3: accuracy of the mode and entropy, both from before the first step on."""
    charts = drawn(parsec_rows(30))
    assert list(charts) == [
        "Accuracy",
        "Loss",
        "Found cells",
        "Entropy of p(α | π)",
        "Decisions: normal",
        "Decisions: reduce",
        "Samples of a step",
        "Skip connections",
    ]
    (mode,) = charts["Found cells"].get_lines()
    both, normal, reduce = charts["Entropy of p(α | π)"].get_lines()
    for line in (mode, both, normal, reduce):
        assert list(line.get_xdata()) == list(range(31))
    assert both.get_ydata()[0] == pytest.approx(50.28, abs=0.005)  # 4 * log(14 * 21 * 28 * 35)
    assert normal.get_ydata() + reduce.get_ydata() == pytest.approx(both.get_ydata())
    assert (mode.get_ydata()[0], mode.get_ydata()[-1]) == (pytest.approx(10), pytest.approx(50))
    assert list(charts["Loss"].get_lines()[0].get_xdata()) == list(range(1, 31))  # there is no loss at the start
    places = [charts[name].get_position() for name in ("Found cells", "Entropy of p(α | π)")]
    assert (places[0].y0, places[0].y1) == (places[1].y0, places[1].y1)
    drawn_samples, _, effective = charts["Samples of a step"].get_lines()
    assert list(drawn_samples.get_ydata()) == [16.0] * 30
    assert effective.get_ydata()[-1] == pytest.approx(7.2)


def test_what_sampling_alone_would_have_left_is_a_grey_line_under_the_entropy(drawn) -> None:
    rows = [{**row, "drift_entropy": 50.0 - row["epoch"]} for row in parsec_rows(30)]
    axes = drawn(rows)["Entropy of p(α | π)"]
    names = read_legend(axes)
    assert names == ["all", "without data", "normal", "reduce"]
    looks = dict(zip(names, axes.get_lines(), strict=True))
    assert looks["without data"].get_color() == MUTED
    assert list(looks["without data"].get_ydata()) == [50.0 - epoch for epoch in range(31)]
    assert [looks[name].get_color() for name in ("all", "normal", "reduce")] == list(SERIES[:3])


def read_legend(axes: Axes) -> list[str]:
    """The names in a legend as a reader meets them, line by line."""
    axes.get_legend().draw(FigureCanvasAgg(axes.figure).get_renderer())  # the texts get their places only now
    texts = axes.get_legend().get_texts()
    places = {text.get_text(): text.get_window_extent() for text in texts}
    return sorted(places, key=lambda name: (-round(places[name].y0), places[name].x0))


@pytest.mark.parametrize("nodes", [1, 12])
def test_nodes_have_a_curve_each_in_the_order_of_their_numbers(drawn, nodes: int) -> None:
    rows = parsec_rows(3, nodes)
    axes = drawn(rows)["Decisions: reduce"]
    assert read_legend(axes) == [str(n) for n in range(2, 2 + nodes)]
    lines = axes.get_lines()
    assert [line.get_ydata()[-1] for line in lines] == [rows[-1][f"entropy/reduce/{n}"] for n in range(2, 2 + nodes)]
    assert len({line.get_color() for line in lines}) == nodes


def test_a_search_by_sampling_in_the_benchmark_has_a_curve_for_each_of_its_edges(drawn) -> None:
    """Six decisions between five operations: log 5 nats each at the start, and no chart of nodes."""
    charts = drawn(parsec_rows(30, space="nas-bench-201"))
    decisions = charts["Decisions: cell"]
    assert read_legend(decisions) == ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]
    assert [line.get_ydata()[0] for line in decisions.get_lines()] == pytest.approx([math.log(5)] * 6)
    (whole,) = charts["Entropy of p(α | π)"].get_lines()  # of its only cell, too
    assert whole.get_ydata()[0] == pytest.approx(9.657, abs=0.0005)  # 6 log 5
    assert [title for title in charts if title.startswith("Decisions")] == ["Decisions: cell"]


def test_the_entropy_of_mixtures_has_a_curve_per_type_of_cell(drawn) -> None:
    benchmark = [
        {"epoch": e, "edge_entropy/cell": 1.6 - e / 10, "genotype": "|none~0|", "true_accuracy": 0.5} for e in (1, 2)
    ]
    charts = drawn({"darts": search_rows(5), "benchmark": benchmark})
    assert list(charts) == ["Accuracy", "Loss", "Entropy", "Skip connections"]
    names = [text.get_text() for text in charts["Entropy"].get_legend().get_texts()]
    assert names == ["normal", "reduce", "cell"]
    (cell,) = [line for line in charts["Entropy"].get_lines()[3:] if len(line.get_xdata())]
    assert list(cell.get_ydata()) == pytest.approx([1.5, 1.4])


def test_searches_by_sampling_in_both_spaces_share_a_chart(drawn) -> None:
    """The entropies of a normal cell, a reduction cell, the benchmark's cell, and of all."""
    charts = drawn({"darts": parsec_rows(5), "benchmark": parsec_rows(5, space="nas-bench-201")})
    lines = charts["Entropy of p(α | π)"].get_lines()
    shown = {(line.get_color(), round(line.get_ydata()[0], 2)) for line in lines if len(line.get_xdata())}
    assert shown == {(SERIES[0], 50.28), (SERIES[0], 25.14), (SERIES[1], 9.66)}


def test_runs_of_several_methods_share_the_charts_that_they_have_numbers_for(drawn) -> None:
    charts = drawn(SEVERAL_METHODS)
    colours = {"parsec": SERIES[0], "pc-darts": SERIES[1], "random": SERIES[2], "other": SERIES[3]}
    expected = {
        "Accuracy": ["parsec", "pc-darts", "random"],
        "Loss": ["parsec", "pc-darts", "random", "other"],
        "Found cells": ["parsec", "random"],
        "Entropy of p(α | π)": ["parsec"],
        "Entropy": ["pc-darts"],
        "Samples of a step": ["parsec"],
        "Skip connections": ["parsec", "pc-darts", "random"],
    }
    assert list(charts) == list(expected)
    for title, runs in expected.items():
        shown = {line.get_color() for line in charts[title].get_lines() if len(line.get_xdata())}
        assert shown == {colours[run] for run in runs}
    assert charts["Entropy"].patches  # warm-up: all runs that this chart shows
    assert not charts["Loss"].patches
    _, best, mean = charts["Found cells"].get_lines()[3:]
    assert list(best.get_ydata()[[0, -1]]) == pytest.approx([80, 84])
    assert mean.get_ydata()[-1] == pytest.approx((80 + 82 + 84 + 81 + 83 + 80) / 6)


@pytest.mark.parametrize("count", [2, 8, 20])
def test_every_run_has_a_colour_of_its_own(count: int) -> None:
    colours = drawing.run_colours({f"run-{number}": [] for number in range(count)})
    assert len(set(colours.values())) == len(colours) == count


def test_every_curve_of_a_chart_has_a_style_of_its_own() -> None:
    several = [metric.panel for metric in METRICS if metric.panel and not PANELS[metric.panel].of_one]
    assert max(Counter(several).values()) <= len(drawing.STYLES)


def test_no_number_below_zero_is_suggested(drawn) -> None:
    low, high = drawn(search_rows(30))["Skip connections"].get_ylim()
    assert -1 < low < 0
    assert high - low > 10


@pytest.mark.parametrize(
    "runs",
    [
        parsec_rows(30),
        parsec_rows(3, nodes=12),
        search_rows(30, warm_up=5),
        {f"a-rather-long-name-of-run-{n}": search_rows(20 + n) for n in range(8)},
        SEVERAL_METHODS,
        parsec_rows(30, space="nas-bench-201"),
    ],
    ids=["parsec", "nodes", "pc-darts", "eight", "methods", "benchmark"],
)
def test_no_text_lies_on_another(drawn, runs) -> None:
    assert overlaps(next(iter(drawn(runs).values())).figure) == []


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


def test_text_of_a_search_by_sampling_begins_before_its_first_step() -> None:
    lines = visualize(parsec_rows(20), format="txt").decode().splitlines()
    assert lines[0].rstrip().endswith("epochs 0 to 20")
    table = {line.split("  ")[0]: line.split() for line in lines}
    assert table["entropy of p(α | π), all (nats)"][-3] == "50.28"
    assert table["samples of a step, drawn"][-3:-1] == ["16", "16"]
    assert table["found cells, mode (%)"][-4:-1] == ["10", "50", "50"]
    assert {f"decisions: normal, {state} (nats)" for state in (2, 3, 4, 5)} <= table.keys()


def test_a_name_in_brackets_is_not_markup() -> None:
    assert b"run[bold]:smile:" in visualize({"run[bold]:smile:": PLAIN}, format="txt")


def test_spark_line() -> None:
    assert spark_line([0, 7]) == "▁█"
    assert spark_line([3.0]) == "▁"
    assert spark_line(list(range(1000))) == "".join(sorted(spark_line(list(range(1000)))))
    assert len(spark_line(list(range(1000)))) == 30


def test_a_search_by_dropping_has_its_own_charts(drawn) -> None:
    charts = drawn(pgnas_rows(10))
    assert list(charts) == [
        "Accuracy",
        "Loss",
        "Accuracy on held-out images",
        "Loss on held-out images",
        "Kept channels",
        "p of dropping a channel",
        "Entropy of the masks",
        "Divergence from the prior",
    ]
    largest, mean, least = charts["p of dropping a channel"].get_lines()
    assert largest.get_ydata()[-1] == pytest.approx(0.7)
    assert mean.get_ydata()[-1] == pytest.approx(0.4)
    assert least.get_ydata()[-1] == pytest.approx(0.02)
    assert charts["Kept channels"].get_lines()[0].get_ydata()[-1] == pytest.approx(60)
    assert overlaps(charts["Accuracy"].figure) == []


def test_entropies_of_cells_and_of_masks_are_not_mixed(drawn) -> None:
    """Both methods call theirs "entropy"; each run is in the chart of its own kind alone."""
    charts = drawn({"cells": parsec_rows(5), "masks": pgnas_rows(5)})
    (of_masks,) = charts["Entropy of the masks"].get_lines()
    assert of_masks.get_ydata()[-1] == pytest.approx(110)
    assert len(charts["Entropy of p(α | π)"].get_lines()) == 3
