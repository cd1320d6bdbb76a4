"""COCO's measures of boxes, by pycocotools, the package of the extra `nascli[detection]`."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from nascli.core.engine.detection.found import FoundBoxes
from nascli.data.scenes import Scenes
from nascli.errors import UsageError


class AveragePrecisions(BaseModel):
    """How boxes agree with the true ones, from 0 to 1; None where there is nothing to measure.

    `ap` is the mean over classes and over the overlaps 0.5, 0.55 … 0.95 from which a box counts as found; `ap50` and
    `ap75` are those at one overlap. Small are things of an area of less than 32 x 32 pixels of the picture, large of
    more than 96 x 96. `ar` is the mean recall with at most 100 boxes in a picture, `ar_1` and `ar_10` with as many.
    `per_class` is each class's `ap`. Lin et al., ECCV 2014; https://cocodataset.org/#detection-eval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None
    ar_10: float | None
    ar: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    per_class: dict[str, float | None]


def check_packages() -> None:
    """Raise UsageError where pycocotools is missing."""
    if find_spec("pycocotools") is None:
        raise UsageError("measuring a detector needs pycocotools: pip install 'nascli[detection]'")


def average_precisions(scenes: Scenes, found: Sequence[FoundBoxes]) -> AveragePrecisions:
    """What boxes in pictures are worth. found: of each of the pictures, in their order. Raises UsageError."""
    check_packages()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):  # it prints what it does
        truth = COCO()
        truth.dataset = {
            "images": [{"id": number} for number in range(len(scenes))],
            "categories": [{"id": label} for label in range(len(scenes.classes))],
            "annotations": _annotations(scenes),
        }
        truth.createIndex()
        answers = COCO()
        answers.dataset = {**truth.dataset, "annotations": _answers(found)}
        answers.createIndex()
        measured = COCOeval(truth, answers, "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    names = [name for name in AveragePrecisions.model_fields if name != "per_class"]
    figures = {name: _known(value) for name, value in zip(names, measured.stats, strict=True)}
    # [overlaps, recalls, classes, areas, most boxes]: of all areas and 100 boxes
    precision = measured.eval["precision"][:, :, :, 0, -1]
    per_class = {name: _mean(precision[:, :, label]) for label, name in enumerate(scenes.classes)}
    return AveragePrecisions(**figures, per_class=per_class)


def _annotations(scenes: Scenes) -> list[dict[str, Any]]:
    """The true boxes; ids begin with 1, since pycocotools takes 0 for none."""
    rows = [
        {
            "image_id": number,
            "category_id": int(label),
            "bbox": _bbox(corners),
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for number, boxes in enumerate(scenes.boxes)
        for corners, label, crowd, area in zip(boxes.corners, boxes.labels, boxes.crowd, boxes.areas, strict=True)
    ]
    return [{"id": number, **row} for number, row in enumerate(rows, start=1)]


def _answers(found: Sequence[FoundBoxes]) -> list[dict[str, Any]]:
    rows = [
        {
            "image_id": number,
            "category_id": int(label),
            "bbox": (box := _bbox(corners)),
            "score": float(score),
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for number, one in enumerate(found)
        for corners, label, score in zip(one.corners, one.labels, one.scores, strict=True)
    ]
    return [{"id": number, **row} for number, row in enumerate(rows, start=1)]


def _bbox(corners: np.ndarray) -> list[float]:
    left, top, right, bottom = (float(value) for value in corners)
    return [left, top, right - left, bottom - top]


def _known(value: float) -> float | None:
    """-1 is pycocotools' way to say that there is nothing to measure."""
    return float(value) if value > -1 else None


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
