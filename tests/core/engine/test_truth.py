"""What a table of true accuracies tells a search, and that nothing but a random search learns from it."""

import pytest

import nascli
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.artifacts.runs.rundir import RunDir
from nascli.core.engine.reporter import Silent
from nascli.core.engine.truth import Truth, search_by_table
from nascli.errors import DataError, UsageError
from tests import truth_table

TINY = {"dataset": "digits", "space": "nas-bench-201", "limit_train": 160, "batch_size": 32, "epochs": 2, "layers": 3}
SEARCH = {**TINY, "method": "parsec", "channels": 4, "samples": 2, "arch_lr": 0.5}
RANDOM = {"method": "random", "space": "nas-bench-201", "trials": 30, "epochs": 30}


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def notice(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return truth_table.written(tmp_path_factory.mktemp("table"))


@pytest.fixture(autouse=True)
def _tables_are_read_once(monkeypatch):
    truth_table.read_once(monkeypatch)


@pytest.fixture
def truth(path):
    return Truth.of(path)


def with_columns(truth, **columns):
    return Truth(truth.table, **{"column": truth.column, "choose_by": truth.choose_by, **columns})


def test_columns_are_those_of_the_test_and_of_the_validation_unless_they_are_named(path, truth):
    assert (truth.column, truth.choose_by) == ("test", "valid")
    named = Truth.of(path, "upside-down", "test")
    assert (named.column, named.choose_by) == ("upside-down", "test")
    with pytest.raises(UsageError, match="unknown column 'tset': did you mean 'test'"):
        Truth.of(path, "tset")
    with pytest.raises(UsageError, match="unknown column 'validation'"):
        Truth.of(path, None, "validation")


def test_a_cell_in_words(truth):
    """Of 15,625 cells 25 have more than 4 convolutions, and most have one: 20 %."""
    cell = truth.table.space.parse(truth_table.with_convolutions(4), "here")
    assert truth.tell(cell) == (
        "test 65.00 %, rank 26 of 15,625 (0.2% are better), 30.00 below the best; the median cell has 20.00 %"
    )


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (
            nascli.SearchConfig(method="random", dataset="digits"),
            "cells of the space darts: leave --table out, or give --space nas-bench-201$",
        ),
        (nascli.SearchConfig(method="pgnas", dataset="digits"), "channels of resnet-mb: leave --table out$"),
    ],
)
def test_a_table_of_other_cells_is_refused_before_anything_is_done(config, what, truth, tmp_path):
    with pytest.raises(UsageError, match=f"this search is over {what}"):
        nascli.search(config, nascli.Destination(tmp_path / "run.safetensors"), truth=truth)
    assert list(tmp_path.iterdir()) == []


def test_a_random_search_by_a_table_needs_no_images_and_leaves_one_file(truth, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    out.mkdir()
    config = nascli.SearchConfig(**RANDOM, dataset="cifar10", data_dir=images, download=False, seed=5)
    with pytest.raises(DataError):
        nascli.search(config)
    found = nascli.search(config, nascli.Destination(out / "run.safetensors"), truth=truth)
    assert [path.name for path in out.iterdir()] == ["run.safetensors"]
    assert list(images.iterdir()) == []
    assert found.sha256 == sha256((out / "run.safetensors").read_bytes())
    assert len(found.value.distribution.done) == 30


def test_the_result_says_what_it_was_chosen_by(path, truth):
    config = nascli.SearchConfig(**RANDOM, dataset="digits", seed=5)
    origin = nascli.search(config, truth=truth).provenance
    assert (origin.stage, origin.method, origin.seed, origin.data, origin.made_from) == (
        "search", "random", 5, None, None,
    )  # fmt: skip
    assert origin.nascli == nascli.__version__
    assert origin.config == {
        "space": "nas-bench-201",
        "trials": 30,
        "choose_by": "valid",
        "column": "test",
        "table": sha256(path.read_bytes()),
    }
    assert origin.note == "looked up in a table, valid, not trained"


def test_the_seed_and_the_columns_decide(truth):
    def found(truth=truth, **given):
        return nascli.search(nascli.SearchConfig(**{**RANDOM, "dataset": "digits", **given}), truth=truth)

    first = found()
    assert found().sha256 == first.sha256 == found(dataset="cifar10").sha256
    assert found(seed=1).sha256 != first.sha256
    reversed_ = found(with_columns(truth, choose_by="upside-down")).value.distribution.done
    forward = first.value.distribution.done
    assert {c.number: c.genotype for c in reversed_} == {c.number: c.genotype for c in forward}
    assert [cell.accuracy for cell in reversed_] == pytest.approx([1.1 - c.accuracy for c in forward[::-1]])
    assert [cell.reported for cell in reversed_] == [cell.reported for cell in forward[::-1]]


def test_the_best_is_told_and_that_it_flatters_where_it_is_chosen_by_what_is_told(truth):
    config, notes = nascli.SearchConfig(**RANDOM, dataset="digits"), Notes()
    best = search_by_table(config, truth, nascli.Destination(), notes).value.distribution.mode()
    assert notes.texts == [f"best of 30 by valid: {truth.tell(best)}"]
    both = with_columns(truth, choose_by="test")
    search_by_table(config, both, nascli.Destination(), notes := Notes())
    flatters, told = notes.texts
    assert flatters == "chosen by test, which is also reported: the best of many looks better than it is"
    assert told.startswith("best of 30 by test: test ")


def test_what_a_table_ranked_is_derived_best_first(truth):
    found = nascli.search(nascli.SearchConfig(**RANDOM, dataset="digits"), truth=truth)
    cells = [made.value.genotype for made in nascli.derive_several(found, nascli.Top(3))]
    assert cells == [cell.genotype for cell in found.value.distribution.done[:3]]
    assert nascli.derive(found).value.genotype == cells[0]


def test_a_search_that_trains_is_told_the_truth_and_learns_nothing_from_it(truth, tmp_path):
    config, notes = nascli.SearchConfig(**SEARCH), Notes()
    told = nascli.search(config, nascli.Destination(tmp_path / "told.safetensors"), notes, truth=truth)
    plain = nascli.search(config, nascli.Destination(tmp_path / "plain.safetensors"))
    assert told.sha256 == plain.sha256
    rows, others = (RunDir(tmp_path / f"{name}.run").read_metrics() for name in ("told", "plain"))
    assert len(rows) == 3
    assert len({row["genotype"] for row in rows}) > 1
    for row, other in zip(rows, others, strict=True):
        assert row["genotype"] == other["genotype"]
        assert "true_accuracy" not in other
        n = row["genotype"].count("nor_conv_3x3")
        assert row["true_accuracy"] == pytest.approx((5 + 15 * n) / 100)
    mode = told.value.distribution.mode()
    assert parse_genotype(rows[-1]["genotype"].encode(), "the last row").genotype == mode
    assert notes.texts[-1] == f"what it derives is worth: {truth.tell(mode)}"


def test_a_finetune_trains_what_a_table_ranked(truth):
    """A table is all that a random search needs; a search that goes on from it only reports the table's accuracies."""
    ranked = nascli.search(nascli.SearchConfig(**RANDOM, dataset="digits"), truth=truth)
    config = nascli.FinetuneConfig(**TINY, method="random", channels=2, trials=2)
    tuned = nascli.finetune(ranked, config, truth=truth).value.distribution
    best = [cell.genotype for cell in ranked.value.distribution.done[:2]]
    assert [cell.genotype for cell in sorted(tuned.done, key=lambda cell: cell.number)] == best
    assert all(cell.loss is not None and cell.reported is None for cell in tuned.done)
