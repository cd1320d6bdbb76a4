"""Batch norm on a CPU: torch's own numbers, whatever the maps; statistics, gradients, layouts."""

import pytest
import torch
from torch import Tensor, nn

from nascli.core.nn import folded_norm, moments
from nascli.core.nn.folded_norm import BatchNorm2d, parts_of


def maps(channels: int, side: int = 8, batch: int = 4) -> Tensor:
    """Of a mean far from zero, channels-last."""
    generator = torch.Generator().manual_seed(channels)
    x = 3 + 2 * torch.randn(batch, channels, side, side, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last)


@pytest.fixture(autouse=True)
def _fold_small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_norm, "LEAST_PIXELS", 1)
    monkeypatch.setattr(moments, "LONG", 1)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "strided"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("channels", "parts"), [(1, 8), (3, 8), (36, 32), (108, 16), (8, 1), (64, 1)])
def test_values_gradients_and_statistics_are_torchs(channels: int, parts: int, affine: bool, packed: bool) -> None:
    """Also where the gradient comes as a slice of that of a concatenation."""
    x = maps(channels).requires_grad_()
    assert parts_of(x) == parts
    whole = torch.randn(4, channels if packed else channels + 3, 8, 8, dtype=torch.float64)
    gradient = whole.contiguous(memory_format=torch.channels_last)[:, :channels]
    results = []
    for norm in (BatchNorm2d(channels, affine=affine).double(), nn.BatchNorm2d(channels, affine=affine).double()):
        for number, parameter in enumerate(norm.parameters()):
            nn.init.normal_(parameter, mean=number, generator=torch.Generator().manual_seed(number))
        y = norm(x)
        assert y.is_contiguous(memory_format=torch.channels_last)
        gradients = torch.autograd.grad(y, [x, *norm.parameters()], gradient)
        results.append((y, *gradients, norm.running_mean, norm.running_var, norm.eval()(x)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_only_rows_that_end_in_a_part_of_a_vector_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parts_of(maps(channels)) for channels in (8, 16, 24, 64, 72)] == [1] * 5
    assert parts_of(maps(36, side=7, batch=3)) == 1  # 147 pixels make no two parts
    assert parts_of(maps(36).contiguous()) == 1
    assert parts_of(maps(36).bfloat16()) == 1
    monkeypatch.setattr(folded_norm, "LEAST_PIXELS", 4 * 8 * 8 + 1)
    assert parts_of(maps(36)) == 1


def test_running_statistics_without_momentum_are_means_over_the_batches_counted() -> None:
    """As `torch.optim.swa_utils.update_bn` wants them; the batches are counted by whoever runs the network."""
    norm = BatchNorm2d(3, momentum=None).double()
    batches = [maps(3), 5 - maps(3, side=4)]
    for batch in batches:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked += 1
        norm(batch)
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches])
    torch.testing.assert_close(norm.running_mean, means.mean(dim=0))


def test_without_running_statistics_those_of_the_batch_count_in_evaluation_too() -> None:
    norm = BatchNorm2d(3, track_running_stats=False).double().eval()
    y = norm(maps(3))
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-10)
