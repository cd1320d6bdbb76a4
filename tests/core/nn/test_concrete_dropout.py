import math

import pytest
import torch
import torch.nn.functional as F

from nascli.artifacts.distributions.posterior import LEAST_PROBABILITY
from nascli.core.nn.build import seeded
from nascli.core.nn.concrete_dropout import ConcreteDropout, squared_norms
from nascli.core.nn.graph_network import GraphNetwork
from nascli.graphs.builder import Builder
from nascli.graphs.operations import Concat
from nascli.supernets import supernet

SIZES = (3, 1, 5)


def dropout(probability=0.1, temperature=0.2, sizes=SIZES):
    return ConcreteDropout(sizes, temperature=temperature, probability=probability)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(**settings):
    """resnet-mb of width 2 on 8x8 images, in float64."""
    data = {"classes": 3, "image_channels": 1, "image_size": 8}
    graph = supernet("resnet-mb", 2, (1, 1, 1), **{**data, **settings})
    return seeded(lambda: GraphNetwork(graph), 1).double()


def images(batch=4, seed=2):
    return torch.randn(batch, 1, 8, 8, generator=generator(seed), dtype=torch.float64)


def dropout_of(network, **settings):
    return dropout(sizes=[group.size for group in network.graph.groups], **settings).double()


@pytest.mark.parametrize(("probability", "temperature"), [(0.1, 0.2), (0.5, 0.2), (0.8, 2 / 3), (0.3, 2 / 3)])
def test_relaxed_masks_follow_the_law_that_they_come_from(probability, temperature):
    """P(z <= t) = sigmoid(logit p + tau logit t): mean and spread by integration over it, quantiles by its inverse."""
    masks = dropout(probability, temperature, (7,)).double().relaxed(30_000, generator()).detach().flatten()
    grid = torch.linspace(1e-9, 1 - 1e-9, 400_001, dtype=torch.float64)
    logit_p = math.log(probability / (1 - probability))
    above = 1 - torch.sigmoid(logit_p + temperature * grid.logit())
    mean = torch.trapezoid(above, grid)
    spread = (torch.trapezoid(2 * grid * above, grid) - mean**2).sqrt()
    error = 1 / math.sqrt(len(masks))
    assert masks.mean().item() == pytest.approx(mean.item(), abs=4 * spread.item() * error)
    assert masks.std().item() == pytest.approx(spread.item(), abs=3 * error)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        quantile = 1 / (1 + math.exp(-(math.log(share / (1 - share)) - logit_p) / temperature))
        assert (masks <= quantile).double().mean().item() == pytest.approx(share, abs=2.5 * error)


def test_relaxed_masks_are_those_of_two_gumbel_variables():
    """Equation 16 as it is printed, with r1 and r2: the same law, by the distance between the samples."""
    p, tau, count = 0.3, 0.2, 100_000
    r1, r2 = torch.rand(2, count, generator=generator(5), dtype=torch.float64)
    exponent = math.log(p) - math.log(1 - p) + torch.log(-torch.log(r2)) - torch.log(-torch.log(r1))
    printed = (1 - torch.sigmoid(exponent / tau)).sort().values
    mine = dropout(p, tau, (1,)).double().relaxed(count, generator(6)).detach().flatten().sort().values
    assert (printed - mine).abs().mean() < 0.005


def test_hard_masks_drop_each_group_with_its_probability():
    module = dropout()
    with torch.no_grad():
        module.logit.copy_(torch.tensor([0.1, 0.5, 0.9]).logit())
    masks = module.hard(20_000, generator())
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    dropped = 1 - masks.mean(dim=0)
    torch.testing.assert_close(dropped, torch.tensor([0.1] * 3 + [0.5] + [0.9] * 5), rtol=0, atol=0.015)


def test_every_image_and_every_channel_has_a_number_of_its_own():
    module = dropout(0.5, temperature=1.0).double()
    masks = module.relaxed(6, generator()).detach()
    assert masks.shape == (6, sum(SIZES))
    assert len(masks.unique()) == masks.numel()
    assert torch.equal(masks, module.relaxed(6, generator()))


