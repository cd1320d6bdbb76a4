"""Batch norm and poolings with gradients by hand, against torch's modules."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.core.nn import aten
from nascli.core.nn.aten import EPS, BatchNorms, channels_last, maps_like, rows

MAPS = channels_last(2 + 3 * torch.randn(5, 6, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_and_its_gradients_are_those_of_torch(training: bool) -> None:
    norm = nn.BatchNorm2d(6, eps=EPS).double()
    norm(MAPS)
    norm.train(training)
    scale = torch.linspace(-1, 2, 6, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(scale)
    maps = MAPS.clone().requires_grad_()
    wanted = norm(maps)
    gradient = channels_last(torch.randn(MAPS.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    d_maps, d_scale = torch.autograd.grad(wanted, [maps, norm.weight], gradient)
    statistics = torch.stack((norm.running_mean, norm.running_var))
    norms = BatchNorms(statistics.clone(), training=training)
    torch.testing.assert_close(norms(MAPS, scale, slice(0, 6)), wanted.detach())
    assert torch.equal(norms.again(MAPS, slice(0, 6)), norms(MAPS, None, slice(0, 6)))
    mine = norms.gradients(gradient, MAPS, scale, slice(0, 6), wanted=True)
    for found, theirs in zip(mine, (d_maps, d_scale), strict=True):
        torch.testing.assert_close(found, theirs)
    if training:
        mean, deviation = norms.statistics
        torch.testing.assert_close(mean, MAPS.mean(dim=(0, 2, 3)))
        torch.testing.assert_close(deviation.pow(-2) - EPS, MAPS.var(dim=(0, 2, 3), unbiased=False))


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (2, 2)])
def test_poolings_of_odd_sides(side: int, stride: int) -> None:
    maps = MAPS.clone().requires_grad_()
    wanted = F.max_pool2d(maps, side, stride, side // 2 if side == 3 else 0, ceil_mode=side == 2)
    pooled, places = aten.max_pool(MAPS, side, stride)
    assert torch.equal(pooled, wanted)
    (d_maps,) = torch.autograd.grad(wanted.square().sum(), maps)
    torch.testing.assert_close(aten.max_pool_gradient(2 * pooled, MAPS, places, side, stride), d_maps)
    if side == 3:
        wanted = F.avg_pool2d(maps, 3, stride, 1, count_include_pad=False)
        (d_maps,) = torch.autograd.grad(wanted.square().sum(), maps)
        torch.testing.assert_close(aten.average_pool_gradient(2 * wanted.detach(), MAPS, stride), d_maps)


def test_rows_are_a_view_of_maps() -> None:
    assert rows(MAPS).data_ptr() == MAPS.data_ptr()
    assert torch.equal(maps_like(rows(MAPS), MAPS), MAPS)
