"""What a meter counts, against graphs whose saved tensors can be listed by hand. A float32 takes 4 bytes."""

import gc

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from nascli.core.memory import MemoryMeter
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.spaces import cell_space
from nascli.spaces.network_settings import NetworkSettings


def leaf(*shape):
    return torch.rand(*shape).requires_grad_()


def test_a_product_saves_both_factors_until_its_backward_pass():
    x, y = leaf(100), leaf(100)
    with MemoryMeter() as meter:
        product = (x * y).sum()
        assert meter.kept == 2 * 400
        product.backward()
        assert meter.kept == 0
    assert meter.peak == 2 * 400


def test_a_sum_saves_nothing():
    x, y = leaf(100), leaf(100)
    with MemoryMeter() as meter:
        (x + y).sum().backward()
    assert meter.peak == 0


def test_the_same_storage_counts_once_and_until_the_last_graph_has_let_go():
    x = leaf(100)
    with MemoryMeter() as meter:
        first, second = x * x, x.sin()
        assert meter.kept == 400
        del first
        assert meter.kept == 400
        del second
        assert meter.kept == 0


def test_a_view_keeps_its_whole_storage():
    base = torch.rand(100)
    x = leaf(10)
    with MemoryMeter() as meter:
        product = x * base[:10]  # saves the view; not x, since base wants no gradient
        assert meter.kept == 400
        product = product * base.view(10, 10)[3]
        assert meter.kept == 400
    del product


def test_an_expanded_value_is_as_small_as_what_it_repeats():
    x = leaf(1000)
    with MemoryMeter() as meter:
        kept = x * torch.rand(1).expand(1000)
        assert meter.kept == 4
    del kept


def test_an_activation_in_place_shares_what_it_overwrites():
    x = leaf(50)
    with MemoryMeter() as meter:
        hidden = x.sin()  # saves x
        result = F.relu(hidden, inplace=True)  # saves its result
        squared = result.pow(2)  # saves it again
        assert meter.kept == 2 * 200
        del hidden, result, squared
        assert meter.kept == 0


def test_graphs_that_follow_each_other_count_as_the_largest():
    with MemoryMeter() as meter:
        for size in (10, 300, 20):
            x = leaf(size)
            x.exp().sum().backward()  # saves its result
        dropped = leaf(200).exp()
        del dropped
    assert meter.peak == 300 * 4


def test_graphs_that_live_together_add_up():
    with MemoryMeter() as meter:
        results = [leaf(size).exp() for size in (10, 300, 20)]
    assert meter.peak == 330 * 4
    del results
    assert meter.kept == 0


def test_a_retained_graph_still_counts():
    x = leaf(25)
    with MemoryMeter() as meter:
        result = x.exp().sum()
        result.backward(retain_graph=True)
        assert meter.kept == 100
        result.backward()
        assert meter.kept == 0


def test_what_lives_anyway_can_be_left_out():
    linear, images = nn.Linear(20, 5), torch.rand(7, 20)
    with MemoryMeter(ignore=[*linear.parameters(), images]) as meter:
        result = linear(images[:3]).sigmoid()
    assert meter.peak == 3 * 5 * 4
    del result


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        square = x * x
        ctx.save_for_backward(square, None)
        return square * x

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0]


