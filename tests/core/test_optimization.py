import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nascli.core.optimization import Schedule, Updater, sgd
from nascli.core.runtime import Runtime
from nascli.errors import UsageError

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


def test_a_line_may_fall_a_fifth_as_fast_in_its_last_epochs():
    rate = Schedule(0.5, 0.0, epochs=250, steps_per_epoch=4, kind="linear", tail_epochs=5)
    # 245 epochs of one slope and 5 of a fifth of it make the whole way: as long as 246 epochs of that slope.
    fall = 0.5 / 246
    assert [rate(4 * epoch) for epoch in (0, 100, 245)] == pytest.approx([0.5, 0.5 - 100 * fall, fall])
    assert [rate(4 * epoch) for epoch in (246, 249)] == pytest.approx([0.8 * fall, 0.2 * fall])
    # The authors' rates, epoch by epoch, are these to half a per cent of the first.
    for epoch in range(250):
        theirs = 0.5 * (245 - epoch) / 245 if epoch < 245 else 0.5 * (250 - epoch) / (245 * 5)
        assert rate(4 * epoch) == pytest.approx(theirs, abs=0.0025)
    # Behind a warm-up the line is shorter and the tail is not: slopes of ten epochs and of five.
    warm = Schedule(0.5, 0.0, epochs=20, steps_per_epoch=4, kind="linear", warmup_epochs=5, tail_epochs=5)
    steep, flat = warm(4 * 6) - warm(4 * 7), warm(4 * 16) - warm(4 * 17)
    assert steep == pytest.approx(5 * flat)
    assert warm(4 * 15) == pytest.approx(5 * flat)
    assert 10 * steep + 5 * flat == pytest.approx(0.5)
    with pytest.raises(
        UsageError, match="--lr-tail-epochs needs a linear schedule: give --schedule linear, not cosine"
    ):
        Schedule(0.5, 0.0, epochs=250, steps_per_epoch=4, tail_epochs=5)


def test_step_schedule_multiplies_after_each_epoch():
    rate = Schedule(0.1, 0.0, epochs=250, steps_per_epoch=7, kind="step", decay=0.97)
    assert rate(6) == pytest.approx(0.1)
    assert rate(7) == pytest.approx(0.097)
    assert rate(7 * 100) == pytest.approx(0.1 * 0.97**100)


def test_milestones_divide_the_rate_by_ten_when_their_epoch_is_over():
    rate = Schedule(0.1, 0.0, epochs=180, steps_per_epoch=5, kind="milestones", milestones=(90, 140, 160))
    ends = [rate(5 * epoch - 1) for epoch in (90, 140, 160, 180)]
    assert ends == pytest.approx([0.1, 0.01, 0.001, 0.0001])
    assert [rate(5 * epoch) for epoch in (90, 140, 160)] == pytest.approx(ends[1:])


def test_warm_restarts_fall_from_the_rate_anew_in_cycles_twice_as_long():
    """ENAS's 630 epochs: cycles of 10, 20, 40, 80, 160 and 320."""
    rate = Schedule(0.05, 1e-4, epochs=630, steps_per_epoch=4, kind="restarts", restart_epochs=10, restart_factor=2)
    starts = [0, 10, 30, 70, 150, 310]
    assert [rate(4 * epoch) for epoch in starts] == pytest.approx([0.05] * 6)
    halves = [(start + end) / 2 for start, end in zip(starts, [*starts[1:], 630], strict=True)]
    assert [rate(int(4 * epoch)) for epoch in halves] == pytest.approx([(0.05 + 1e-4) / 2] * 6)
    assert [rate(4 * epoch - 1) for epoch in starts[1:]] == pytest.approx([1e-4] * 5, abs=4e-4)
    assert rate(4 * 630 - 1) == pytest.approx(1e-4, abs=1e-6)


def test_restarts_in_cycles_of_one_length():
    rate = Schedule(1.0, 0.0, epochs=9, steps_per_epoch=3, kind="restarts", restart_epochs=3, restart_factor=1)
    first = [(1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    assert [rate(step) for step in range(27)] == pytest.approx(first * 3)


def test_a_group_of_parameters_may_have_a_multiple_of_the_rate():
    slow, fast = (torch.tensor([1.0], requires_grad=True) for _ in range(2))
    updater = sgd([{"params": [slow]}, {"params": [fast], "lr_scale": 20.0}], CPU, momentum=0, weight_decay=0, clip=0)
    for rate in (0.01, 0.02):
        updater.update(3 * slow.sum() + 3 * fast.sum(), rate)
    assert slow.item() == pytest.approx(1 - 3 * 0.03)
    assert fast.item() == pytest.approx(1 - 20 * 3 * 0.03)


def test_nesterovs_momentum_looks_ahead():
    """Sutskever et al., 2013, as torch writes it: the step is along the gradient plus momentum times the new velocity.

    Nesterov without momentum would be plain descent: it is a mistake, and refused.
    """
    weight = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    updater = sgd([weight], CPU, momentum=0.9, weight_decay=0.0, clip=0.0, nesterov=True)
    expected, velocity = 2.0, 0.0
    for _ in range(3):
        gradient = 2 * expected
        velocity = 0.9 * velocity + gradient
        expected -= 0.1 * (gradient + 0.9 * velocity)
        updater.update(weight.square().sum(), 0.1)
        assert weight.item() == pytest.approx(expected)
    with pytest.raises(UsageError, match="--momentum above 0"):
        sgd([weight], CPU, momentum=0.0, weight_decay=0.0, clip=0.0, nesterov=True)


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


def test_a_restored_momentum_has_the_layout_of_its_weight_and_goes_on_to_the_bit():
    """A file keeps numbers, not layouts."""
    whole, resumed = (
        torch.arange(24.0).view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
        for _ in range(2)
    )
    first, second = (sgd([weight], CPU, momentum=0.9, weight_decay=0.1, clip=1.0) for weight in (whole, resumed))
    first.update(whole.square().sum(), 0.1)
    state = first.state_dict()
    for own in state["optimizer"]["state"].values():
        own["momentum_buffer"] = own["momentum_buffer"].contiguous()
    resumed.data.copy_(whole)
    second.load_state_dict(state)
    assert second.optimizer.state[resumed]["momentum_buffer"].stride() == resumed.stride()
    for updater, weight in ((first, whole), (second, resumed)):
        updater.update(weight.square().sum(), 0.1)
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_step_takes_as_many_operators_for_many_weights_as_for_one(clip):
    counts = []
    for weights in (1, 20):
        parameters = [torch.ones(3, requires_grad=True) for _ in range(weights)]
        updater = sgd(parameters, CPU, momentum=0.9, weight_decay=0.1, clip=clip)
        loss = sum(parameter.square().sum() for parameter in parameters)
        updater.update(loss, 0.1)
        updater.clear()
        updater.accumulate(sum(parameter.square().sum() for parameter in parameters))
        with Operators() as operators:
            updater.apply(0.1)
        counts.append(operators.count)
    assert counts[0] == counts[1] <= 16


class Operators(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))
