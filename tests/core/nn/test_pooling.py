"""Average pooling: torch's own numbers in both layouts."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.pooling import average_pool


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride", "pad", "ceil"), [(3, 1, 1, False), (3, 2, 1, True), (2, 2, 0, False)])
@pytest.mark.parametrize("side", [2, 7])
def test_values_and_gradients_are_torchs(
    side: int, kernel: int, stride: int, pad: int, ceil: bool, memory_format: torch.memory_format
) -> None:
    x = torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(side))
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    ours = average_pool(x, kernel, stride, pad, ceil=ceil)
    theirs = F.avg_pool2d(x, kernel, stride, pad, ceil, count_include_pad=False)
    torch.testing.assert_close(ours, theirs)
    gradient = torch.randn_like(theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, x, gradient), torch.autograd.grad(theirs, x, gradient))
