"""Means and variances: those of float64, whatever the type, the layout and the number of pixels."""

import pytest
import torch

from nascli.core.nn import moments
from nascli.core.nn.aten import BatchNorms
from nascli.core.nn.moments import is_long, own_moments, parts_for


def waves(channels, side, batch):
    """Smooth pictures, as photographs are: their pixels are rounded to the same side again and again. Channels-last."""
    places = torch.linspace(0, 1, side, dtype=torch.float64)
    pictures = torch.linspace(1, 3, batch, dtype=torch.float64)[:, None, None, None]
    kinds = torch.linspace(1, 7, channels, dtype=torch.float64)[:, None, None]
    maps = 0.3 + torch.sin(pictures * kinds * places[:, None]) * torch.cos(kinds * places)
    return maps.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("channels", "batch", "side"), [(8, 64, 32), (12, 120, 16), (64, 64, 16), (5, 19, 21)])
def test_of_many_pixels_they_are_exact(channels, batch, side):
    maps = waves(channels, side, batch)
    variance, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
    found = own_moments(maps.float())
    assert [part.dtype for part in found] == [torch.float32] * 2
    torch.testing.assert_close(found[0].double(), mean, rtol=2e-6, atol=0)
    torch.testing.assert_close(found[1].double(), variance, rtol=4e-6, atol=0)


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_of_one_image_in_either_layout(form):
    """Strides of one image do not always tell the layout."""
    maps = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean, variance = moments.moments(maps.contiguous(memory_format=form), 32)
    torch.testing.assert_close(mean, maps.mean((0, 2, 3)))
    torch.testing.assert_close(variance, maps.var((0, 2, 3), correction=0))


def test_parts_divide_the_pixels_and_fill_a_row():
    assert parts_for(waves(8, 32, 2)) == 128
    assert parts_for(waves(8, 32, 3), 3) == 192
    assert parts_for(waves(5, 21, 19)) == 399  # of 8,379 pixels
    assert parts_for(waves(1024, 8, 2)) == 1
    assert parts_for(waves(5, 11, 1)) == 1  # of 121 pixels


def test_what_torch_measures_itself():
    """Few pixels, half precision, maps that lie channel by channel."""
    long = waves(3, 32, 4).float()
    assert is_long(long)
    assert not is_long(long.contiguous())
    assert not is_long(long.bfloat16())
    assert not is_long(waves(3, 32, 3).float())
    mean, variance = own_moments(long.bfloat16())
    assert (mean.dtype, variance.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("scaled", [True, False])
def test_norms_of_a_cell_are_the_same_by_moments_that_come_first(monkeypatch, scaled):
    maps, place = waves(6, 8, 4), slice(2, 8)
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(maps.shape, dtype=torch.float64, generator=generator)
    scale = torch.rand(6, dtype=torch.float64, generator=generator) if scaled else None
    found = []
    for least in (moments.LONG, 1):
        monkeypatch.setattr(moments, "LONG", least)
        norms = BatchNorms(torch.zeros(2, 9, dtype=torch.float64), training=True)
        normed = norms(maps, scale, place)
        if not scaled:
            assert torch.equal(norms.again(maps, place), normed)
        gradients = norms.gradients(gradient, maps, scale, place, wanted=scaled)
        found.append([norms.statistics, normed, *(part for part in gradients if part is not None)])
    assert len(found[0]) == len(found[1]) == (4 if scaled else 3)
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