def test_functions_of_our_own_are_seen():
    x = leaf(30)
    with MemoryMeter() as meter:
        result = Cube.apply(x)
        assert meter.kept == 120
        (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.allclose(gradient, 3 * x.detach() ** 2)


class Layer(nn.Module):
    """Maps [n, 8] to [n, 8] and saves, besides its input and its weight, two maps."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(8) / 2)

    def forward(self, x):
        return ((x @ self.weight).sigmoid() @ self.weight).sigmoid()


def metered(layers, run):
    """Kept bytes after each layer, peak and gradients of a pass through `layers` by `run(layer, x)`."""
    x = torch.linspace(0, 1, 16 * 8).view(16, 8).requires_grad_()
    kept = []
    with MemoryMeter(ignore=[layer.weight for layer in layers]) as meter:
        for layer in layers:
            x = run(layer, x)
            kept.append(meter.kept)
        gradients = torch.autograd.grad(x.sum(), [layer.weight for layer in layers])
        del x
        assert meter.kept == 0
    return kept, meter.peak, gradients


MAP = 16 * 8 * 4


def test_a_checkpoint_counts_its_inputs_and_what_it_computes_again():
    layers = [Layer() for _ in range(3)]
    kept, peak, gradients = metered(layers, lambda layer, x: layer(x))
    assert kept == [3 * MAP, 5 * MAP, 7 * MAP]
    assert peak == 7 * MAP
    kept, peak, again = metered(layers, lambda layer, x: checkpoint(layer, x, use_reentrant=False))
    assert kept == [MAP, 2 * MAP, 3 * MAP]
    assert peak == 5 * MAP  # three inputs, and the two maps of the last layer
    for mine, other in zip(again, gradients, strict=True):
        assert torch.equal(mine, other)


def test_a_checkpoint_within_a_checkpoint():
    layers = [Layer() for _ in range(3)]

    def both(x):
        return checkpoint(layers[1], checkpoint(layers[0], x, use_reentrant=False), use_reentrant=False)

    x = leaf(16, 8)
    with MemoryMeter(ignore=[layer.weight for layer in layers]) as meter:
        result = checkpoint(both, x, use_reentrant=False)
        assert meter.kept == MAP
        result.sum().backward()
        assert meter.kept == 0
    # The inputs of the outer one, of the inner ones (one of which is the same), and two maps of one of these.
    assert meter.peak == 4 * MAP


def test_one_meter_inside_another():
    x, y = leaf(100), leaf(10)
    with MemoryMeter() as outer:
        first = x.exp()
        with MemoryMeter() as inner:
            y.exp().sum().backward()
        assert (inner.peak, outer.kept) == (40, 400)
    assert outer.peak == 440
    del first


def test_hooks_are_as_before_when_a_meter_is_left_even_by_an_error():
    enter = saved_tensors_hooks.__enter__
    with pytest.raises(ZeroDivisionError), MemoryMeter() as meter:
        raise ZeroDivisionError
    assert saved_tensors_hooks.__enter__ is enter
    kept = leaf(10).exp()
    assert meter.peak == meter.kept == 0
    del kept


def test_gradients_and_gradients_of_gradients_are_the_same_under_a_meter():
    def second_order():
        x = torch.linspace(0.1, 1, 12).requires_grad_()
        (slope,) = torch.autograd.grad((x.sigmoid() * Cube.apply(x.detach()) * x).sum(), x, create_graph=True)
        (curve,) = torch.autograd.grad(slope.pow(2).sum(), x)
        return slope.detach(), curve

    plain = second_order()
    with MemoryMeter() as meter:
        metered = second_order()
        gc.collect()
        assert meter.kept == 0
    assert all(torch.equal(a, b) for a, b in zip(plain, metered, strict=True))


@pytest.mark.parametrize("recompute", [False, True])
def test_the_search_network_has_let_go_of_everything_after_its_backward_pass(recompute):
    size = NetworkSettings(layers=3, channels=4, stem="cifar", classes=3, image_channels=1, image_size=8)
    network = MixedNetwork(cell_space("darts", nodes=2), size, partial_channels=2, recompute=recompute)
    images = torch.rand(4, 1, 8, 8)
    mixture = {kind: torch.full((5, 8), 0.125, requires_grad=True) for kind in ("normal", "reduce")}
    with MemoryMeter(ignore=[*network.parameters(), *network.buffers()]) as meter:
        loss = network(images, mixture, None).sum()
        after_forward = meter.kept
        loss.backward()
        assert meter.kept == 0
    # Recomputing, the backward pass holds more than the forward pass left: the cell that is computed again.
    assert (meter.peak > after_forward) == recompute


@pytest.mark.gpu
def test_on_a_gpu_everything_that_is_allocated_counts():
    block = torch.empty(1 << 20, device="cuda")
    with MemoryMeter("cuda") as meter:
        more = torch.empty(1 << 18, device="cuda")
        del more
    assert meter.peak >= 5 << 20
    del block
