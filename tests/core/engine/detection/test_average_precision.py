import sys
from dataclasses import replace

import numpy as np
import pytest

from nascli.core.engine.detection.average_precision import average_precisions
from nascli.core.engine.detection.found import FoundBoxes
from nascli.data.scenes import Boxes, Scenes
from nascli.errors import UsageError


def scenes(*pictures, crowd=()):
    """Pictures of 200 x 200 pixels with boxes (left, top, right, bottom, label); `crowd`: numbers of the boxes."""
    boxes = []
    for rows in pictures:
        table = np.array(rows, np.float64).reshape(-1, 5)
        around = np.isin(np.arange(len(table)), crowd)
        areas = (table[:, 2] - table[:, 0]) * (table[:, 3] - table[:, 1])
        boxes.append(Boxes(table[:, :4].astype(np.float32), table[:, 4].astype(np.int64), around, areas))
    count = len(boxes)
    return Scenes(["x"] * count, [(200, 200)] * count, boxes, ("a", "b"), lambda _: pytest.fail("no pixels are needed"))


def found(*rows):
    """Boxes (left, top, right, bottom, label, score), the surest first."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return FoundBoxes(table[:, :4].astype(np.float32), table[:, 4].astype(np.int64), table[:, 5].astype(np.float32))


def test_one_perfect_box_and_one_missed():
    truth = scenes([(0, 0, 50, 50, 0), (100, 100, 150, 150, 0)])
    result = average_precisions(truth, [found((0, 0, 50, 50, 0, 0.9))])
    # Precision is 1 up to a recall of a half: at 51 of the 101 recalls 0, 0.01 … 1 that are averaged.
    assert result.ap == result.ap50 == result.ap75 == pytest.approx(51 / 101)
    assert result.ar == result.ar_1 == pytest.approx(0.5)
    assert result.ap_medium == pytest.approx(51 / 101)
    assert (result.ap_small, result.ap_large) == (None, None)
    assert result.per_class == {"a": pytest.approx(51 / 101), "b": None}


def test_a_box_counts_up_to_the_overlap_that_it_has():
    truth = scenes([(0, 0, 100, 100, 1)])
    result = average_precisions(truth, [found((0, 0, 100, 78, 1, 0.5))])  # an overlap of 0.78
    assert result.ap50 == result.ap75 == pytest.approx(1)
    assert result.ap == pytest.approx(0.6)  # at 0.5, 0.55, 0.6, 0.65, 0.7 and 0.75, of ten
    assert result.ap_large == pytest.approx(0.6)


def test_a_surer_wrong_box_halves_the_precision_and_one_in_a_crowd_does_not():
    wrong = found((100, 100, 150, 150, 0, 0.9), (0, 0, 50, 50, 0, 0.8))
    assert average_precisions(scenes([(0, 0, 50, 50, 0)]), [wrong]).ap == pytest.approx(0.5)
    crowded = scenes([(0, 0, 50, 50, 0), (90, 90, 190, 190, 0)], crowd=(1,))
    assert average_precisions(crowded, [wrong]).ap == pytest.approx(1)
    uncrowded = scenes([(0, 0, 50, 50, 0), (90, 90, 190, 190, 0)])
    assert average_precisions(uncrowded, [wrong]).ap < 0.5


def test_pictures_without_boxes_count_what_is_found_in_them():
    truth = scenes([(0, 0, 50, 50, 0)], [])
    right = found((0, 0, 50, 50, 0, 0.5))
    assert average_precisions(truth, [right, found()]).ap == pytest.approx(1)
    assert average_precisions(truth, [right, found((0, 0, 50, 50, 0, 0.9))]).ap == pytest.approx(0.5)


def test_nothing_found_is_zero_and_nothing_is_printed(capsys):
    result = average_precisions(scenes([(0, 0, 50, 50, 0)]), [found()])
    assert (result.ap, result.ar) == (0, 0)
    assert capsys.readouterr() == ("", "")


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys.modules["nascli.core.engine.detection.average_precision"], "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'nascli\[detection\]'"):
        average_precisions(scenes([(0, 0, 50, 50, 0)]), [found()])


def test_small_is_a_small_thing_in_a_large_box():
    """COCO's area is the thing's: 900 pixels of a box of 50 x 50, and below 32 x 32."""
    truth = scenes([(0, 0, 50, 50, 0)])
    thin = replace(truth, boxes=[replace(truth.boxes[0], areas=np.array([900.0]))])
    right = [found((0, 0, 50, 50, 0, 0.9))]
    results = [average_precisions(one, right) for one in (truth, thin)]
    assert [(one.ap_small, one.ap_medium) for one in results] == [(None, pytest.approx(1)), (pytest.approx(1), None)]
