"""The architecture's gradient through one step of the weights: the second order of DARTS.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, Section 2.3, Eq. 6 to 8. With weights w,
architecture a and the weights' learning rate xi, the loss that the architecture descends is

    L_search(w', a),    w' = w - xi · d(w, a),    d = grad_w L_train(w, a) + the step's momentum and weight decay,

whose gradient in a, with v = grad_w' L_search(w', a), is

    grad_a L_search(w', a) - xi · (d²L_train / da dw) v.                                                      (Eq. 7)

Momentum and decay do not depend on a, so they move w' and leave the product as it is. Nothing here depends on what
network the weights and the architecture belong to.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

STEP = 0.01
"""Length, in the space of all weights, of the step of the finite difference (below Eq. 8)."""

Loss = Callable[[], Tensor]
Measured = TypeVar("Measured")


class Unrolled(NamedTuple, Generic[Measured]):
    """The result of `unrolled_gradient`.

    gradient: a tensor for each of the architecture's. loss: L_search(w', a). measured: what `search_loss` returned
    with it.
    """

    gradient: tuple[Tensor, ...]
    loss: Tensor
    measured: Measured


def unrolled_gradient(
    train_loss: Loss,
    search_loss: Callable[[], tuple[Tensor, Measured]],
    optimizer: torch.optim.SGD,
    architecture: Sequence[Tensor],
    rate: float,
    *,
    exact_train_loss: Loss | None = None,
    step: float = STEP,
    add_up: Callable[[Sequence[Tensor]], None] = lambda _: None,
) -> Unrolled[Measured]:
    """The gradient of L_search(w', a) in the architecture a. Eq. 7, its last term by Eq. 8.

    train_loss, search_loss: the losses, on one batch each, at the weights and the architecture at the time of the call;
    four calls in all. `search_loss` also returns anything else that is wanted from its pass. optimizer: that of the
    weights; it gives the weights w, momentum and decay, and is not changed. rate: xi. exact_train_loss: `train_loss` in
    full precision, for the two calls whose difference is taken: bfloat16 would round away the step between them and
    leave only noise. step: see `mixed_product`. add_up: where each process has its part of the losses, adds up
    gradients over all of them, in place. The result is then this process's part of the gradient.

    Leaves the weights exactly as they were, even when a loss raises; what the losses do to buffers is up to the caller.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    of_train = _gradients(train_loss(), weights)
    add_up(of_train)
    direction = step_direction(optimizer, of_train)
    with shifted(weights, -rate, direction):
        loss, measured = search_loss()
        both = _gradients(loss, [*architecture, *weights])
    along, vector = both[: len(architecture)], both[len(architecture) :]
    add_up(vector)
    product = mixed_product(exact_train_loss or train_loss, weights, architecture, vector, step)
    gradient = tuple(first - rate * second for first, second in zip(along, product, strict=True))
    return Unrolled(gradient, loss.detach(), measured)


def step_direction(optimizer: torch.optim.SGD, gradients: Sequence[Tensor]) -> list[Tensor]:
    """What `optimizer`'s next step would subtract with these gradients, divided by its rate; its state is unchanged.

    momentum · buffer + gradient + decay · weight, as in the published experiments: the gradient is not clipped (Eq. 6
    has no clipping, and a clipped step would depend on the architecture in a way that Eq. 7 leaves out).
    """
    direction = []
    following = iter(gradients)
    for group in optimizer.param_groups:
        for weight in group["params"]:
            change = next(following).add(weight.detach(), alpha=group["weight_decay"])
            buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
            direction.append(change if buffer is None else change.add(buffer, alpha=group["momentum"]))
    return direction


def mixed_product(
    loss: Loss, weights: Sequence[Tensor], architecture: Sequence[Tensor], vector: Sequence[Tensor], step: float = STEP
) -> tuple[Tensor, ...]:
    """(d²L / da dw) · vector, for each tensor of the architecture a, as a central difference. Eq. 8.

    The weights move by `step` along the vector to either side, whatever the vector's length. The error is O(step²) plus
    the rounding of two gradients. A vector of zeros gives zeros.

    The gradient of a network of ReLUs jumps at their kinks. The product is then that of a loss smoothed over the step,
    and depends on the step: in a fresh search network, the products for steps of 0.03 and 0.003 had cosines of 0.7 and
    0.5 to that for 0.01.
    """
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in vector]))
    epsilon = step / length.clamp_min(torch.finfo(length.dtype).tiny)
    with shifted(weights, epsilon, vector):
        ahead = _gradients(loss(), architecture)
    with shifted(weights, -epsilon, vector):
        behind = _gradients(loss(), architecture)
    return tuple((plus - minus) / (2 * epsilon) for plus, minus in zip(ahead, behind, strict=True))


@contextmanager
def shifted(weights: Sequence[Tensor], by: float | Tensor, direction: Sequence[Tensor]) -> Iterator[None]:
    """While active, the weights are weights + by · direction, in place; afterwards what they were, to the bit."""
    with restored(weights):
        with torch.no_grad():
            for weight, part in zip(weights, direction, strict=True):
                weight.add_(by * part)
        yield


@contextmanager
def restored(tensors: Iterable[Tensor]) -> Iterator[None]:
    """On exit the tensors have their earlier values, to the bit, whatever was written to them, even after an error."""
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradient in each tensor; zeros where the loss does not depend on it."""
    return torch.autograd.grad(loss, of, materialize_grads=True)