@pytest.mark.parametrize(("probability", "mean", "precision"), [(0.1, 1.5, 4.0), (0.6, -0.7, 25.0), (0.97, 2.0, 0.5)])
def test_the_penalty_is_the_divergence_from_the_prior(probability, mean, precision):
    """KL(q || N(0, 1 / l²)) by numerical integration; q has a component at 0 and one at m, both narrow, and the
    penalty leaves out what a component costs whatever p and m are.
    """
    sigma, images_seen = 0.01, 50.0
    grid = torch.linspace(-3, 3, 1_200_001, dtype=torch.float64)

    def log_normal(centre, deviation):
        return -0.5 * ((grid - centre) / deviation) ** 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)

    parts = torch.stack([
        math.log(probability) + log_normal(0.0, sigma),
        math.log(1 - probability) + log_normal(mean, sigma),
    ])  # fmt: skip
    log_q = parts.logsumexp(dim=0)
    divergence = torch.trapezoid(log_q.exp() * (log_q - log_normal(0.0, precision**-0.5)), grid).item()
    constant = 0.5 * (precision * sigma**2 - 1 - math.log(precision * sigma**2))

    channels = 3  # of one weight each
    module = dropout(probability, sizes=(channels,)).double()
    norms = torch.tensor([channels * mean**2], dtype=torch.float64)
    penalty = module.penalty(norms, weight_prior=precision, images=images_seen).item()
    assert penalty == pytest.approx(channels * (divergence - constant) / images_seen, rel=1e-5)


def test_groups_add_up_and_the_entropy_is_that_of_independent_coins():
    module = dropout().double()
    p = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    with torch.no_grad():
        module.logit.copy_(p.logit())
    norms = torch.tensor([2.0, 0.0, 7.0], dtype=torch.float64)
    coin = [-(q * math.log(q) + (1 - q) * math.log(1 - q)) for q in p.tolist()]
    entropy = sum(size * each for size, each in zip(SIZES, coin, strict=True))
    assert module.entropy().item() == pytest.approx(entropy)
    by_hand = (8.0 * (0.8 * 2.0 + 0.1 * 7.0) / 2 - entropy) / 11
    assert module.penalty(norms, weight_prior=8.0, images=11).item() == pytest.approx(by_hand)
    assert module.kept_share().item() == pytest.approx((3 * 0.8 + 0.5 + 5 * 0.1) / 9)


def test_a_groups_norm_is_that_of_the_weights_which_read_it():
    """Two sources of one convolution: perturbed through the mask, its weights show which of them are whose."""
    build = Builder(1, 8)
    x = build.unmasked_conv("a", build.image, 2, 3)
    y = build.unmasked_conv("b", build.image, 3, 3)
    both = build.add("both", Concat(), x, y)
    z = build.conv("read", both, 4, 3, sources=(2, 3))
    build.classify(build.conv("last", z, 2), 2)
    network = GraphNetwork(build.graph())
    weight = network.get_submodule("read").weight
    expected = [weight[:, :2].norm() ** 2, weight[:, 2:].norm() ** 2, network.get_submodule("last").weight.norm() ** 2]
    torch.testing.assert_close(squared_norms(network), torch.stack(expected))


def test_the_gradient_of_the_expected_loss_in_p_is_that_of_finite_differences():
    """With the same random numbers on both sides: the loss is then a smooth function of the logits."""
    network, labels = tiny(), torch.tensor([0, 2, 1, 1])
    module = dropout_of(network, probability=0.3, temperature=2 / 3)

    def loss():
        draws = [network(images(), masks=module.relaxed(4, generator(seed))) for seed in range(3)]
        fit = sum(F.cross_entropy(logits, labels) for logits in draws) / len(draws)
        return fit + module.penalty(squared_norms(network), weight_prior=2.0, images=100.0)

    loss().backward()
    gradient, step = module.logit.grad, 1e-5
    assert gradient.abs().min() > 1e-6
    for group in range(0, len(gradient), 3):
        ends = []
        for side in (1, -1):
            with torch.no_grad():
                module.logit[group] += side * step
                ends.append(loss().item())
                module.logit[group] -= side * step
        assert gradient[group].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-9)


def test_without_dropping_the_network_is_the_plain_one_bit_for_bit():
    network = tiny().float()
    module = dropout_of(network, probability=LEAST_PROBABILITY).float()
    plain = network(images().float())
    assert torch.equal(network(images().float(), masks=module.relaxed(4, generator())), plain)
    with torch.no_grad():
        module.logit.fill_(-math.inf)
    assert torch.equal(module.relaxed(100, generator()), torch.ones(100, len(module.group)))
    assert torch.equal(module.hard(100, generator()), torch.ones(100, len(module.group)))


