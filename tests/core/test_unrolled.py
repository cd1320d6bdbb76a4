"""The unrolled gradient against exact differentiation, in float64: on a smooth model of forty weights, and on the
search network with the per-edge implementation, which can be differentiated twice, beside it.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from nascli.core.unrolled import mixed_product, restored, step_direction, unrolled_gradient
from tests.core.nn.test_mixed_network import batch, logits_of, mixture, pair

RATE = 0.3


class Tiny:
    """tanh layers whose hidden units are weighted by softmax(a): smooth in its weights and in the architecture a."""

    def __init__(self, momentum=0.9, weight_decay=0.02):
        draw = torch.Generator().manual_seed(0)

        def normal(*shape):
            return 0.7 * torch.randn(*shape, generator=draw, dtype=torch.float64)

        self.weights = [normal(5, 4).requires_grad_(), normal(3, 5).requires_grad_(), normal(3).requires_grad_()]
        self.unused = normal(2).requires_grad_()  # as the auxiliary tower's are in the search loss
        self.architecture = [normal(5).requires_grad_(), normal(3).requires_grad_()]
        self.batches = {name: (normal(8, 4), torch.arange(8) % 3) for name in ("train", "search")}
        groups = [{"params": self.weights}, {"params": [self.unused], "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=0.0, momentum=momentum, weight_decay=weight_decay)

    def loss(self, name, weights=None):
        first, second, bias = self.weights if weights is None else weights
        units, outputs = self.architecture
        images, labels = self.batches[name]
        hidden = torch.tanh(images @ first.t()) * units.softmax(0)
        return F.cross_entropy(hidden @ second.t() * outputs.exp() + bias, labels)

    def step(self, lr=0.05):
        """A step of the optimiser, which leaves it with a momentum."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        (self.loss("train") + 0.01 * self.unused.square().sum()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def unrolled(self, **given):
        return unrolled_gradient(
            lambda: self.loss("train"),
            lambda: (self.loss("search"), "accuracy"),
            self.optimizer,
            self.architecture,
            RATE,
            **given,
        )

    def exact(self):
        """d L_search(w', a) / da with the whole of SGD's step in the graph."""
        slopes = torch.autograd.grad(self.loss("train"), self.weights, create_graph=True)
        group = self.optimizer.param_groups[0]
        moved = []
        for weight, slope in zip(self.weights, slopes, strict=True):
            buffer = self.optimizer.state[weight].get("momentum_buffer", torch.zeros_like(weight))
            moved.append(weight - RATE * (group["momentum"] * buffer + slope + group["weight_decay"] * weight))
        return torch.autograd.grad(self.loss("search", moved), self.architecture)


def distance(found, wanted):
    return sum((a - b).norm() for a, b in zip(found, wanted, strict=True)).item()


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_whole_gradient_is_that_of_the_search_loss_after_a_step_of_sgd(momentum, steps):
    tiny = Tiny(momentum=momentum)
    for _ in range(steps):
        tiny.step()
    wanted = tiny.exact()
    first_order = torch.autograd.grad(tiny.loss("search"), tiny.architecture)
    size = distance(wanted, [torch.zeros_like(part) for part in wanted])
    assert distance(first_order, wanted) > 0.1 * size
    assert distance(tiny.unrolled().gradient, wanted) < 1e-4 * size


def test_the_difference_nears_the_hessians_product_as_the_square_of_its_step():
    tiny = Tiny()
    vector = [torch.randn(w.shape, generator=torch.Generator().manual_seed(7)).double() for w in tiny.weights]
    slopes = torch.autograd.grad(tiny.loss("train"), tiny.weights, create_graph=True)
    along = sum((slope * part).sum() for slope, part in zip(slopes, vector, strict=True))
    wanted = torch.autograd.grad(along, tiny.architecture)
    off = [
        distance(mixed_product(lambda: tiny.loss("train"), tiny.weights, tiny.architecture, vector, step), wanted)
        for step in (0.2, 0.02, 0.002)
    ]
    assert off[0] / off[1] == pytest.approx(100, rel=0.1)
    assert off[1] / off[2] == pytest.approx(100, rel=0.1)


def test_the_product_is_linear_in_the_vector_whatever_its_length():
    """The step is a length in the space of the weights, so a vector of a billionth gives a billionth."""
    tiny = Tiny()

    def product(scale):
        return mixed_product(
            lambda: tiny.loss("train"), tiny.weights, tiny.architecture, [scale * w.detach() for w in tiny.weights]
        )

    for small, one in zip(product(1e-9), product(1.0), strict=True):
        torch.testing.assert_close(small * 1e9, one, rtol=1e-9, atol=1e-12)
    assert all(not part.any() for part in product(0.0))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_direction_is_what_the_optimizer_then_subtracts(momentum):
    tiny = Tiny(momentum=momentum)
    weights = [*tiny.weights, tiny.unused]
    for _ in range(3):
        loss = tiny.loss("train") + 0.01 * tiny.unused.square().sum()
        state = copy.deepcopy(tiny.optimizer.state_dict())
        direction = step_direction(tiny.optimizer, torch.autograd.grad(loss, weights))
        assert repr(tiny.optimizer.state_dict()["state"]) == repr(state["state"])
        before = [weight.detach().clone() for weight in weights]
        tiny.step(lr=0.05)
        for weight, old, change in zip(weights, before, direction, strict=True):
            torch.testing.assert_close(weight.detach(), old - 0.05 * change, rtol=1e-12, atol=0)


