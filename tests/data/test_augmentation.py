"""Crop, flip, cutout and normalisation of a batch, against one image at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nascli.artifacts.data_info import DataInfo
from nascli.data.augmentation import Augmentation, Draws, Normalization, augment, crop_and_flip, cutout_mask, draw

CPU = torch.device("cpu")


def one_image(pixels: np.ndarray, augmentation: Augmentation, draws: Draws, k: int, mean: np.ndarray, std: np.ndarray):
    """What should become of image k, uint8 [C, H, W], step by step as in the papers' descriptions, in float64."""
    channels, height, width = pixels.shape
    p = augmentation.crop_padding
    bordered = np.zeros((channels, height + 2 * p, width + 2 * p), np.uint8)
    bordered[:, p : p + height, p : p + width] = pixels
    top, left = int(draws.top[k]), int(draws.left[k])
    window = bordered[:, top : top + height, left : left + width]
    if augmentation.flip and int(draws.mirrored[k]):
        window = window[:, :, ::-1]
    normal = (window / 255 - mean[:, None, None]) / std[:, None, None]
    if augmentation.cutout:
        y, x, half = int(draws.row[k]), int(draws.column[k]), augmentation.cutout // 2
        y1, y2 = max(y - half, 0), min(y - half + augmentation.cutout, height)
        x1, x2 = max(x - half, 0), min(x - half + augmentation.cutout, width)
        normal[:, y1:y2, x1:x2] = 0.0
    return normal


@given(
    batch=st.integers(1, 6),
    channels=st.sampled_from([1, 3]),
    height=st.integers(4, 12),
    width=st.integers(4, 12),
    augmentation=st.builds(
        Augmentation, crop_padding=st.integers(0, 4), flip=st.booleans(), cutout=st.sampled_from([0, 1, 4, 5, 40])
    ),
    seed=st.integers(0, 1000),
)
def test_a_batch_is_what_its_images_are_one_by_one(batch, channels, height, width, augmentation, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (batch, channels, height, width), dtype=np.uint8)
    mean, std = rng.uniform(0.2, 0.6, channels), rng.uniform(0.1, 0.4, channels)
    normalize = Normalization(tuple(mean), tuple(std), CPU)
    result = augment(torch.from_numpy(pixels), augmentation, normalize, torch.Generator().manual_seed(seed))
    draws = draw(augmentation, batch, height, width, torch.Generator().manual_seed(seed))
    expected = [one_image(pixels[k], augmentation, draws, k, mean, std) for k in range(batch)]
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), np.stack(expected), atol=2e-5)


def test_every_window_and_both_directions_are_equally_likely():
    draws = draw(Augmentation(crop_padding=4), 90_000, 32, 32, torch.Generator().manual_seed(0))
    windows = torch.bincount(draws.top * 9 + draws.left, minlength=81)
    chi_square = ((windows - 90_000 / 81) ** 2 / (90_000 / 81)).sum()
    assert chi_square < 133  # the 99.98 % point for 80 degrees of freedom
    assert abs(draws.mirrored.float().mean() - 0.5) < 4 * 0.5 / 300
    assert torch.bincount(draws.row, minlength=32).min() > 90_000 / 32 - 5 * (90_000 / 32) ** 0.5
    joint = torch.stack([draws.top, draws.left, draws.mirrored, draws.row, draws.column]).double()
    assert (torch.corrcoef(joint) - torch.eye(5)).abs().max() < 5 / 300


def test_cutout_covers_what_clipping_at_the_border_leaves():
    """Mean share of a 32x32 image under a square of 16 with a uniform centre: (sum of clipped lengths / 32^2)^2."""
    centres = torch.arange(32)
    grid = Draws(*(torch.zeros(1024, dtype=torch.int64),) * 3, centres.repeat_interleave(32), centres.repeat(32))
    lengths = [min(c + 8, 32) - max(c - 8, 0) for c in range(32)]
    assert float(cutout_mask(grid, 16, 32, 32).double().mean()) == pytest.approx((sum(lengths) / 1024) ** 2)


def test_images_of_a_batch_get_draws_of_their_own():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(64, 1, 16, 16)
    draws = draw(Augmentation(crop_padding=2, flip=True), 64, 16, 16, torch.Generator().manual_seed(1))
    distinct = {image.numpy().tobytes() for image in crop_and_flip(pixels, draws, 2, flip=True)}
    assert len(distinct) > 25  # of 50 possible ones


def test_channels_last_has_the_same_numbers():
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalize = Normalization((0.5, 0.4, 0.3), (0.2, 0.2, 0.2), CPU)
    augmentation = Augmentation(crop_padding=1, flip=True, cutout=4)
    usual, last = (
        augment(pixels, augmentation, normalize, torch.Generator().manual_seed(2), memory_format)
        for memory_format in (torch.contiguous_format, torch.channels_last)
    )
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(usual, last)


def info(dataset: str, side: int) -> DataInfo:
    return DataInfo(
        dataset=dataset,
        classes=("a", "b"),
        channels=3,
        image_size=side,
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        train_images=2,
        test_images=2,
        fingerprint="",
    )


@pytest.mark.parametrize(
    ("dataset", "side", "expected"),
    [
        ("cifar10", 32, Augmentation(crop_padding=4, flip=True, cutout=16)),
        ("digits", 8, Augmentation(crop_padding=1, flip=False, cutout=16)),
        ("svhn", 32, Augmentation(crop_padding=4, flip=False, cutout=16)),
        ("cifar10", 16, Augmentation(crop_padding=2, flip=True, cutout=16)),
        ("folder", 48, Augmentation(crop_padding=6, flip=True, cutout=16)),
        ("imagenet", 224, Augmentation(flip=True, cutout=16, resized_crop=True, color_jitter=True)),
    ],
)
def test_each_data_set_gets_what_suits_it(dataset, side, expected):
    assert Augmentation.for_dataset(info(dataset, side), cutout=16) == expected
    still = Augmentation.for_dataset(info(dataset, side), cutout=16, jitter=False)
    assert still == replace(expected, color_jitter=False)


@pytest.mark.gpu
def test_a_gpu_does_what_the_cpu_does_with_the_same_draws():
    pixels = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augmentation = Augmentation(crop_padding=4, flip=True)
    draws = draw(augmentation, 9, 32, 32, torch.Generator().manual_seed(0))
    moved = draws.to(torch.device("cuda"))
    here, there = crop_and_flip(pixels, draws, 4, flip=True), crop_and_flip(pixels.cuda(), moved, 4, flip=True)
    assert torch.equal(here, there.cpu())
    assert torch.equal(cutout_mask(draws, 8, 32, 32), cutout_mask(moved, 8, 32, 32).cpu())