def test_images_are_masked_one_by_one():
    network = tiny().eval()
    module = dropout_of(network, probability=0.5)
    same = images(batch=1).expand(3, -1, -1, -1)
    logits = network(same, masks=module.relaxed(3, generator()))
    assert (logits[0] - logits[1]).abs().min() > 1e-6
    assert torch.equal(network(same)[0], network(same)[1])


@pytest.mark.parametrize("sign", [-1, 1])
def test_probabilities_stay_in_their_bounds(sign):
    module = dropout()
    with torch.no_grad():
        module.logit.add_(sign * 1e9)
    module.clamp_()
    drop = module.probabilities()
    exact = module.logit.detach().double().sigmoid()
    assert exact.min() >= LEAST_PROBABILITY
    assert exact.max() <= 1 - LEAST_PROBABILITY
    edge = LEAST_PROBABILITY if sign < 0 else 1 - LEAST_PROBABILITY
    assert drop.tolist() == pytest.approx([edge] * len(SIZES), rel=1e-4)
    assert math.isfinite(module.entropy().item())
    module.penalty(torch.ones(3), weight_prior=1.0, images=1.0).backward()
    assert module.logit.grad.isfinite().all()
    masks = module.relaxed(1000, generator())
    assert masks.isfinite().all()


SPIKE = 0.01
"""s, the standard deviation of what is dropped and of what is kept, as in `docs/pgnas-prior.md`."""

PER_WEIGHT = 0.5 * (4.0 * SPIKE**2 - 1 - math.log(4.0 * SPIKE**2))
"""C for one weight with l² = 4: what a narrow Gaussian at 0 costs against the slab."""


def divergence(p, m, u, *, spike=SPIKE, precision=4.0):
    """KL(q || prior) for one channel of one weight by quadrature, q = p N(0, s²) + (1 - p) N(m, s²), prior
    u N(0, s²) + (1 - u) N(0, 1/l²).
    """
    grid = torch.linspace(-3, 3, 600_001, dtype=torch.float64)

    def log_normal(centre, deviation):
        return -0.5 * ((grid - centre) / deviation) ** 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)

    log_q = torch.logaddexp(math.log(p) + log_normal(0.0, spike), math.log(1 - p) + log_normal(m, spike))
    log_prior = math.log1p(-u) + log_normal(0.0, precision**-0.5)
    if u:
        log_prior = torch.logaddexp(math.log(u) + log_normal(0.0, spike), log_prior)
    return torch.trapezoid(log_q.exp() * (log_q - log_prior), grid).item()


def penalty(p, m, u, channels=3):
    """The penalty of so many channels of one weight m each, per channel, N = 1 and l² = 4."""
    module = dropout(sizes=(channels,)).double()
    with torch.no_grad():
        module.logit.fill_(math.log(p / (1 - p)))
    norms = torch.tensor([channels * m**2], dtype=torch.float64)
    return module.penalty(norms, weight_prior=4.0, images=1.0, drop_prior=u).item() / channels


@pytest.mark.parametrize(("p", "m", "u"), [(0.1, 1.5, 0.3), (0.6, -0.7, 0.9), (0.97, 1.0, 0.05), (0.3, 1.1, 0.5)])
def test_with_a_drop_prior_the_penalty_is_the_divergence_of_the_pairs(p, m, u):
    """Of "dropped or not" and weight: the sum over both cases of an integral each, exact for any s, here a wide one."""
    spike = 0.4
    grid = torch.linspace(-9, 9, 200_001, dtype=torch.float64)

    def log_normal(centre, deviation):
        return -0.5 * ((grid - centre) / deviation) ** 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)

    total = 0.0
    for share, prior, centre in ((p, u, 0.0), (1 - p, 1 - u, m)):
        log_q = math.log(share) + log_normal(centre, spike)
        total += torch.trapezoid(log_q.exp() * (log_q - math.log(prior) - log_normal(0.0, 0.5)), grid).item()
    constant = 0.5 * (4.0 * spike**2 - 1 - math.log(4.0 * spike**2))
    assert penalty(p, m, u) == pytest.approx(total - constant, abs=1e-7)


