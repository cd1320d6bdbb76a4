"""Depthwise convolutions that compute their gradients themselves, against torch's."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.depthwise import depthwise_conv


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (8, 8), (7, 7), (5, 12), (2, 2), (1, 1)], ids=str)
def test_equals_torch_in_value_and_gradient(size, stride, kernel, dilation, dtype):
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 6, *size, generator=draw, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(6, 1, kernel, kernel, generator=draw, dtype=dtype).requires_grad_()
    y = depthwise_conv(maps, weight, stride, dilation)
    reference = F.conv2d(maps, weight, None, stride, dilation * (kernel // 2), dilation, groups=6)
    gradient = torch.randn(reference.shape, generator=draw, dtype=dtype)
    torch.testing.assert_close(y, reference)
    ours, torchs = (torch.autograd.grad(z, (maps, weight), gradient) for z in (y, reference))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    for a, b in zip(ours, torchs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_maps_need_not_be_channels_last():
    maps = torch.randn(2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.ones(4, 1, 5, 5, dtype=torch.float64).requires_grad_()
    ours = torch.autograd.grad(depthwise_conv(maps, weight).square().sum(), (maps, weight))
    torchs = torch.autograd.grad(F.conv2d(maps, weight, padding=2, groups=4).square().sum(), (maps, weight))
    for a, b in zip(ours, torchs, strict=True):
        torch.testing.assert_close(a, b)
