"""Histograms hold every candidate once, and the best is the one that the ranking would take."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest

from nascli.artifacts.runs.rundir import RunDir
from nascli.artifacts.runs.scores import Scored
from nascli.errors import UsageError
from nascli.visualize import visualize
from nascli.visualize.runs import candidates as drawing
from nascli.visualize.runs.candidates import MOST_BINS, bins, draw_candidates
from nascli.visualize.runs.candidates_text import histogram
from nascli.visualize.runs.scored import Candidates, summary
from nascli.visualize.sources import drawable
from tests.visualize.examples import candidate_rows, candidates
from tests.visualize.figures import made, overlaps, texts


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Draws candidates and returns the figure itself."""
    monkeypatch.setattr(drawing, "picture", made)
    return lambda artifact: draw_candidates(artifact, "svg", "A title")


def scored(population: str, number: int, accuracy: float, loss: float = 1.0) -> Scored:
    return Scored(population, number, accuracy, loss, parameters=10, multiply_adds=5)


@pytest.mark.parametrize("images", [7, 126, 5000])
def test_bins_hold_equally_many_of_the_possible_accuracies(images: int) -> None:
    edges = bins([right / images for right in range(images // 2, images + 1)])
    assert len(edges) <= MOST_BINS + 2
    possible = [100 * right / images for right in range(images // 2, images + 1)]
    inside = [sum(low < value < high for value in possible) for low, high in pairwise(edges)]
    assert sum(inside) == len(possible)
    assert set(inside[:-1]) == {inside[0]}


def test_one_accuracy_is_one_bin() -> None:
    assert bins([0.5, 0.5]) == [49.5, 50.5]


def test_bars_count_every_candidate(drawn) -> None:
    artifact = candidates(60)
    chart = drawn(artifact).axes[1]
    heights = [
        sum(bar.get_height() for bar in container.patches) for container in chart.containers if len(container) > 1
    ]
    assert sorted(heights) == [60, 60]
    means = sorted(line.get_xdata()[0] for line in chart.get_lines() if line.get_linestyle() == "--")
    expected = [100 * mean(one.accuracy for one in scored) for scored in artifact.populations.values()]
    assert means == pytest.approx(sorted(expected))


def test_dots_show_accuracy_by_size(drawn) -> None:
    artifact = candidates(30)
    uniform, posterior, best = drawn(artifact).axes[2].get_lines()
    assert list(posterior.get_xdata()) == [one.parameters / 1000 for one in artifact.populations["posterior"]]
    assert list(uniform.get_ydata()) == [100 * one.accuracy for one in artifact.populations["uniform"]]
    assert best.get_ydata()[0] == max(posterior.get_ydata())


def test_the_best_is_the_posteriors_by_accuracy_then_loss_then_number() -> None:
    rows = [scored("uniform", 1, 1.0), scored("posterior", 4, 0.9, 0.3), scored("posterior", 3, 0.9, 0.2)]
    rows += [scored("posterior", 2, 0.9, 0.2), scored("posterior", 1, 0.8, 0.1)]
    best = Candidates.of(rows).best()
    assert (best.population, best.number) == ("posterior", 2)


def test_summary_by_hand() -> None:
    three = Candidates.of([scored("posterior", n, a) for n, a in enumerate((0.5, 0.6, 0.7))]).populations["posterior"]
    assert summary(three) == "3 candidates: best 70.00 %, mean 60.00 ± 10.00 %, 10 parameters each"
    other = replace(three[0], parameters=25)
    assert summary((*three[1:], other)) == "3 candidates: best 70.00 %, mean 60.00 ± 10.00 %, 15 parameters on average"
    assert summary((scored("posterior", 1, 0.5),)) == "1 candidate: 50.00 %, 10 parameters"
    assert summary((scored("mean", 1, 0.5),)) == "1 network of the mean weights: 50.00 %, 10 parameters"


def test_where_all_have_one_size_nothing_is_drawn_by_size(drawn) -> None:
    rows = [scored("posterior", number, 0.5 + 0.01 * number) for number in range(9)]
    figure = drawn(Candidates.of([*rows, scored("mean", 1, 0.5)]))
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "accuracy (%)"]
    assert "Accuracy by size" not in [text.get_text() for text in texts(figure.axes[0])]
    assert overlaps(figure) == []
    both = drawn(Candidates.of([*rows, replace(rows[0], number=10, parameters=25)]))
    assert len(both.axes) == 3
    assert both.get_figheight() > figure.get_figheight() + 2


def test_without_candidates_there_is_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="no candidate has a score yet"):
        Candidates.of([])


@pytest.mark.parametrize(("count", "images"), [(1, 10), (2, 126), (40, 126), (400, 5000)])
def test_no_text_lies_on_another(drawn, count: int, images: int) -> None:
    assert overlaps(drawn(candidates(count, images))) == []


def test_one_population_alone(drawn) -> None:
    figure = drawn(Candidates.of([scored("posterior", 1, 0.5), scored("posterior", 2, 0.75)]))
    assert overlaps(figure) == []
    assert "uniform" not in [text.get_text() for text in texts(figure.axes[0])]


def test_text_histogram_counts_every_candidate() -> None:
    artifact = candidates(50)
    counts = {"█": 0, "░": 0}
    for line in histogram(artifact):
        drawn, _, count = line.partition("│")[2].rpartition(" ")
        if drawn:
            counts[drawn[0]] += int(count)
    assert counts == {"█": 50, "░": 50}
    perfect = histogram(Candidates.of([scored("posterior", 1, 1.0), scored("posterior", 2, 0.0)]))
    assert perfect[0].split("│")[0].split("–")[1].strip() == "100"
    assert perfect[0].endswith("█ 1")
    assert perfect[-1].endswith("█ 1")
    text = visualize(artifact, format="txt").decode()
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_derivations_folder_is_drawn_as_its_candidates(tmp_path: Path) -> None:
    folders = [tmp_path / "cell.run", tmp_path / "run.run"]
    with RunDir(folders[0]).locked() as run:
        run.append_candidates(candidate_rows(3))
    folders[1].mkdir()
    (folders[1] / "metrics.jsonl").write_text('{"epoch":1,"train_loss":2.0}\n')
    found = drawable(folders[0])
    assert isinstance(found, Candidates)
    assert {name: len(scored) for name, scored in found.populations.items()} == {"posterior": 3, "uniform": 3}
    assert not isinstance(drawable(folders[1]), Candidates)
    with pytest.raises(UsageError, match=r"cell\.run holds the candidates of a posterior: draw it alone"):
        drawable(*folders)
