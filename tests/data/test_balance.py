"""Rare classes: their weights, and how often an epoch shows them."""

from pathlib import Path

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight

from nascli.config import SearchConfig
from nascli.data import Augmentation, Stream, class_weights, open_data
from nascli.data.balance import BalancedOrder
from tests.data.pictures import CPU, make_folder
from tests.data.test_stream import labels_of, numbered_stream, pytestmark

__all__ = ["pytestmark"]

RARE = np.array([2, 0, 0, 1, 0, 0, 1, 0, 0, 0])
"""Seven images of class 0, two of class 1 and one of class 2."""


def test_weights_by_hand_and_by_scikit_learn():
    weights = class_weights(RARE, 4)
    assert weights.tolist() == [10 / (3 * 7), 10 / (3 * 2), 10 / (3 * 1), 0.0]
    assert weights[RARE].mean() == 1.0
    assert weights[:3].tolist() == compute_class_weight("balanced", classes=np.arange(3), y=RARE).tolist()


def test_an_order_shows_every_class_and_within_it_every_image_equally_often():
    order = BalancedOrder(RARE)
    for seed, count in enumerate([0, 1, 2, 3, 10, 10, 10, 30, 100, 101]):
        drawn = order.draw(count, seed)
        assert len(drawn) == count
        shares = np.bincount(RARE[drawn], minlength=3)
        assert set(shares) <= {count // 3, -(-count // 3)}
        for label, share in enumerate(shares):
            views = np.bincount(drawn, minlength=10)[label == RARE]
            assert set(views) <= {share // len(views), -(-share // len(views))}


def test_what_is_left_out_and_what_comes_once_more_changes_from_pass_to_pass():
    drawn = [BalancedOrder(RARE).draw(10, seed) for seed in range(200)]
    assert len({tuple(RARE[one]) for one in drawn}) > 100  # the classes are mixed
    views = sum(np.bincount(one, minlength=10) for one in drawn)
    np.testing.assert_allclose(views[RARE == 2], 200 * 10 / 3, rtol=0.05)
    np.testing.assert_allclose(views[RARE == 1], 200 * 10 / 6, rtol=0.05)
    np.testing.assert_allclose(views[RARE == 0], 200 * 10 / 21, rtol=0.2)
    assert (BalancedOrder(RARE).draw(10, 7) == drawn[7]).all()


def rare_stream(**options) -> Stream:
    """A stream of twenty numbered images, the first two of which are all of their class."""
    return numbered_stream(30, 4, **{"indices": np.arange(5, 25), "labels": np.repeat([0, 1], [2, 18]), **options})


def test_a_balanced_pass_keeps_its_length_and_its_position_is_the_whole_state():
    stream = rare_stream()
    assert stream.batches_per_pass == 5
    walked = labels_of(stream, 15)
    for number in range(3):
        shown = np.concatenate(walked[5 * number : 5 * number + 5])
        assert [(shown == image).sum() for image in (5, 6)] == [5, 5]
        assert len(set(shown)) == 2 + 10
    for position in (0, 3, 7):
        jumped = rare_stream()
        jumped.position = position
        assert labels_of(jumped, 15 - position) == walked[position:]
    assert labels_of(rare_stream(seed=1), 15) != walked
    assert sorted(label for _, labels in stream.once() for label in labels.tolist()) == list(range(5, 25))


def test_workers_change_no_number_and_no_view_comes_twice(tmp_path: Path):
    make_folder(tmp_path, {"a": 11, "b": 2}, side=(80, 100), suffix=".jpg")  # of which nine and one are trained on
    taken = []
    for workers in (0, 2):
        config = SearchConfig(dataset="folder", data_dir=tmp_path, image_size=72, workers=workers)
        data = open_data(config, device=CPU)
        stream = data.stream(
            np.arange(10), 5, seed=1, name="train", augmentation=Augmentation(resized_crop=True), balanced=True
        )
        taken.append([stream.next() for _ in range(4)])
        stream.close()
    for (images, labels), (others, other_labels) in zip(*taken, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    rare = [image.numpy().tobytes() for images, labels in taken[0] for image in images[labels == 1]]
    assert len(set(rare)) == len(rare) == 10
