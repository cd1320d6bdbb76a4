from itertools import combinations, islice

import numpy as np
import pytest
import torch

from nascli.config import SceneConfig
from nascli.data.scenes import Boxes, digits_scenes, open_scenes
from nascli.data.scenes.digits_scenes import digits_scenes as scenes_of_digits
from nascli.data.scenes.views import Views
from nascli.errors import DataError, UsageError
from tests.data.scenes.folders import changed, simple

CPU = torch.device("cpu")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(digits_scenes, "SCENES", {"train": 12, "test": 5})


def opened(root, **given):
    return open_scenes(SceneConfig(dataset="coco", data_dir=root, **{"image_size": 24, **given}), device=CPU)


def test_digits_of_the_test_scenes_are_in_no_training_scene_and_boxes_are_where_the_ink_is(few, monkeypatch):
    handed = []
    original = digits_scenes._scenes
    monkeypatch.setattr(digits_scenes, "_scenes", lambda *given: handed.append(given[0]) or original(*given))
    source = scenes_of_digits(SceneConfig(), training=True)
    train, test = ({digit.tobytes() for digit in digits} for digits in handed)
    assert len(handed[0]) + len(handed[1]) == 1797
    assert not train & test
    assert (len(source.train), len(source.test)) == (12, 5)
    for number, boxes in enumerate(source.train.boxes):
        canvas = source.train.read(number)[0].float()
        outside = torch.ones_like(canvas, dtype=torch.bool)
        for left, top, right, bottom in boxes.corners.astype(int).tolist():
            outside[top:bottom, left:right] = False
            assert canvas[top:bottom, left:right].max() > 100  # some ink
            assert (right - left) * (bottom - top) <= 100**2
        # Outside of all boxes there is the canvas, the noise, and the faint edge of digits.
        assert canvas[outside].max() <= 60 + 6 * 6 + 48


def test_scenes_are_the_same_every_time(few):
    one, other = (scenes_of_digits(SceneConfig(seed=seed), training=True) for seed in (0, 1))
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.test.read(3), other.test.read(3))


def test_a_stream_continues_from_any_position_and_workers_do_not_matter(tmp_path):
    simple(tmp_path, train=7)
    given = {"workers": 0, "seed": 3}
    whole = opened(tmp_path, **given).stream(3, "ssd")
    assert whole.batches_per_pass == 2
    batches = [whole.next() for _ in range(5)]
    for at, workers in ((3, 0), (1, 1)):
        again = opened(tmp_path, **{**given, "workers": workers}).stream(3, "ssd")
        again.position = at
        for images, targets in batches[at:]:
            other, others = again.next()
            assert torch.equal(images, other)
            for one, two in zip(targets, others, strict=True):
                assert torch.equal(one["boxes"], two["boxes"])
                assert torch.equal(one["labels"], two["labels"])
        again.close()
    assert not torch.equal(batches[0][0], batches[2][0])  # another view in the next pass


def test_a_pass_shows_no_picture_twice(tmp_path):
    stream = opened(simple(tmp_path, train=6), workers=0).stream(2, "none")
    requests = list(islice(stream._requests(0), 6))
    for number in range(2):
        assert sorted(k for request in requests[3 * number : 3 * number + 3] for k in request.indices) == list(range(6))
    assert [request.indices for request in requests[:3]] != [request.indices for request in requests[3:]]


def test_no_batch_has_a_single_picture(tmp_path):
    """Batch norm takes its statistics from two values or more, and the smallest map has one pixel."""
    stream = opened(simple(tmp_path, train=5), workers=0).stream(2, "none")
    assert [len(request.indices) for request in islice(stream._requests(0), 6)] == [2] * 6
    passed = list(stream.once())
    assert [len(images) for images in passed] == [3, 2]
    assert stream.position == 0
    # All five, as evaluation sees them, in another order.
    data = opened(tmp_path, workers=0)
    plain, _ = next(data.batches(data._train, 5))
    together = torch.cat(passed)
    distances = (together[:, None] - plain[None]).abs().flatten(2).amax(2)
    assert (distances == 0).sum(1).tolist() == (distances == 0).sum(0).tolist() == [1] * 5


