"""CIFAR-10 as JPEG files, where the environment says it is: NASCLI_TEST_IMAGES names a folder with train/ and test/."""

import os
from pathlib import Path

import numpy as np
import pytest

from nascli.config import SearchConfig
from nascli.data import Augmentation, open_data, probe_image_size
from tests.data.pictures import CPU

FOLDER = os.environ.get("NASCLI_TEST_IMAGES")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="set NASCLI_TEST_IMAGES to a folder of CIFAR-10 as images")


def test_cifar10_as_a_folder():
    config = SearchConfig(dataset="folder", data_dir=Path(FOLDER or ""), limit_train=1000)
    assert probe_image_size(config) == 32
    data = open_data(config, device=CPU)
    classes = sorted(path.name for path in Path(FOLDER or "", "train").iterdir())
    assert data.info.classes == tuple(classes)
    assert (len(classes), classes[0], classes[-1]) == (10, "airplane", "truck")
    assert (data.info.channels, data.info.train_images, data.info.test_images) == (3, 1000, 10_000)
    # The published statistics of CIFAR-10's training images; a thousand of them come close.
    np.testing.assert_allclose(data.info.mean, (0.4914, 0.4822, 0.4465), atol=0.02)
    np.testing.assert_allclose(data.info.std, (0.247, 0.2435, 0.2616), atol=0.02)
    parts = data.split({"train": 0.5, "search": 0.5}, seed=0)
    assert [np.bincount(data.train_labels[part]).tolist() for part in parts.values()] == [[50] * 10] * 2
    augmentation = Augmentation.for_dataset(data.info, cutout=16)
    images, labels = data.stream(parts["train"], 256, seed=0, name="train", augmentation=augmentation).next()
    assert images.shape == (256, 3, 32, 32)
    assert set(labels.tolist()) == set(range(10))