@pytest.mark.parametrize(("p", "m", "u"), [(0.1, 1.5, 0.3), (0.6, -0.7, 0.9), (0.3, 1.1, 0.5)])
def test_against_a_spike_and_slab_it_leaves_out_what_a_kept_weight_costs(p, m, u):
    """The mixture's own divergence, whose spike is as wide as q's, has (1 - p) C more; C grows as s falls."""
    constant, last = PER_WEIGHT, math.inf
    for spike in (SPIKE, SPIKE / 10, SPIKE / 100):
        constant = 0.5 * (4.0 * spike**2 - 1 - math.log(4.0 * spike**2))
        missing = penalty(p, m, u) + (1 - p) * constant - divergence(p, m, u, spike=spike)
        # What is dropped is a little likelier than the prior's spike alone says, as the slab is there, too: by
        # 1 + a e^(z²/2) at z deviations from 0, whose mean logarithm is about a / sqrt(2 pi) times the width of
        # |z| < sqrt(2 log 1/a).
        a = (1 - u) / u * 2.0 * spike
        assert 0 < missing < p * a * (2 * math.sqrt(2 * math.log(1 / a)) / math.sqrt(2 * math.pi) + 0.5)
        assert missing < last
        last = missing
    assert constant > PER_WEIGHT > 3.4


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_the_limit_of_no_spike_is_the_papers_form_and_not_that_of_a_small_u(p):
    """u -> 0 with s fixed: both components are compared with the slab, and C is a constant. Odds of e^-C are the
    crossing: there leaving C out turns the mixture's u into 1/2, whose gradients are those of the paper's form.
    """
    m = 1.3
    assert divergence(p, m, 1e-9) == pytest.approx(penalty(p, m, 0.0) + PER_WEIGHT, abs=1e-6)
    assert divergence(p, m, 0.0) == pytest.approx(penalty(p, m, 0.0) + PER_WEIGHT, abs=1e-6)
    assert penalty(p, m, 0.5) == pytest.approx(penalty(p, m, 0.0) + math.log(2), rel=1e-12)
    assert penalty(p, m, 1e-9) > penalty(p, m, 0.0) + 20 * p - 1


def test_its_gradient_is_that_of_the_integral():
    """By finite differences of the spike and slab's divergence, C taken off, where hardly any slab is near 0."""
    p, m, u, step = 0.6, 1.2, 0.9, 1e-4
    logit = torch.tensor([math.log(p / (1 - p))], dtype=torch.float64)
    module = dropout(sizes=(1,)).double()
    with torch.no_grad():
        module.logit.copy_(logit)
    weight = torch.tensor([m], dtype=torch.float64, requires_grad=True)
    module.penalty(weight.square(), weight_prior=4.0, images=1.0, drop_prior=u).backward()

    def there(by_logit, by_weight):
        now = torch.sigmoid(logit + by_logit).item()
        return divergence(now, m + by_weight, u, spike=1e-3) - (1 - now) * constant

    constant = 0.5 * (4e-6 - 1 - math.log(4e-6))
    slopes = [(there(*(step * v for v in e)) - there(*(-step * v for v in e))) / (2 * step) for e in ((1, 0), (0, 1))]
    assert module.logit.grad.item() == pytest.approx(slopes[0], abs=2e-4)
    assert weight.grad.item() == pytest.approx(slopes[1], rel=1e-4)


def test_without_images_a_weightless_channel_is_dropped_with_the_probability_u():
    for u, expected in ((0.2, 0.2), (0.9, 0.9), (0.0, 0.5)):
        module = dropout(sizes=(2,)).double()
        with torch.no_grad():
            module.logit.fill_(math.log(expected / (1 - expected)))
        module.penalty(torch.zeros(1, dtype=torch.float64), weight_prior=4.0, images=7.0, drop_prior=u).backward()
        assert module.logit.grad.item() == pytest.approx(0.0, abs=1e-12)


def test_no_drop_prior_is_the_papers_form_to_the_bit():
    module, norms = dropout(0.3), torch.tensor([2.0, 0.5, 7.0])
    drop, keep = module.logit.sigmoid(), (-module.logit).sigmoid()
    entropy = drop * F.logsigmoid(module.logit) + keep * F.logsigmoid(-module.logit)
    expected = (10.0 / 2 * keep * norms + module.sizes * entropy).sum() / 70.0
    assert torch.equal(module.penalty(norms, weight_prior=10.0, images=70.0), expected)
