"""Concatenation: torch's own numbers, packed gradients."""

import pytest
import torch

from nascli.core.nn.concatenation import concatenate

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("memory_format", FORMATS)
def test_equals_cat_forward_and_backward(memory_format: torch.memory_format) -> None:
    shapes = [(2, 3, 5, 4), (2, 1, 5, 4), (2, 4, 5, 4)]
    states = [torch.randn(shape).contiguous(memory_format=memory_format).requires_grad_() for shape in shapes]
    weight = torch.randn(2, 8, 5, 4)
    results = []
    for join in (concatenate, lambda parts: torch.cat(parts, dim=1)):
        joined = join(states)
        results.append((joined, *torch.autograd.grad((joined * weight).sum(), states)))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradients_arrive_packed_in_the_format_of_the_states(memory_format: torch.memory_format) -> None:
    """The reason that it exists: torch's own concatenation packs neither."""
    states = [torch.randn(2, 3, 5, 4).contiguous(memory_format=memory_format).requires_grad_() for _ in range(2)]
    joined = concatenate([state * 2 for state in states])
    seen: list[bool] = []
    for state in states:
        state.register_hook(lambda gradient: seen.append(gradient.is_contiguous(memory_format=memory_format)))
    joined.square().sum().backward()
    assert seen == [True, True]


def test_gradient_against_finite_differences() -> None:
    states = [torch.randn(2, c, 3, 2, dtype=torch.float64, requires_grad=True) for c in (1, 3)]
    assert torch.autograd.gradcheck(lambda *parts: concatenate(parts), states)
