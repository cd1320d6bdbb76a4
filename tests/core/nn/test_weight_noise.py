import math

import pytest
import torch

from nascli.core.nn.build import seeded
from nascli.core.nn.concrete_dropout import squared_norms
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.weight_noise import WeightNoise
from nascli.graphs.builder import Builder
from nascli.graphs.operations import Concat


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def two_sources():
    """A stem, then a convolution of 3x3 that reads 2 + 3 channels of two sources, in float64."""
    build = Builder(1, 4)
    first, second = (build.unmasked_conv(f"stem{n}", build.image, n, 1) for n in (2, 3))
    build.classify(build.conv("conv", build.add("both", Concat(), first, second), 4, 3, sources=(2, 3)), 3)
    return seeded(lambda: GraphNetwork(build.graph()), 0).double()


def noise_of(network, probability=0.2):
    return WeightNoise(network, probability).double()


def test_each_source_has_a_deviation_that_starts_at_the_variance_of_dropout():
    network = two_sources()
    noise = noise_of(network)
    weight = network.get_parameter("conv.weight")
    expected = [math.sqrt(0.25 * weight[:, part].square().mean().item()) for part in (slice(0, 2), slice(2, 5))]
    assert noise.log_deviation.exp().tolist() == pytest.approx(expected, rel=1e-5)
    assert noise.ratios(squared_norms(network)).tolist() == pytest.approx([0.5, 0.5], rel=1e-5)


def test_draws_have_the_deviation_of_their_source_and_numbers_of_their_own():
    network = two_sources()
    noise = noise_of(network)
    noise.set_(torch.tensor([0.3, 2.0], dtype=torch.float64).log())
    drawn = torch.stack([noise.drawn(network, generator(seed))["conv"] for seed in range(200)]).detach()
    assert drawn.shape == (200, 4, 5, 3, 3)
    for part, sigma in ((slice(0, 2), 0.3), (slice(2, 5), 2.0)):
        assert drawn[:, :, part].std().item() == pytest.approx(sigma, rel=0.03)
        assert abs(drawn[:, :, part].mean().item()) < 0.03 * sigma
    assert len(drawn.unique()) == drawn.numel()
    assert torch.equal(drawn[7], noise.drawn(network, generator(7))["conv"])


def test_a_network_with_noise_is_the_network_of_the_sum():
    network, images = two_sources(), torch.randn(2, 1, 4, 4, generator=generator(), dtype=torch.float64)
    drawn = noise_of(network).drawn(network, generator(1))
    found = network(images, noise=drawn)
    found.sum().backward()
    slope = network.get_parameter("conv.weight").grad.clone()
    with torch.no_grad():
        assert not torch.allclose(found, network(images))
        network.get_parameter("conv.weight").add_(drawn["conv"])
    torch.testing.assert_close(network(images), found)
    network.zero_grad()
    network(images).sum().backward()
    torch.testing.assert_close(network.get_parameter("conv.weight").grad, slope)


@pytest.mark.parametrize(("mean", "sigma", "precision"), [(1.5, 0.3, 4.0), (-0.2, 1.7, 0.5), (0.9, 0.05, 30.0)])
def test_the_penalty_is_the_divergence_of_gaussians(mean, sigma, precision):
    """Of one weight by quadrature, times as many as there are; all means are alike."""
    network = two_sources()
    with torch.no_grad():
        network.get_parameter("conv.weight").fill_(mean)
    noise = noise_of(network)
    noise.set_(torch.full((2,), math.log(sigma), dtype=torch.float64))
    grid = torch.linspace(mean - 12 * sigma, mean + 12 * sigma, 100_001, dtype=torch.float64)
    own, prior = torch.distributions.Normal(mean, sigma), torch.distributions.Normal(0.0, precision**-0.5)
    log_q = own.log_prob(grid)
    one = torch.trapezoid(log_q.exp() * (log_q - prior.log_prob(grid)), grid).item()
    penalty = noise.penalty(squared_norms(network), weight_prior=precision, images=50.0)
    assert penalty.item() == pytest.approx(4 * 5 * 9 * one / 50, rel=1e-6)


def test_the_deviations_learn_as_if_channels_counted_and_not_weights():
    """Near sigma = 0, where the divergence falls by d per unit of log(sigma), SGD moves log(sigma) by c / N."""
    network = two_sources()
    noise = noise_of(network)
    noise.set_(torch.full((2,), math.log(1e-5), dtype=torch.float64))
    start = noise.log_deviation.detach().clone()
    noise.penalty(torch.zeros(2, dtype=torch.float64), weight_prior=1.0, images=10.0).backward()
    with torch.no_grad():
        noise.scaled -= noise.scaled.grad
    assert (noise.log_deviation - start).tolist() == pytest.approx([2 / 10, 3 / 10], rel=1e-4)


def test_deviations_stay_in_their_bounds():
    noise = noise_of(two_sources())
    with torch.no_grad():
        noise.scaled.copy_(torch.tensor([-1e9, 1e9]))
    noise.clamp_()
    assert noise.log_deviation.exp().tolist() == pytest.approx([1e-6, 100.0], rel=1e-5)
