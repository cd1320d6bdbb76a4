"""Drop-path multipliers: values, share, expectation, independence, determinism."""

import pytest
import torch

from nascli.core.nn.drop_path import apply_path, draw_paths, sum_of_paths


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_paths_are_dropped_with_their_probability_and_keep_their_expectation(probability: float) -> None:
    paths = draw_paths(100, 1000, probability, generator())
    kept = torch.tensor(1.0 / (1.0 - probability))
    assert torch.equal(paths.unique(), torch.stack((torch.tensor(0.0), kept)))
    # Bounds are five standard errors of 100,000 draws.
    error = 5 * (probability * (1 - probability) / paths.numel()) ** 0.5
    assert abs(float((paths == 0).float().mean()) - probability) < error
    assert abs(float(paths.mean()) - 1.0) < error / (1 - probability)


def test_paths_and_samples_are_dropped_independently() -> None:
    dropped = (draw_paths(40, 5000, 0.3, generator()) == 0).double()
    correlation = torch.corrcoef(dropped) - torch.eye(40)
    assert float(correlation.abs().max()) < 5.5 / 5000**0.5
    between_samples = torch.corrcoef((draw_paths(5000, 40, 0.3, generator(1)) == 0).double().t()) - torch.eye(40)
    assert float(between_samples.abs().max()) < 5.5 / 5000**0.5


def test_probability_zero_keeps_everything_as_it_is() -> None:
    assert torch.equal(draw_paths(3, 4, 0.0, generator()), torch.ones(3, 4))


def test_the_generator_alone_decides() -> None:
    before = torch.get_rng_state()
    one, same, other = (draw_paths(20, 20, 0.5, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_impossible_probabilities_are_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probability in"):
        draw_paths(2, 2, probability, generator())


def test_apply_path_multiplies_samples_and_keeps_the_precision() -> None:
    y = torch.ones(2, 3, 1, 1, dtype=torch.bfloat16)
    dropped = apply_path(y, torch.tensor([0.0, 2.0]))
    assert dropped.dtype == torch.bfloat16
    assert dropped.flatten(1).tolist() == [[0.0] * 3, [2.0] * 3]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dropped", [(True, True), (False, True), (True, False, True, False), (False, False), (True,)])
def test_a_sum_multiplies_the_paths_among_its_summands(
    dropped: tuple[bool, ...], memory_format: torch.memory_format
) -> None:
    """Values and gradients are those of the formula; the gradients are packed although the sum's own is a slice."""
    draws = generator()
    ends = [torch.randn(2, 3, 5, 4, dtype=torch.float64, generator=draws) for _ in dropped]
    ends = [end.contiguous(memory_format=memory_format).requires_grad_() for end in ends]
    multipliers = torch.rand(sum(dropped), 2, generator=draws)
    rows = iter(multipliers)
    by_hand = sum(apply_path(end, next(rows)) if drop else end for end, drop in zip(ends, dropped, strict=True))
    ours = sum_of_paths(ends, multipliers if any(dropped) else None, dropped)
    torch.testing.assert_close(ours, by_hand)
    whole = torch.randn(2, 7, 5, 4, dtype=torch.float64, generator=draws).contiguous(memory_format=memory_format)
    found = torch.autograd.grad(ours, ends, whole[:, 2:5])
    torch.testing.assert_close(found, torch.autograd.grad(by_hand, ends, whole[:, 2:5]))
    assert all(gradient.is_contiguous(memory_format=memory_format) for gradient in found)
