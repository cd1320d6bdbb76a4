"""Random search with a table instead of training: which cells, in which order, by which columns."""

from itertools import pairwise

import pytest
import torch

from nascli.artifacts.data_info import DataInfo
from nascli.core.methods.protocol import Plan
from nascli.core.methods.random_by_table import trials_by_table
from nascli.core.methods.random_search import RandomSearch
from nascli.core.runtime import Runtime
from nascli.errors import UsageError
from nascli.settings.random_search import RandomSettings
from nascli.spaces import cell_space
from tests import truth_table

SPACE = cell_space("nas-bench-201")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return truth_table.loaded(tmp_path_factory.mktemp("table"))


def ranked(table, trials=40, seed=3, choose_by="valid", report="test"):
    return trials_by_table(SPACE.name, RandomSettings(trials=trials), seed, table, choose_by, report)


def convolutions(genotype):
    return [pick.op for pick in genotype.picks()].count("nor_conv_3x3")


def test_cells_are_ranked_by_one_column_and_told_by_another(table):
    """n convolutions have "valid" 20 + 10 n, which orders, and "test" 5 + 15 n, which is reported. Ties keep the order
    of drawing.
    """
    ranking = ranked(table)
    assert ranking.waiting == ()
    assert sorted(cell.number for cell in ranking.done) == list(range(40))
    for cell in ranking.done:
        n = convolutions(cell.genotype)
        assert (cell.accuracy, cell.reported) == pytest.approx((0.2 + 0.1 * n, 0.05 + 0.15 * n))
        assert cell.loss is None
    places = [(-convolutions(cell.genotype), cell.number) for cell in ranking.done]
    assert places == sorted(places)
    assert len({n for n, _ in places}) > 2, "there is something to rank"
    assert ranking.mode() == ranking.done[0].genotype


def test_another_column_is_another_order(table):
    """The column "upside-down" falls as convolutions are added."""
    ranking = ranked(table, choose_by="upside-down", report="valid")
    counts = [convolutions(cell.genotype) for cell in ranking.done]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert (ranking.done[0].accuracy, ranking.done[0].reported) == (0.9, 0.2)
    assert all(a.accuracy >= b.accuracy for a, b in pairwise(ranking.done))


def test_the_cells_are_those_that_a_search_with_this_seed_would_train(table):
    data = DataInfo(
        dataset="digits", classes=("a", "b"), channels=1, image_size=8, mean=(0.0,), std=(1.0,), train_images=8,
        test_images=0, fingerprint="",
    )  # fmt: skip
    settings = RandomSettings(layers=3, channels=2, trials=40)
    plan = Plan("random", "nas-bench-201", data, epochs=40, steps_per_epoch=1, seed=3)
    trained = RandomSearch(plan, Runtime(torch.device("cpu")), settings).distribution().waiting
    assert {cell.number: cell.genotype for cell in ranked(table).done} == dict(enumerate(trained))


def test_the_seed_decides_and_more_trials_begin_with_the_same(table):
    def drawn(**given):
        return {cell.number: cell.genotype for cell in ranked(table, **given).done}

    assert drawn() == drawn()
    assert drawn() != drawn(seed=4)
    assert drawn().items() <= drawn(trials=60).items()


def test_a_table_of_other_cells_is_of_no_use(table):
    with pytest.raises(UsageError, match="knows cells of the space nas-bench-201, not those of darts"):
        trials_by_table("darts", RandomSettings(trials=2), 0, table, "valid", "test")
