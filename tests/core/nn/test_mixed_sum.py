"""The weighted sum of operations in both forms, against batch norms of torch, one for each edge and operation."""

import pytest
import torch
import torch.nn.functional as F

from nascli.core.nn.aten import EPS, BatchNorms, channels_last, rows
from nascli.core.nn.mixed_channels import Channels, DrawnChannels, FirstChannels
from nascli.core.nn.mixed_layout import CellLayout, CellSize
from nascli.core.nn.mixed_sum import Apart, Whole
from nascli.spaces.darts import Darts

P, K = 2, 4
OPERATIONS = {
    "all": Darts.operations,
    "poolings": ("max_pool_3x3", "avg_pool_3x3"),
    "no maxima": ("none", "avg_pool_3x3", "dil_conv_3x3"),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("operations", OPERATIONS)
@pytest.mark.parametrize("form", [Whole, Apart])
def test_both_forms_are_batch_norms_and_a_sum(form, operations, copies, training):
    class Space(Darts):
        pass

    Space.operations = OPERATIONS[operations]
    layout = CellLayout(CellSize(Space(3), (24, 24), P * K, K, reduction=True, reduced=False))
    source = layout.sources[0]
    targets, pixels = len(source.targets), 5 * 4 * 4
    draw = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    channels: Channels = FirstChannels(P, K)
    if copies > 1:
        channels = DrawnChannels(torch.tensor([[1, 5], [0, 7], [2, 3]]), P * K)
    pooled = [P * channels.copies if width else 0 for width in source.widths[3:]]
    widths = [*source.widths[:3], *pooled]
    parts = [channels_last(3 + 2 * random(5, width, 4, 4)).requires_grad_() if width else None for width in widths]
    scale = random(sum(source.widths)).requires_grad_()
    statistics = torch.stack((random(layout.statistics_count), random(layout.statistics_count).square()))
    d_total = random(pixels, targets * P * K)

    slots = torch.cat(
        [
            part
            for part, width in zip(parts, source.widths, strict=True)
            if width
            for _ in range(width // part.shape[1])
        ],
        dim=1,
    )
    mean, variance = statistics[:, source.slots].clone()
    normed = F.batch_norm(slots, mean, variance, scale, None, training, 0.1, EPS)
    wanted = rows(normed).unflatten(1, (len(source.operations), -1)).sum(1)
    total = torch.zeros_like(d_total)
    channels.put(total, wanted)
    given = [part for part in parts if part is not None]
    *d_given, d_scale = torch.autograd.grad((total * d_total).sum(), [*given, scale])

    chosen = form(BatchNorms(statistics, training=training))
    with torch.no_grad():
        kept, mixed = chosen.forward(parts, scale, source)
        torch.testing.assert_close(mixed, wanted)
        if training:
            torch.testing.assert_close(statistics[0, source.slots], slots.mean(dim=(0, 2, 3)))
            torch.testing.assert_close(
                statistics[1, source.slots].pow(-2) - EPS, slots.var(dim=(0, 2, 3), unbiased=False)
            )
        d_parts, found = chosen.backward(d_total, channels, kept, scale, source, wanted=True)
        assert chosen.backward(d_total, channels, kept, scale, source, wanted=False)[1] is None
    torch.testing.assert_close(found, d_scale)
    assert [part is None for part in d_parts] == [part is None for part in parts]
    for d_part, theirs in zip((part for part in d_parts if part is not None), d_given, strict=True):
        torch.testing.assert_close(d_part, theirs)
