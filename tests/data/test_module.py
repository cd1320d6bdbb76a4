"""`open_data` on the built-in digits, and what the engine relies on."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from nascli.config import SearchConfig
from nascli.data import Augmentation, open_data
from tests.data.pictures import CPU, known


def test_digits_are_scikit_learns():
    data = open_data(SearchConfig(), device=CPU)
    assert data.info.classes == tuple("0123456789")
    assert (data.info.channels, data.info.image_size) == (1, 8)
    assert (data.info.train_images, data.info.test_images) == (1438, 359)
    (train,), (test,) = ([torch.cat(part) for part in zip(*batches, strict=True)][:1] for batches in _both(data))
    pixels = torch.cat([train, test]) * data.info.std[0] + data.info.mean[0]
    ours = sorted(image.numpy().tobytes() for image in (pixels * 255).round().to(torch.uint8))
    theirs = sorted(np.rint(image * 255 / 16).astype(np.uint8).tobytes() for image in load_digits().images)
    assert ours == theirs


def _both(data):
    return list(data.batches(None, 1000)), list(data.test_batches(1000))


def test_labels_belong_to_their_images():
    data = open_data(SearchConfig(), device=CPU)
    known = {
        np.rint(image * 255 / 16).astype(np.uint8).tobytes(): int(label)
        for image, label in zip(load_digits().images, load_digits().target, strict=True)
    }
    stream = data.stream(np.arange(100, 200), 10, seed=0, name="t", augmentation=Augmentation())
    for images, labels in (stream.next() for _ in range(10)):
        pixels = ((images * data.info.std[0] + data.info.mean[0]) * 255).round().to(torch.uint8)
        assert [known[image.numpy().tobytes()] for image in pixels] == labels.tolist()


def test_batches_follow_the_given_order_and_end_with_what_is_left():
    data = open_data(SearchConfig(), device=CPU)
    order = np.array([5, 3, 900, 3, 77])
    batches = list(data.batches(order, 2))
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    assert torch.cat([labels for _, labels in batches]).tolist() == data.train_labels[order].tolist()
    assert torch.equal(batches[0][0][1], batches[1][0][1])


@pytest.mark.parametrize("image_size", [16, 5, 72])
def test_another_size_resizes_small_and_large(image_size):
    data = open_data(SearchConfig(image_size=image_size, limit_train=20), device=CPU)
    augmentation = Augmentation.for_dataset(data.info)
    images, _ = data.stream(np.arange(20), 4, seed=0, name="t", augmentation=augmentation).next()
    assert images.shape == (4, 1, image_size, image_size)
    assert next(data.test_batches(3))[0].shape == (3, 1, image_size, image_size)
    assert augmentation.resized_crop == (image_size > 64)


def test_batches_come_in_the_memory_format_asked_for():
    data = open_data(SearchConfig(), device=CPU, like=known())
    options = {"memory_format": torch.channels_last}
    stream = data.stream(np.arange(9), 4, seed=0, name="t", augmentation=Augmentation(flip=True), **options)
    for images, _ in (stream.next(), next(data.batches(None, 4, **options)), next(data.test_batches(4, **options))):
        assert images.shape == (4, 3, 8, 8)  # grey data for a model of three channels
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_limit_keeps_classes_equal_and_depends_on_the_seed_alone():
    limited = [open_data(SearchConfig(limit_train=57, seed=seed), device=CPU) for seed in (0, 0, 1)]
    for data in limited:
        assert data.info.train_images == 57
        assert set(np.bincount(data.train_labels)) == {5, 6}
    assert limited[0].info == limited[1].info
    assert limited[0].info.mean != limited[2].info.mean
    assert limited[0].info.fingerprint == limited[2].info.fingerprint
    assert open_data(SearchConfig(limit_train=10**6), device=CPU).info.train_images == 1438


def test_two_streams_of_a_split_never_share_an_image():
    data = open_data(SearchConfig(), device=CPU)
    parts = data.split({"train": 0.5, "search": 0.5}, seed=0)
    seen = {}
    for name, indices in parts.items():
        stream = data.stream(indices, 100, seed=0, name=name, augmentation=Augmentation())
        seen[name] = {image.numpy().tobytes() for _ in range(30) for image in stream.next()[0]}
    assert not seen["train"] & seen["search"]
    assert min(map(len, seen.values())) > 700
