"""The true accuracy of what searches would have derived: against a table whose ranks are known by hand."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.runs.rundir import RunDir
from nascli.artifacts.truth import TruthTable
from nascli.errors import UsageError
from nascli.visualize import visualize
from nascli.visualize.runs import truth
from nascli.visualize.runs.judged import Judged, changes
from nascli.visualize.sources import draw
from nascli.visualize.style import SERIES
from tests import truth_table
from tests.artifacts.examples import bytes_of
from tests.truth_table import RANKS, loaded, with_convolutions, written
from tests.visualize.examples import BENCHMARK, GENOTYPE, PROVENANCE, mixture
from tests.visualize.examples import search_rows as darts_rows
from tests.visualize.figures import made, overlaps, texts


@pytest.fixture(autouse=True)
def _tables_are_read_once(monkeypatch):
    truth_table.read_once(monkeypatch)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TruthTable:
    """5 + 15 n per cent in the column "test" for n 3x3 convolutions."""
    return loaded(tmp_path_factory.mktemp("truth"))


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch):
    """Draws judged searches and returns the charts of accuracy and rank, and the page below them."""
    monkeypatch.setattr(truth, "picture", made)

    def drawn(judged: Judged) -> tuple[Axes, Axes, Axes]:
        page, accuracies, ranks = truth.draw_truth(judged, "svg", "A title").axes
        return accuracies, ranks, page

    return drawn


def rows(*counts: int) -> list[dict[str, object]]:
    """metrics.jsonl of a search whose derived cells have these numbers of 3x3 convolutions, from epoch 0 on."""
    return [
        {"epoch": epoch, "genotype": with_convolutions(count), "skip_share": 1 - count / 6}
        for epoch, count in enumerate(counts)
    ]


def with_a_perfect_cell(table: TruthTable) -> TruthTable:
    """The table, except that six convolutions reach 100 per cent."""
    changed = tuple(100 if accuracy == 95 else accuracy for accuracy in table.accuracies["test"])
    assert changed.count(100) == 1
    return replace(table, accuracies={**table.accuracies, "test": changed})


def curves(axes: Axes) -> list[tuple[list[float], list[float], str]]:
    """Epochs, numbers and colour of the lines that are not dashed."""
    lines = [line for line in axes.get_lines() if line.get_linestyle() == "-"]
    return [(list(line.get_xdata()), list(line.get_ydata()), line.get_color()) for line in lines]


def marks(axes: Axes) -> dict[str, float]:
    """The dashed lines by the names beside them."""
    levels = {line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"}
    named = {text.get_text(): text.xy[1] for text in axes.texts}
    assert set(named.values()) == levels
    return named


def test_accuracy_and_rank_of_every_epoch(table, charts) -> None:
    """The axis is of errors, so that good cells lie apart, but its ticks name accuracies."""
    accuracies, ranks, _ = charts(Judged.of({"": rows(0, 2, 5, 6, 3)}, table, "test"))
    ((epochs, errors, _),) = curves(accuracies)
    assert epochs == [0, 1, 2, 3, 4]
    assert [100 - error for error in errors] == [5, 35, 80, 95, 50]
    ((_, shown, _),) = curves(ranks)
    assert shown == [RANKS[count] for count in (0, 2, 5, 6, 3)]
    for axes in (accuracies, ranks):
        low, high = axes.get_ylim()
        assert low > high  # the best end is up
        assert axes.get_yscale() == "log"
    ticks = {
        tick: label.get_text()
        for tick, label in zip(accuracies.get_yticks(), accuracies.get_yticklabels(), strict=True)
    }
    assert ticks[5] == "95"
    assert ticks[50] == "50"
    assert ranks.get_ylabel() == "rank of 15,625"
    assert accuracies.get_title(loc="left") == "True accuracy of what would be derived: test"


def test_marks_are_the_best_the_top_and_the_median(table, charts) -> None:
    """Of 15,625 cells 781 are the best 5 %: rank 781 has three convolutions, rank 7,813, the middle, one."""
    judged = Judged.of({"": rows(0, 1)}, table, "test")
    assert judged.marks() == (("best", 95, 1), ("top 5%", 50, 781), ("median", 20, 7813))
    accuracies, ranks, _ = charts(judged)
    assert marks(accuracies) == {"best": 5, "top 5%": 50, "median": 80}
    assert marks(ranks) == {"best": 1, "top 5%": 781, "median": 7813}


def test_a_perfect_cell_and_a_useless_one_are_on_the_page(table, charts) -> None:
    """The logarithm of an error of 0 would have no place."""
    accuracies, _, _ = charts(Judged.of({"": rows(0, 6)}, with_a_perfect_cell(table), "test"))
    worst, finest = accuracies.get_ylim()
    ((_, errors, _),) = curves(accuracies)
    assert all(finest < error < worst for error in errors)


def test_ticks_leave_room_for_each_other_where_a_cell_is_perfect(table, charts) -> None:
    accuracies, _, _ = charts(Judged.of({"": rows(0, 6)}, with_a_perfect_cell(table), "test"))
    assert overlaps(accuracies.figure) == []


def test_one_run_has_no_name_and_three_have_a_colour_each(table, charts) -> None:
    accuracies, _, page = charts(Judged.of({"alone": rows(1, 2)}, table, "test"))
    assert [text.get_text() for text in texts(page)] == ["A title"]
    assert [colour for *_, colour in curves(accuracies)] == [SERIES[0]]

    three = {"darts": rows(1, 0, 0), "pc-darts": rows(2, 4, 5), "parsec": rows(3, 3)}
    accuracies, ranks, page = charts(Judged.of(three, table, "test"))
    assert [text.get_text() for text in texts(page)] == ["A title", *three]
    for axes, of in ((accuracies, lambda count: 95 - 15 * count), (ranks, RANKS.__getitem__)):
        assert [numbers for _, numbers, _ in curves(axes)] == [
            [of(count) for count in counts] for counts in ((1, 0, 0), (2, 4, 5), (3, 3))
        ]
        assert [colour for *_, colour in curves(axes)] == list(SERIES[:3])
    assert overlaps(page.figure) == []


@pytest.mark.parametrize("names", [1, 12])
def test_no_text_lies_on_another(table, charts, names: int) -> None:
    runs = {f"a-rather-long-name-of-run-{n}": rows(*(epoch * n % 7 for epoch in range(40))) for n in range(names)}
    _, _, page = charts(Judged.of(runs, table, "test"))
    assert overlaps(page.figure) == []


def test_few_epochs_are_visible_points(table, charts) -> None:
    accuracies, _, _ = charts(Judged.of({"": rows(4)}, table, "test"))
    assert {line.get_marker() for line in accuracies.get_lines() if line.get_linestyle() == "-"} == {"o"}


def test_the_text_has_the_end_the_changes_and_the_marks(table) -> None:
    runs = {"darts": rows(1, 2, 2, 0), "parsec": rows(3, 6), "constant": rows(5, 5, 5)}
    lines = visualize(Judged.of(runs, table, "test"), format="txt", title="A title").decode().splitlines()
    assert lines[:2] == ["A title", "true accuracy, test"]
    # Accuracies 20, 35, 35, 5 on eight levels from 5 to 35; twice they changed.
    assert [line.split() for line in lines[3:6]] == [
        ["darts", "5.00", "11,530", "2", "▅██▁"],
        ["parsec", "95.00", "1", "1", "▁█"],
        ["constant", "80.00", "2", "0", "▁▁▁"],
    ]
    assert lines[-1] == "of 15,625 cells: best 95.00, top 5% 50.00, median 20.00"


def test_a_run_alone_is_called_the_run(table) -> None:
    text = visualize(Judged.of({"": rows(1, 2)}, table, "valid"), format="txt").decode()
    assert text.splitlines()[0] == "true accuracy, valid"
    assert re.search(r"^the run +40\.00 +1,546 +1 +▁█$", text, re.MULTILINE)


def test_changes_count_accuracies_not_cells(table) -> None:
    """Two cells of one accuracy are no change that could be seen."""
    text = with_convolutions(2, other="none")
    judged = Judged.of({"": [*rows(2), {"epoch": 1, "genotype": text}]}, table, "test")
    assert changes(judged.runs[""]) == 0


def test_epochs_are_in_order_and_rows_without_cells_are_left_out(table) -> None:
    mixed = [{"epoch": 3, "genotype": with_convolutions(3)}, {"epoch": 2, "skip_share": 0.0}, *rows(1, 2)]
    (worths,) = Judged.of({"": mixed}, table, "test").runs.values()
    assert [(epoch, worth.accuracy) for epoch, worth in worths.items()] == [(0, 20), (1, 35), (3, 50)]


@pytest.mark.parametrize("form", ["svg", "txt"])
def test_a_run_that_tells_of_no_cells_is_refused(table, form: str) -> None:
    with pytest.raises(
        UsageError, match="^the run does not record what it would have derived .* only searches of cells"
    ):
        Judged.of({"": [{"epoch": 1, "train_loss": 2.0}]}, table, "test")
    with pytest.raises(UsageError, match="^run second does not record"):
        Judged.of({"first": rows(1), "second": [{"epoch": 1, "train_loss": 2.0}]}, table, "test")
    with pytest.raises(UsageError, match="run second has no finished epoch"):
        Judged.of({"first": rows(1), "second": []}, table, "test")


def test_cells_of_another_space_are_refused(table) -> None:
    picks = "[('skip_connect', 0), ('skip_connect', 1)]"
    text = f"Genotype(normal={picks}, normal_concat=[2], reduce={picks}, reduce_concat=[2])"
    darts = [{**row, "genotype": text} for row in darts_rows(1)]
    with pytest.raises(UsageError, match="knows cells of the space nas-bench-201, not those of darts: leave --table"):
        Judged.of({"": darts}, table, "test")
    with pytest.raises(UsageError, match="epoch 1: 'nonsense' is no genotype"):
        Judged.of({"": [{**row, "genotype": "nonsense"} for row in darts_rows(1)]}, table, "test")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of three epochs."""
    with RunDir(tmp_path / "run.run").locked() as run:
        for step, row in enumerate(rows(1, 4, 2)):
            run.append_metrics({"step": step, **row})
    return tmp_path / "run.run"


