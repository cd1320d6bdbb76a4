"""Precision, recall and F1, by hand and beside scikit-learn's."""

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from nascli.core.engine.class_scores import ClassScores


def test_two_classes_by_hand():
    scores = ClassScores.of([[8, 2], [1, 3]])
    assert scores.precision == (8 / 9, 3 / 5)
    assert scores.recall == (8 / 10, 3 / 4)
    assert scores.f1 == (pytest.approx(16 / 19), pytest.approx(6 / 9))
    assert scores.balanced_accuracy == pytest.approx((0.8 + 0.75) / 2)
    assert scores.macro(scores.precision) == pytest.approx((8 / 9 + 3 / 5) / 2)


CONFUSIONS = {
    "all well": [[5, 1, 0], [2, 7, 1], [0, 3, 9]],
    "never answered": [[5, 1, 0], [2, 7, 0], [4, 3, 0]],
    "without images": [[5, 1, 2], [2, 7, 1], [0, 0, 0]],
    "neither": [[5, 1, 0], [2, 7, 0], [0, 0, 0]],
    "all wrong": [[0, 4, 0], [3, 0, 0], [1, 2, 0]],
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
@pytest.mark.parametrize("confusion", CONFUSIONS.values(), ids=CONFUSIONS)
def test_they_are_scikit_learns(confusion):
    truth, answers = np.nonzero(confusion)
    counts = np.array(confusion)[truth, answers]
    truth, answers = truth.repeat(counts), answers.repeat(counts)
    scores = ClassScores.of(confusion)
    each = precision_recall_fscore_support(truth, answers, labels=[0, 1, 2], zero_division=math.nan)
    mean = precision_recall_fscore_support(truth, answers, average="macro", zero_division=0)
    for own, theirs, macro in zip((scores.precision, scores.recall, scores.f1), each, mean, strict=False):
        assert [math.nan if share is None else share for share in own] == pytest.approx(theirs.tolist(), nan_ok=True)
        assert scores.macro(own) == pytest.approx(macro)
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, answers))
