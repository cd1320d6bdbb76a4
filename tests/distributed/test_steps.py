"""Several processes do what one does: the first steps of every method and of a training.

Over three ranks, to which a batch of ten images is spread unevenly; in float64 up to 1e-10, in float32 the losses up to
1e-5.
"""

import json

import pytest

from tests.distributed import steps
from tests.distributed.forked import Jobs
from tests.distributed.steps import IN_FLOAT32, SEARCHES, STEPS, TRAININGS


def test_three_ranks_do_what_one_does(tmp_path):
    """In one test, so that it starts the ranks once, however tests are divided among processes."""
    ended = Jobs(tmp_path).run(["found.json"], 3, program=steps.write)
    assert ended.codes == [0, 0, 0], ended.err[-3000:]
    alone, together = steps.all_cases(), json.loads((tmp_path / "found.json").read_text())
    check_losses_gradients_and_metrics(alone["float64"], together["float64"])
    check_losses_in_single_precision(alone["float32"], together["float32"])
    check_what_parsec_sends(together["float64"])
    # Each trial is trained whole on one rank, whichever that is; four trials do not divide among three ranks.
    assert len(alone["random"]) == 4
    assert [tuple(trial) for trial in together["random"]] == alone["random"]


def check_losses_gradients_and_metrics(alone, together):
    assert alone.keys() == together.keys() == {*SEARCHES, *TRAININGS}
    for name, (rows, sent) in alone.items():
        assert sent == {}
        for number, (one, several) in enumerate(zip(rows, together[name][0], strict=True)):
            assert one.keys() == several.keys()
            for metric, value in one.items():
                near = 1e-6 if "accuracy" in metric else 1e-10  # accuracies are shares in float32
                assert several[metric] == pytest.approx(value, rel=near, abs=near), (name, number, metric)


def check_losses_in_single_precision(alone, together):
    assert alone.keys() == together.keys() == set(IN_FLOAT32)
    for name, (rows, _) in alone.items():
        for one, several in zip(rows[:STEPS], together[name][0], strict=False):
            losses = [metric for metric in one if metric.endswith("loss")]
            assert losses
            for metric in losses:
                assert several[metric] == pytest.approx(one[metric], rel=1e-5), (name, metric)


def check_what_parsec_sends(found):
    """With four samples a step, nothing is sent for each child, and batch norms are not synchronised."""
    sent, uniform = (found[name][1] for name in ("parsec, spread", "spos"))
    assert sent["gradients"] == uniform["gradients"]  # of one child: those of all weights, once a step
    assert sent["log-likelihoods"] <= STEPS * 4 * 8
    assert sent["losses"] == STEPS * 2 * 8
    assert "batch norms" not in sent
    assert uniform["batch norms"] > 0