def test_a_run_directory_is_drawn_by_the_first_column_of_tests(run: Path, tmp_path: Path) -> None:
    path = written(tmp_path)
    text = draw(run, output=tmp_path / "truth.txt", table=path).read_text()
    assert text.splitlines()[0] == "true accuracy, test"
    assert re.search(r"run\.run +35\.00 +1,546 +2 ", text)
    other = draw(run, output=tmp_path / "valid.txt", table=path, column="upside-down").read_text()
    # The more convolutions the worse: of the 15,625 cells 10,240 have less than two.
    assert re.search(r"run\.run +70\.00 +10,241 +2 ", other)
    assert b"<svg" in draw(run, output=tmp_path / "truth.svg", table=path).read_bytes()
    with pytest.raises(UsageError, match="unknown column 'tset': did you mean 'test'?"):
        draw(run, output=tmp_path / "no.svg", table=path, column="tset")
    assert not (tmp_path / "no.svg").exists()


@pytest.mark.parametrize(("title", "heading"), [(None, ""), ("Mine", "Mine: ")])
def test_a_genotype_has_its_accuracy_in_the_heading(tmp_path: Path, title: str | None, heading: str) -> None:
    file = GenotypeFile(genotype=BENCHMARK.parse(with_convolutions(4), "an example"), provenance=PROVENANCE)
    (tmp_path / "cell.json").write_bytes(genotype_bytes(file))
    path = draw(tmp_path / "cell.json", output=tmp_path / "cell.txt", title=title, table=written(tmp_path))
    assert path.read_text().splitlines()[0] == f"{heading}test 65.00 %, rank 26 of 15,625"


def test_what_a_table_says_nothing_of_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cell.json").write_bytes(genotype_bytes(GenotypeFile(genotype=GENOTYPE, provenance=PROVENANCE)))
    (tmp_path / "run.safetensors").write_bytes(bytes_of(mixture(space="nas-bench-201")))
    path = written(tmp_path)
    with pytest.raises(UsageError, match="knows cells of the space nas-bench-201, not those of darts"):
        draw(tmp_path / "cell.json", output=tmp_path / "x.svg", table=path)
    with pytest.raises(UsageError, match="a table goes with a genotype, a model, or the run directories of searches"):
        draw(tmp_path / "run.safetensors", output=tmp_path / "x.svg", table=path)
    with pytest.raises(UsageError, match="table.csv"):
        draw(tmp_path / "cell.json", output=path, format="svg", table=path, overwrite=True)
    assert not (tmp_path / "x.svg").exists()
