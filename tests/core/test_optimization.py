import math

import pytest
import torch

from nascli.core.optimization import Schedule, Updater, sgd
from nascli.core.runtime import Runtime

CPU = Runtime(torch.device("cpu"))


def test_cosine_falls_from_the_first_rate_to_the_last_through_their_mean():
    rate = Schedule(0.1, 0.02, epochs=10, steps_per_epoch=10)
    assert rate(0) == pytest.approx(0.1)
    assert rate(50) == pytest.approx(0.06)
    assert rate(25) == pytest.approx(0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate(99) == pytest.approx(0.02, abs=1e-4)


def test_linear_with_warm_up_rises_to_the_rate_and_falls_evenly():
    rate = Schedule(0.5, 0.0, epochs=250, steps_per_epoch=4, warmup_epochs=5, kind="linear")
    assert [rate(step) for step in (0, 9, 19)] == pytest.approx([0.025, 0.25, 0.5])
    assert rate(20) == pytest.approx(0.5)
    assert rate(20 + 490) == pytest.approx(0.25)


def test_step_schedule_multiplies_after_each_epoch():
    rate = Schedule(0.1, 0.0, epochs=250, steps_per_epoch=7, kind="step", decay=0.97)
    assert rate(6) == pytest.approx(0.1)
    assert rate(7) == pytest.approx(0.097)
    assert rate(7 * 100) == pytest.approx(0.1 * 0.97**100)


def test_sgd_with_momentum_decay_and_clipping_is_the_textbook_update():
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    updater = sgd([weight], CPU, momentum=0.9, weight_decay=0.1, clip=1.0)
    expected, velocity = weight.detach().clone(), torch.zeros(2, dtype=torch.float64)
    for rate in (0.5, 0.25):
        gradient = 2 * expected
        norm = gradient.norm()
        gradient = gradient * torch.clamp(1.0 / (norm + 1e-6), max=1.0) + 0.1 * expected
        velocity = 0.9 * velocity + gradient
        expected = expected - rate * velocity
        assert updater.update((weight**2).sum(), rate).item() == pytest.approx(norm.item())
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-12)


def test_an_update_leaves_the_gradients_of_other_parameters_alone():
    mine = torch.ones(2, requires_grad=True)
    other = torch.ones(2, requires_grad=True)
    Updater(torch.optim.Adam([mine], lr=0.1), CPU).update((mine * other).sum())
    assert other.grad is None
    assert not torch.equal(mine, torch.ones(2))


def test_a_step_follows_the_sum_of_what_was_accumulated_since_the_gradients_were_cleared():
    """Twice, so that nothing is left over from the first step; a parameter that no loss reached has a zero gradient."""
    weight, unused = (torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
    updater = sgd([weight, unused], CPU, momentum=0.0, weight_decay=0.1, clip=0.0)
    for _ in range(2):
        before = weight.detach().clone(), unused.detach().clone()
        updater.clear()
        updater.accumulate(0.25 * weight.square().sum())
        updater.accumulate(3 * weight.sum())
        updater.apply(0.5)
        torch.testing.assert_close(weight.detach(), before[0] - 0.5 * (0.5 * before[0] + 3 + 0.1 * before[0]))
        torch.testing.assert_close(unused.detach(), 0.95 * before[1])
        assert not unused.grad.any()
