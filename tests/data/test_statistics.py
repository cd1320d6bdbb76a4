"""Mean and deviation against numpy in float64."""

import numpy as np
import pytest
import torch

from nascli.config import SearchConfig
from nascli.data import open_data
from nascli.data.part import SAMPLED_IMAGES
from nascli.data.statistics import statistics
from tests.data.pictures import CPU, make_folder, read


def test_statistics_are_numpys_whatever_the_chunks():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 3, 9, 7), dtype=np.uint8)
    pixels[:, 1] //= 3
    expected_mean, expected_std = (pixels / 255).mean((0, 2, 3)), (pixels / 255).std((0, 2, 3))
    for size in (1, 64, 300):
        mean, std = statistics(torch.from_numpy(pixels).split(size))
        np.testing.assert_allclose(mean, expected_mean, rtol=1e-13)
        np.testing.assert_allclose(std, expected_std, rtol=1e-13)


def test_bright_images_by_the_thousand_do_not_overflow():
    """1,024 white images of 64x64: the sum of squares of a chunk passes 2^32."""
    mean, std = statistics([torch.full((1024, 1, 64, 64), 255, dtype=torch.uint8)] * 2)
    assert mean == (1.0,)
    assert std == (1 / 255,)  # a channel that never varies


def test_batches_of_all_images_have_mean_0_and_deviation_1():
    data = open_data(SearchConfig(), device=CPU)
    images = torch.cat([images for images, _ in data.batches(None, 500)]).double()
    assert abs(images.mean()) < 1e-6
    assert images.std(unbiased=False) == pytest.approx(1, abs=1e-6)


def test_large_images_are_measured_as_the_network_sees_them(tmp_path):
    make_folder(tmp_path / "train", {"a": 5, "b": 5}, side=70)
    make_folder(tmp_path / "test", {"a": 1, "b": 1}, side=70)
    data = open_data(SearchConfig(dataset="folder", data_dir=tmp_path, image_size=70), device=CPU)
    images = torch.cat([images for images, _ in data.batches(None, 4)]).double()
    assert images.mean((0, 2, 3)).abs().max() < 1e-6
    assert (images.std((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-6
    assert len(images) <= SAMPLED_IMAGES
    assert abs(data.info.mean[0] - np.mean([read(p).mean() for p in (tmp_path / "train").rglob("*.png")]) / 255) < 0.01