def test_boxes_of_a_scene_do_not_overlap(monkeypatch):
    monkeypatch.setattr(digits_scenes, "SCENES", {"train": 40, "test": 20})
    source = scenes_of_digits(SceneConfig(), training=True)
    pairs = 0
    for boxes in (*source.train.boxes, *source.test.boxes):
        for one, other in combinations(boxes.corners.tolist(), 2):
            width = min(one[2], other[2]) - max(one[0], other[0])
            height = min(one[3], other[3]) - max(one[1], other[1])
            assert min(width, height) <= 0
            pairs += 1
    assert pairs > 100


def test_a_mirrored_picture_has_mirrored_boxes_and_a_squashed_one_squashed_boxes():
    pixels = torch.zeros(1, 20, 40, dtype=torch.uint8)
    pixels[0, 4:12, 2:10] = 200
    boxes = Boxes(np.array([[2, 4, 10, 12]], np.float32), np.array([5]), np.array([False]), np.array([64.0]))
    views = Views(20, "ssdlite", True, [0.0])
    seen = set()
    for seed in range(40):
        image, target = views.random(pixels, boxes, seed)
        assert image.shape == (1, 20, 20)
        for left, top, right, bottom in target["boxes"].tolist():
            inside = image[0, round(top) : round(bottom), round(left) : round(right)]
            if inside.numel() >= 16:
                assert inside.float().mean() > 100  # the box is where the thing is
        assert set(target["labels"].tolist()) <= {6}
        seen.add(tuple(target["boxes"].round().int().flatten().tolist()))
    assert {(1, 4, 5, 12), (15, 4, 19, 12)} <= seen  # the whole picture, and its mirror image
    plain, target = Views(20, "none", True, [0.0]).random(pixels, boxes, 0)
    assert target["boxes"].tolist() == [[1, 4, 5, 12]]
    assert torch.equal(plain, views.plain(pixels))


def test_views_leave_the_global_generator_alone_and_crowds_out():
    pixels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    boxes = Boxes(np.array([[0, 0, 4, 4], [2, 2, 6, 6]], np.float32), np.arange(2), np.array([True, False]), np.ones(2))
    state = torch.get_rng_state()
    _, target = Views(8, "none", False, [0.0]).random(pixels, boxes, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert target["labels"].tolist() == [2]  # label 1 from 0, behind the background


def test_classes_without_a_training_box_are_left_out_and_one_that_is_only_in_test_is_refused(tmp_path):
    def add(it):
        it["categories"].append({"id": 0, "name": "things"})

    data = opened(changed(simple(tmp_path), add))
    assert data.info.classes == ("square", "bar")
    assert any("1 of the categories: 'things'" in text for text in data.notices)
    changed(tmp_path, lambda it: it["annotations"].pop(1))
    with pytest.raises(
        DataError, match=r"51\.png has a box of class 'bar', which is none of the 1 classes of .*: train with"
    ):
        opened(tmp_path)


def test_mean_and_deviation_are_those_of_the_training_pixels_or_of_the_classifier(tmp_path):
    data = opened(simple(tmp_path), image_size=32)
    pixels = torch.stack([data._train.read(k) for k in range(4)]).double() / 255
    np.testing.assert_allclose(data.info.mean, pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.info.std, pixels.std((0, 2, 3), correction=0), rtol=1e-6)
    given = data.info.model_copy(update={"mean": (0.1, 0.2, 0.3)})
    config = SceneConfig(dataset="coco", data_dir=tmp_path, image_size=24)
    assert open_scenes(config, device=CPU, normal=given).info.mean == (0.1, 0.2, 0.3)


def test_only_so_many_training_pictures(tmp_path):
    assert opened(simple(tmp_path), limit_train=2).info.train_images == 2
    with pytest.raises(DataError, match="at least two pictures"):
        opened(tmp_path, limit_train=1)


def test_built_in_scenes_have_no_folder(few):
    with pytest.raises(UsageError, match="which is built in: for own pictures give --dataset coco"):
        open_scenes(SceneConfig(data_dir="here"), device=CPU)
