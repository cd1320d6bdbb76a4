import math

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorSettings, layout_of
from nascli.artifacts.genotypes.published import load
from nascli.core.nn.detector import answers, build_detector, load_detector
from nascli.errors import ArtifactError
from nascli.spaces.network_settings import NetworkSettings

SIDE, CLASSES = 64, 3
DATA = DataInfo(
    dataset="coco",
    classes=("a", "b", "c"),
    channels=1,
    image_size=SIDE,
    mean=(0.4,),
    std=(0.2,),
    train_images=1,
    test_images=1,
    fingerprint="",
)
SETTINGS = DetectorSettings(extra_channels=8, anchor_min=0.2, anchor_max=0.8)
LAYOUT = layout_of(
    load("darts-v2").genotype,
    NetworkSettings(classes=CLASSES, image_channels=1, image_size=SIDE, layers=3, channels=4, stem="imagenet"),
    SETTINGS,
)


def test_a_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    one, other, third = (build_detector(LAYOUT, SETTINGS, DATA, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], third[name]) for name in one)


def default_boxes():
    """Liu et al., Eq. 4: scales rise evenly from the finest map (4x4) over 2x2 to the coarsest (1x1)."""
    scales = [0.2, 0.5, 0.8, 1.0]
    boxes = []
    for level, side in enumerate((4, 2, 1)):
        scale = scales[level]
        shapes = [(scale, scale), (math.sqrt(scale * scales[level + 1]),) * 2]
        for ratio in (2, 3):
            wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            shapes += [(wide, narrow), (narrow, wide)]
        for row in range(side):
            for column in range(side):
                x, y = (column + 0.5) / side, (row + 0.5) / side
                for width, height in shapes:
                    w, h = min(width, 1), min(height, 1)
                    boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return np.array(boxes) * SIDE


def overlaps(box, boxes):
    """Intersection over union."""
    left, top = np.maximum(box[:2], boxes[:, :2]).T
    right, bottom = np.minimum(box[2:], boxes[:, 2:]).T
    inside = np.clip(right - left, 0, None) * np.clip(bottom - top, 0, None)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return inside / (areas + (box[2] - box[0]) * (box[3] - box[1]) - inside)


def test_the_loss_is_that_of_ssd():
    """Liu et al., Section 2.2: matching, smooth L1 of the offsets, cross-entropy with three negatives per positive."""
    network = build_detector(LAYOUT, SETTINGS, DATA, seed=0)
    images = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    truth = [np.array([[2.0, 1, 15, 14.5], [30, 12, 61, 62]]), np.zeros((0, 4))]
    labels = [[2, 1], []]
    targets = [
        {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor(own, dtype=torch.int64),
        }
        for boxes, own in zip(truth, labels, strict=True)
    ]
    with torch.no_grad():
        losses = network(list(images), targets)
        # Batch norms of the batch, so the second pass sees the same maps.
        outputs = network.head(list(network.backbone((images - 0.4) / 0.2).values()))
    logits, offsets = outputs["cls_logits"].double(), outputs["bbox_regression"].double().numpy()
    anchors = default_boxes()
    assert logits.shape == (2, len(anchors), CLASSES + 1)

    places, classes, count = 0.0, 0.0, 0
    for image in range(2):
        wanted = np.zeros(len(anchors), int)
        if len(truth[image]):
            table = np.stack([overlaps(box, anchors) for box in truth[image]])
            matched = np.where(table.max(0) >= 0.5, table.argmax(0), -1)
            for number in range(len(truth[image])):
                matched[table[number].argmax()] = number  # every box has at least its best default box
            for k in np.flatnonzero(matched >= 0):
                wanted[k] = labels[image][matched[k]]
                box, anchor = truth[image][matched[k]], anchors[k]
                size, own = box[2:] - box[:2], anchor[2:] - anchor[:2]
                centre = ((box[:2] + box[2:]) - (anchor[:2] + anchor[2:])) / 2
                target = np.concatenate([10 * centre / own, 5 * np.log(size / own)])
                gap = np.abs(offsets[image, k] - target)
                places += np.where(gap < 1, gap**2 / 2, gap - 0.5).sum()
        losses_of = -logits[image].log_softmax(1).numpy()[np.arange(len(anchors)), wanted]
        positive = wanted > 0
        count += positive.sum()
        hardest = np.sort(losses_of[~positive])[::-1][: 3 * positive.sum()]
        classes += losses_of[positive].sum() + hardest.sum()
    assert count >= 4
    assert float(losses["bbox_regression"]) == pytest.approx(places / count, rel=1e-4)
    assert float(losses["classification"]) == pytest.approx(classes / count, rel=1e-4)


def test_answers_are_boxes_inside_the_image_and_weights_make_the_round_trip():
    network = build_detector(LAYOUT, SETTINGS, DATA, seed=0).eval()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    images = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    again = load_detector(LAYOUT, SETTINGS, DATA, weights, "x")
    for one, other in zip(answers(network, images), answers(again, images), strict=True):
        assert 0 < len(one["boxes"]) <= 100
        assert torch.equal(one["boxes"], other["boxes"])
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= SIDE).all()
        assert set(one["labels"].tolist()) <= {1, 2, 3}
        assert (one["scores"].diff() <= 0).all()
    del weights["head.regression_head.module_list.0.1.bias"]
    with pytest.raises(ArtifactError, match=r"x: the weights don't fit the network: head.regression.* is missing"):
        load_detector(LAYOUT, SETTINGS, DATA, weights, "x")


def test_images_are_normalised_and_not_resized_before_the_backbone():
    network = build_detector(LAYOUT, SETTINGS, DATA, seed=0)
    images = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    for module in (network.train(), network.eval()):
        seen, _ = module.transform(list(images), None)
        torch.testing.assert_close(seen.tensors, (images - 0.4) / 0.2, rtol=1e-6, atol=1e-6)


def test_what_is_not_the_papers_is_as_in_torchvisions_ssdlite():
    """Batch norms and first weights behind the backbone, and which answers count: those of SSDLite320."""
    theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    own = build_detector(LAYOUT, SETTINGS, DATA, seed=0)
    for name in ("score_thresh", "nms_thresh", "topk_candidates"):
        assert getattr(own, name) == getattr(theirs, name), name
    parts = {
        network: [*extras.modules(), *network.head.modules()]
        for network, extras in ((own, own.backbone.extras), (theirs, theirs.backbone.extra))
    }
    (wanted,) = {(one.eps, one.momentum) for one in parts[theirs] if isinstance(one, nn.BatchNorm2d)}
    norms = [(one.eps, one.momentum) for one in parts[own] if isinstance(one, nn.BatchNorm2d)]
    assert norms == [wanted] * len(norms)
    assert len(norms) == 3 + 2 * 3  # of one smaller map, and of two heads on three maps
    spread = {
        network: float(torch.cat([m.weight.detach().flatten() for m in found if isinstance(m, nn.Conv2d)]).std())
        for network, found in parts.items()
    }
    assert spread[own] == pytest.approx(spread[theirs], rel=0.05)