def test_loss_and_what_came_with_it_are_those_of_the_moved_weights():
    tiny = Tiny()
    slopes = torch.autograd.grad(tiny.loss("train"), tiny.weights)
    moved = [w - RATE * (g + 0.02 * w) for w, g in zip(tiny.weights, slopes, strict=True)]
    found = tiny.unrolled()
    assert found.loss.item() == pytest.approx(tiny.loss("search", moved).item(), rel=1e-12)
    assert (found.measured, found.loss.requires_grad) == ("accuracy", False)


@pytest.mark.parametrize("failing", [None, 1, 2, 3, 4])
def test_weights_are_restored_to_the_bit_also_when_a_pass_raises(failing):
    """In float32, where adding and subtracting would leave other last bits."""
    tiny = Tiny()
    with torch.no_grad():
        for tensor in (*tiny.weights, tiny.unused, *tiny.architecture):
            tensor.data = tensor.data.float()
    tiny.batches = {name: (images.float(), labels) for name, (images, labels) in tiny.batches.items()}
    before = [weight.detach().clone() for weight in (*tiny.weights, tiny.unused)]
    passes = 0

    def counted(name):
        nonlocal passes
        passes += 1
        if passes == failing:
            raise ArithmeticError
        return tiny.loss(name)

    try:
        unrolled_gradient(
            lambda: counted("train"), lambda: (counted("search"), None), tiny.optimizer, tiny.architecture, RATE
        )
    except ArithmeticError:
        assert failing is not None
    assert passes == (failing or 4)
    assert all(torch.equal(a, b) for a, b in zip(before, (*tiny.weights, tiny.unused), strict=True))
    assert all(tensor.grad is None for tensor in (*tiny.weights, tiny.unused, *tiny.architecture))


def test_only_the_difference_is_taken_in_full_precision():
    tiny = Tiny()
    calls = []

    def exact_train_loss():
        calls.append(1)
        return tiny.loss("train")

    found = tiny.unrolled(exact_train_loss=exact_train_loss)
    assert len(calls) == 2
    assert all(torch.equal(a, b) for a, b in zip(found.gradient, tiny.unrolled().gradient, strict=True))


def test_restored_takes_tensors_of_any_type_back():
    count, share = torch.tensor(3), torch.tensor([0.1, float("nan")])
    with restored([count, share]):
        count += 1
        share.zero_()
    assert count.item() == 3
    assert share[0] == torch.tensor(0.1)
    assert share[1].isnan()


def test_through_a_step_of_the_search_network_in_small_steps():
    """A step so short that it crosses no kink of a ReLU or a max pooling, where there is nothing to differentiate."""
    network, oracle = pair(seed=1)
    logits = logits_of(network)
    decay, momentum = 0.01, 0.9
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=momentum, weight_decay=decay)
    batches = {"train": batch(seed=1), "search": batch(seed=5), "before": batch(seed=9)}

    def loss(name):
        images, labels = batches[name]
        return F.cross_entropy(network(images, *mixture(network, logits)), labels)

    loss("before").backward(inputs=list(network.parameters()))
    optimizer.step()  # so that there is a momentum: decay and gradient of the step before
    buffers = [optimizer.state[weight]["momentum_buffer"] for weight in network.parameters()]
    found = unrolled_gradient(
        lambda: loss("train"),
        lambda: (loss("search"), None),
        optimizer,
        list(logits.values()),
        rate=RATE,
        step=1e-7,
    )

    oracle.copy_from(network)
    by_oracle = dict(zip((name for name, _ in network.named_parameters()), buffers, strict=True))
    # The fused network's parameters are of many edges at once: the momentum goes over as a state dict does.
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            parameter.copy_(by_oracle[name])
    velocity = {name: value for name, value in twin.state_dict().items() if name in dict(oracle.named_parameters())}

    def exact_loss(weights, name):
        images, labels = batches[name]
        return F.cross_entropy(functional_call(oracle, weights, (images, *mixture(network, logits))), labels)

    weights = dict(oracle.named_parameters())
    slopes = torch.autograd.grad(exact_loss(weights, "train"), list(weights.values()), create_graph=True)
    moved = {
        name: weight - RATE * (momentum * velocity[name] + slope + decay * weight)
        for (name, weight), slope in zip(weights.items(), slopes, strict=True)
    }
    wanted = torch.autograd.grad(exact_loss(moved, "search"), list(logits.values()))
    first_order = torch.autograd.grad(exact_loss(weights, "search"), list(logits.values()))
    size = distance(wanted, [torch.zeros_like(part) for part in wanted])
    assert distance(first_order, wanted) > 0.1 * size
    assert distance(found.gradient, wanted) < 1e-6 * size
