"""Trials are in order, keep their accuracies to the bit, and nothing malformed becomes one."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.distributions.trials import Trial, TrialsDistribution
from nascli.artifacts.files import tensors
from nascli.artifacts.load import read_artifact
from nascli.errors import ArtifactError, UsageError
from nascli.spaces import cell_space
from tests.artifacts.examples import bytes_of, file_of, provenance, trials


def test_accuracy_then_loss_then_number_decides() -> None:
    cell = trials().mode()
    scores = [(0.5, 0.9), (0.7, 2.0), (0.5, 0.8), (0.7, 2.0), (0.9, 5.0)]
    cells = [Trial(cell, accuracy, loss, number) for number, (accuracy, loss) in enumerate(scores)]
    assert [found.number for found in sorted(cells, key=Trial.place)] == [4, 1, 3, 2, 0]


def test_the_mode_is_the_best_and_before_there_is_one_the_first_that_waits() -> None:
    done = trials()
    assert [trial.number for trial in done.done] == [1, 2, 0]
    assert done.mode() == done.done[0].genotype
    assert [genotype for genotype, _ in done.top(2)] == [trial.genotype for trial in done.done[:2]]
    assert {probability for _, probability in done.top(3)} == {None}
    with pytest.raises(UsageError, match="4 cells were asked for, but the search has tried 3"):
        done.top(4)
    fresh = trials(done=0, waiting=2)
    assert fresh.mode() == fresh.waiting[0]
    with pytest.raises(UsageError, match="tried 0"):
        fresh.top(1)


@pytest.mark.parametrize(("done", "waiting"), [(3, 1), (0, 2), (4, 0)])
def test_round_trip(done: int, waiting: int) -> None:
    written = trials(done=done, waiting=waiting)
    data = bytes_of(written)
    read = read_artifact(data, "run.safetensors").value
    assert read.distribution == written
    assert read.provenance == file_of(written).provenance
    assert distribution_bytes(read) == data
    assert written.shared_settings(provenance()) == {"space": "darts", "nodes": 3}


@given(st.floats(0, 1), st.floats(0, 1e300), st.integers(0, 2**63 - 1))
def test_scores_survive_to_the_bit(accuracy: float, loss: float, number: int) -> None:
    written = replace(trials(), done=(Trial(trials().mode(), accuracy, loss, number),))
    read = read_artifact(bytes_of(written), "x").value.distribution
    assert isinstance(read, TrialsDistribution)
    assert read.done == written.done


def by_table() -> TrialsDistribution:
    """The same cells looked up in a table: no losses, and a second accuracy that had no part in the choice."""
    cells = [
        replace(cell, loss=None, reported=reported)
        for cell, reported in zip(trials().done, (0.25, 1.0, 0.0), strict=True)
    ]
    return TrialsDistribution(trials().space, tuple(sorted(cells, key=Trial.place)), ())


def test_trials_by_a_table() -> None:
    written = by_table()
    assert [cell.number for cell in written.done] == [1, 0, 2], "of equals the lower number goes first"
    assert written.tensors().keys() == {"accuracy", "number", "reported"}
    assert trials().tensors().keys() == {"accuracy", "number", "loss"}
    read = read_artifact(bytes_of(written), "x").value.distribution
    assert read == written
    assert [(cell.loss, cell.reported) for cell in read.done] == [(None, 0.25), (None, 0.0), (None, 1.0)]


@pytest.mark.parametrize("name", ["loss", "reported"])
def test_all_cells_have_a_score_or_none_has(name: str) -> None:
    first, *others = [replace(cell, loss=0.5, reported=0.5) for cell in trials().done]
    with pytest.raises(ValueError, match=f"{name}: some cells have one and some have none"):
        replace(trials(), done=(replace(first, **{name: None}), *others))


def altered(values: dict[str, Any] | None = None, **settings: object) -> bytes:
    """A file of trials with other tensors (None removes one) or settings, and a matching digest."""
    arrays, document = tensors.decode(bytes_of(trials()), "x")
    merged = {name: value for name, value in (arrays | (values or {})).items() if value is not None}
    return tensors.encode(merged, document | {"settings": document["settings"] | settings})


def cells(change: Any) -> list[Any]:
    """The cells in the settings as JSON, after `change` was applied to them."""
    found = json.loads(json.dumps(trials().settings()["cells"]))
    change(found)
    return found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(more=1), "settings: more: unknown field"),
        (altered(nodes=True), "settings: nodes: must be a valid integer, not True"),
        (altered(nodes=4), "cells[0].cells.normal: has 3 nodes; 4 are needed"),
        (altered(nodes=10**50), "nodes: cells of the space darts have 1 to 12 nodes, not 1000"),
        (altered(nodes=0), "nodes: 0 is less than 1"),
        (altered(space="nas-bench-201"), "cells[0]: is of the space 'darts', not 'nas-bench-201'"),
        (altered(space="dart"), "unknown space 'dart': did you mean 'darts'?"),
        (altered(cells=3), "settings: cells: must be a valid array, not 3"),
        (altered(cells=[]), "accuracy: has shape [3]; [0] is needed"),
        (
            altered(
                dict.fromkeys(("accuracy", "loss"), np.zeros(0)) | {"number": np.zeros(0, int)}, cells=[], waiting=[]
            ),
            "cells: there is none, neither trained nor waiting",
        ),
        (
            altered(cells=cells(lambda c: c[1]["cells"]["normal"]["nodes"][2][0].update(op="sep_conv_9x9"))),
            "settings: cells[1].cells.normal.nodes[2][0].op: unknown op 'sep_conv_9x9'",
        ),
        (
            altered(cells=cells(lambda c: c[2]["cells"]["reduce"]["nodes"].pop())),
            "settings: cells[2].cells.reduce.concat[2]: 4 is not",
        ),
        (altered(waiting=[{}]), "settings: waiting[0].cells: is missing"),
        (altered({"accuracy": None}), "accuracy: is missing"),
        (altered({"score": np.zeros(3)}), "unknown tensor 'score': trials have accuracy, number, loss, reported"),
        (altered({"loss": np.zeros(3, np.float32)}), "loss: is of type float32; float64 is needed"),
        (altered({"number": np.arange(3.0)}), "number: is of type float64; int64 is needed"),
        (altered({"accuracy": np.zeros((3, 1))}), "accuracy: has shape [3, 1]; [3] is needed"),
        (altered({"accuracy": np.array([75.0, 0.5, 0.5])}), "accuracy[0]: 75 is not from 0 to 1"),
        (altered({"accuracy": np.array([0.75, np.nan, 0.5])}), "accuracy[1]: nan is not from 0 to 1"),
        (altered({"loss": np.array([1.0, 1.0, np.inf])}), "loss[2]: inf is not a finite number"),
        (altered({"loss": np.array([-1.0, 1.0, 1.0])}), "loss[0]: -1 is not a finite number"),
        (altered({"reported": np.array([0.0, 0.5, 1.5])}), "reported[2]: 1.5 is not from 0 to 1"),
        (altered({"reported": np.array([np.nan, 0.5, 1.0])}), "reported[0]: nan is not from 0 to 1"),
        (altered({"reported": np.zeros(2)}), "reported: has shape [2]; [3] is needed"),
        (altered({"number": np.array([0, 1, -1])}), "number[2]: -1 is negative"),
        (altered({"number": np.array([0, 1, 0])}), "number[2]: 0 is there twice"),
        (altered({"accuracy": np.array([0.5, 0.75, 0.5])}), "cells[1]: is better than the one before it"),
        (altered({"number": np.array([1, 2, 0]), "loss": np.array([1.25, 1.5, 1.0])}), "cells[2]: is better than"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(data, "run.safetensors")
    assert str(caught.value).startswith("run.safetensors: ")
    assert message in str(caught.value)


def test_a_cell_of_another_space_is_refused() -> None:
    (first, *others) = trials().done
    strange = cell_space("nas-bench-201").genotype([0] * 6)
    with pytest.raises(ValueError, match=r"cells\[0\]: is of the space 'nas-bench-201', not 'darts'"):
        replace(trials(), done=(replace(first, genotype=strange), *others))
