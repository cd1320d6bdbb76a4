"""The table of metrics, against what short runs of every stage and every method report."""

import re
from types import SimpleNamespace

import nascli
from nascli.core.engine.reporter import Silent
from nascli.core.engine.search import SearchJob
from nascli.metrics import FROZEN, GENOTYPE, METRICS, PANELS, shown
from tests.core.engine.detection.test_train import config
from tests.core.engine.ranking.example import run, settings
from tests.core.methods.test_contract import CASES, Running, configured
from tests.data.scenes.folders import document, simple, write
from tests.small_cells import SMALL_CELL

NO_METRICS = {"epoch", "step", GENOTYPE, FROZEN}


class Rows(Silent):
    """Keeps what is reported."""

    def __init__(self):
        self.all = []

    def step(self, epoch, step, metrics):
        self.all.append(metrics)

    def epoch(self, metrics):
        self.all.append(metrics)


def true_accuracies():
    """A row of a search of cells of which a table knows the truth."""
    running = Running(configured(("pc-darts", "nas-bench-201")))
    truth = SimpleNamespace(table=SimpleNamespace(accuracy=lambda genotype, column: 93.0), column="test")
    return SearchJob(running.config, running.method, running.streams, running.runtime, truth).start_metrics()


def test_every_number_that_is_reported_is_in_the_table_and_every_row_of_it_is_reported(tmp_path):
    rows = Rows()
    for case in {method: (method, space) for method, space in CASES}.values():
        nascli.search(configured(case), reporter=rows)
    nascli.search(configured(("pgnas", "resnet-mb"), noise="gaussian"), reporter=rows)
    small = {"limit_train": 60, "batch_size": 20, "layers": 3, "channels": 4, "epochs": 1}
    nascli.train(SMALL_CELL, nascli.TrainConfig(dataset="digits", validation=0.3, **small), reporter=rows)
    write(tmp_path / "val.json", tmp_path / "val", document(3, first=80))  # beside train and test: it is watched
    nascli.train_detector("darts-v2", config(simple(tmp_path), epochs=1), reporter=rows)
    nascli.rank(run(), settings(candidates=2), reporter=rows)
    reported = set()
    for row in (*rows.all, true_accuracies()):
        of_row = {key: metric for metric in METRICS for key in metric.keys(row)}
        assert of_row.keys() == row.keys() - NO_METRICS
        reported |= set(of_row.values())
    assert reported == set(METRICS)


def test_a_metric_is_called_something_wherever_it_is_shown_and_a_panel_has_some():
    for metric in METRICS:
        assert bool(metric.panel) == bool(metric.label)
        known = set(re.findall(r"{\w+}", metric.name))
        assert set(re.findall(r"{\w+}", metric.live + metric.panel + metric.label)) <= known
        assert {metric.whole, metric.total, metric.beside} <= {"", *(other.name for other in METRICS)}
    assert {metric.panel for metric in METRICS} == {"", *PANELS}


def test_a_name_stands_for_different_things_by_what_is_beside_it():
    of_cells, of_masks = {"entropy": 1.0, "entropy/normal": 1.0}, {"entropy": 1.0, "kept_share": 0.5}
    entropies = [metric for metric in METRICS if metric.name == "entropy"]
    for row, panel in ((of_cells, "Entropy of p(α | π)"), (of_masks, "Entropy of the masks")):
        assert [metric.panel for metric in entropies if metric.keys(row)] == [panel]
        assert [text for text in shown(row) if text[0] == "entropy"] == [("entropy", "1.00")]
