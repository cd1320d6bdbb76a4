import copy
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.trials import TrialsDistribution
from nascli.artifacts.provenance import Provenance
from nascli.core.answer import answer
from nascli.core.memory import MemoryMeter
from nascli.core.methods import single_paths as module
from nascli.core.methods.categoricals import draw
from nascli.core.methods.parsec import Parsec, effective_samples, importance_weights
from nascli.core.methods.protocol import Plan
from nascli.core.runtime import Runtime
from nascli.distributed.share import WHOLE
from nascli.errors import UsageError
from nascli.registry import SPACES
from nascli.settings.single_paths import ParsecSettings
from nascli.spaces import cell_space
from nascli.spaces.darts import Darts
from nascli.spaces.nas_bench_201 import NasBench201

RUNTIME = Runtime(torch.device("cpu"))
NOWHERE = Provenance(nascli="", stage="search", method=None, seed=None, config={}, data=None, made_from=None)


class Batches:
    """A stream that gives one batch again and again; a whole pass is of twice the images, in two uneven batches."""

    def __init__(self, seed, batch=12, side=8):
        generator = torch.Generator().manual_seed(seed)
        self.batch_size, self.position = batch, 0
        self.images = torch.randn(batch, 1, side, side, generator=generator)
        self.labels = torch.randint(4, (batch,), generator=generator)

    def next(self, share=WHOLE):
        self.position += 1
        return self.images, self.labels

    def once(self, share=WHOLE):
        yield self.images[:7], self.labels[:7]
        yield self.images[7:], self.labels[7:]


def streams(**settings):
    return {"search": Batches(1, **settings), "train": Batches(2, **settings)}


def method(seed=0, epochs=3, steps_per_epoch=10, side=8, space="darts", **changes):
    data = DataInfo(
        dataset="digits", classes=("a", "b", "c", "d"), channels=1, image_size=side, mean=(0.0,), std=(1.0,),
        train_images=24, test_images=0, fingerprint="",
    )  # fmt: skip
    small = {"layers": 3, "channels": 4, "nodes": 1 if space == "darts" else 0, "samples": 4}
    settings = ParsecSettings.model_construct(**{**small, **changes})  # unchecked: some want more samples than allowed
    return Parsec(Plan("parsec", space, data, epochs, steps_per_epoch, seed), RUNTIME, settings)


def file_of(search):
    """What a search has learnt, as the file that another one starts from."""
    return DistributionFile(search.distribution(), NOWHERE)


class FewDarts(Darts):
    """10 networks per cell type with one node, 10 * 21 with two."""

    operations = ("none", "skip_connect", "dil_conv_3x3")


class FewNasBench201(NasBench201):
    """2 ** 6 networks: each edge is a convolution, or else nothing, or else an identity. Some have no path."""

    operations = ("none", "skip_connect", "nor_conv_3x3")

    def __init__(self):
        super().__init__()
        rows = zip(super().decisions(), self.edges(), strict=True)
        self._few = tuple(replace(row, options=(row.options[1 - sum(edge) % 2], row.options[2])) for row, edge in rows)

    def decisions(self):
        return self._few


FEW = {"darts": FewDarts, "nas-bench-201": FewNasBench201}


@pytest.fixture(params=FEW)
def few(request, monkeypatch):
    """The name of a space, with so few operations that its networks can be enumerated."""
    space = FEW[request.param]
    monkeypatch.setattr(module, "cell_space", lambda name, nodes: space(nodes) if nodes else space())
    return request.param


def about(search, *cells):
    """The logits of the decisions about these types of cells."""
    decisions = zip(search._space.decisions(), search.categoricals.logits, strict=True)
    return [logits for decision, logits in decisions if decision.cell in cells]


def decide(search, *cells):
    """Put all probability of these types of cells on their first choices."""
    with torch.no_grad():
        for logits in about(search, *cells):
            logits[:, 0] = 1e4


def tilt(search, scale=0.5, seed=5):
    """Logits of the first type of cell, the normal one of DARTS, that are not all equal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for logits in about(search, search._space.cells[0]):
            logits.copy_(scale * torch.randn(logits.shape, generator=generator))


def children_of(search):
    """All draws of the first type of cell: [children, columns], and their probabilities under the logits, float64."""
    first = about(search, search._space.cells[0])
    rows = [row for logits in first for row in logits.detach().double().softmax(1)]
    draws = torch.tensor(list(itertools.product(*(range(len(row)) for row in rows))))
    return draws, torch.stack([row[draws[:, i]] for i, row in enumerate(rows)]).prod(0), rows


def genotypes(search, draws):
    """The children with these draws of the first type of cell, and the first choices of the others."""
    columns = sum(map(len, search.categoricals.logits))
    return [search._space.genotype([*draw, *[0] * (columns - len(draw))]) for draw in draws.tolist()]


def drawn_by(search):
    """The children that the next step draws."""
    return [search._space.genotype(child) for child in search._draw(search.distribution()).tolist()]


def scores(draws, rows):
    """grad of log p(alpha | pi) in the logits, by hand: onehot - softmax. [children, all logits]"""
    parts = [F.one_hot(draws[:, i], len(row)).double() - row for i, row in enumerate(rows)]
    return torch.cat(parts, dim=1)


def estimated_gradient(search):
    """What the last step's ascent followed, in the logits of the first type of cell."""
    return -torch.cat([logits.grad.flatten() for logits in about(search, search._space.cells[0])]).double()


def test_weights_are_shares_of_the_likelihood():
    weights = importance_weights(torch.tensor([math.log(1.0), math.log(3.0)]))
    torch.testing.assert_close(weights, torch.tensor([0.25, 0.75], dtype=torch.float64), rtol=1e-7, atol=0)


def test_products_of_a_thousand_likelihoods_do_not_underflow():
    weights = importance_weights(torch.tensor([-1e4, -1e4 - math.log(2), -2e4], dtype=torch.float64))
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 1 / 3, 0.0], dtype=torch.float64), rtol=1e-9, atol=0)


def test_effective_samples():
    assert float(effective_samples(torch.tensor([1.0, 0.0, 0.0]))) == 1
    assert float(effective_samples(torch.full((8,), 0.125))) == pytest.approx(8)


def test_the_entropy_starts_at_the_logarithm_of_the_number_of_choices():
    """Nodes 1 to 4 choose twice among (n + 1) * 7, in two cell types: 2 * 2 * log(14 * 21 * 28 * 35)."""
    health = method(nodes=4).health(streams())
    assert health["entropy"] == pytest.approx(4 * math.log(14 * 21 * 28 * 35), abs=1e-6)
    assert health["entropy"] == pytest.approx(50.2845, abs=1e-3)
    assert health["entropy/normal/5"] == pytest.approx(2 * math.log(35), abs=1e-6)
    assert health["mode_probability"] == pytest.approx((14 * 21 * 28 * 35) ** -4.0)


def test_the_entropy_of_six_edges_starts_at_six_times_that_of_five_operations():
    """NAS-Bench-201: 5 ** 6 = 15,625 networks."""
    health = method(space="nas-bench-201").health(streams())
    assert health["entropy"] == health["entropy/cell"] == pytest.approx(math.log(15_625), abs=1e-6)
    for edge in ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3"):
        assert health[f"entropy/cell/{edge}"] == pytest.approx(math.log(5), abs=1e-6)
    assert health["mode_probability"] == pytest.approx(1 / 15_625)


@pytest.mark.parametrize("space", SPACES)
def test_draws_follow_the_distribution(space):
    search = method(space=space, samples=20_000)
    tilt(search, scale=1.0)
    now = search.distribution()
    found = torch.from_numpy(search._draw(now))
    rows = [row for logits in search.categoricals.logits for row in logits.detach().double().softmax(1)]
    assert found.shape == (20_000, len(rows))
    for column, row in enumerate(rows):
        share = torch.bincount(found[:, column], minlength=len(row)) / len(found)
        assert (share - row).abs().max() < 5 * (0.25 / len(found)) ** 0.5


def planted(search, log_likelihood):
    """Let the likelihood of a child follow from its genotype; leave the weights alone."""
    search._graph = lambda child: child
    search._log_likelihood = lambda images, labels, children, **_: torch.tensor(
        list(map(log_likelihood, children)), dtype=torch.float64
    )
    search._train = lambda *_, **__: {}


def test_the_gradient_of_the_logits_is_unbiased_but_for_the_normalisation(few):
    """Exactly: g = E_posterior[onehot - softmax], the gradient of log p(y | X, v, pi), Eq. 7. With K = 2 the estimate's
    mean is enumerated over all pairs of children; its distance from g must fall as 1 / K.
    """
    search = method(arch_lr=0.0, space=few, nodes=2 if few == "darts" else 0)
    decide(search, "reduce")
    tilt(search)
    draws, prior, rows = children_of(search)
    networks = [child.network() for child in genotypes(search, draws)]
    noise = torch.Generator().manual_seed(3)
    count, spread = {"darts": (210, 1.4), "nas-bench-201": (64, 5.0)}[few]  # of fewer children, to see the bias
    table = {network: spread * float(torch.randn((), generator=noise)) for network in dict.fromkeys(networks)}
    assert len(table) == count
    planted(search, lambda child: table[child.network()])

    likelihood = torch.tensor([table[network] for network in networks], dtype=torch.float64).exp()
    score = scores(draws, rows)
    posterior = prior * likelihood / (prior * likelihood).sum()
    exact = posterior @ score
    pair = likelihood[:, None] / (likelihood[:, None] + likelihood[None, :])
    mean_of_two = 2 * (prior[:, None] * prior[None, :] * pair).sum(1) @ score

    search._samples = 2
    found, data = [], streams()
    for _ in range(250):
        search.step(data)
        found.append(estimated_gradient(search))
    found = torch.stack(found)
    error = (found.var(0) / len(found)).sum().sqrt()
    assert (found.mean(0) - mean_of_two).norm() < 3 * error
    assert (mean_of_two - exact).norm() > 5 * error, "the bias must be seen for the test to mean anything"

    sizes = torch.tensor([len(row) for row in rows])
    place = torch.cat((sizes.flip(0).cumprod(0).flip(0)[1:], torch.ones(1, dtype=torch.int64)))
    search._samples = 640_000
    choices = torch.from_numpy(search._draw(search.distribution()))[:, : len(rows)]
    drawn = (choices * place).sum(1)
    assert torch.equal(draws[drawn[:9]], choices[:9])
    bias = {}
    for samples in (2, 16, 64, 256):
        groups = drawn.view(-1, samples)
        weights = importance_weights(likelihood[groups].log().T).T
        estimate = (weights.flatten() / len(groups)) @ score[groups.flatten()]
        bias[samples] = float((estimate - exact).norm())
    assert bias[2] == pytest.approx(float((mean_of_two - exact).norm()), rel=0.05)
    assert bias[2] > bias[16] > 2 * bias[64], "the bias of self-normalisation falls as 1 / K"
    assert bias[256] < 0.15 * bias[2]


def uneven(search, spread):
    """Spread the log-likelihoods, as a larger batch and a longer training do."""
    plain = search._log_likelihood
    search._log_likelihood = lambda *arguments, **_: spread * plain(*arguments)


def test_with_many_samples_the_step_is_the_exact_gradient_of_the_marginal_likelihood(few):
    """Both gradients of Eq. 7, by running every network of the space, against those of one step with a large K."""
    samples, spread = {"darts": (4096, 1.0), "nas-bench-201": (16384, 2.0)}[few]
    search = method(samples=samples, arch_lr=0.0, lr=0.0, lr_min=0.0, clip=0.0, space=few)
    uneven(search, spread)
    decide(search, "reduce")
    tilt(search)
    data = streams()
    draws, prior, rows = children_of(search)
    children = genotypes(search, draws)
    networks = [child.network() for child in children]
    log_likelihood, gradients = {}, {}
    for network, genotype in zip(networks, children, strict=True):
        if network in gradients:
            continue
        child = search._graph(genotype)
        with torch.no_grad():
            logits = search.network(data["search"].images, child)
            loss = F.cross_entropy(logits, data["search"].labels, reduction="sum")
            log_likelihood[network] = -spread * float(loss)
        loss = F.cross_entropy(search.network(data["train"].images, child), data["train"].labels)
        found = torch.autograd.grad(loss, list(search.network.parameters()), allow_unused=True, materialize_grads=True)
        gradients[network] = torch.cat([g.flatten() for g in found])
    posterior = prior * torch.tensor([log_likelihood[n] for n in networks], dtype=torch.float64).exp()
    posterior = posterior / posterior.sum()
    exact_logits = posterior @ scores(draws, rows)
    exact_weights = sum(float(p) * gradients[n].double() for p, n in zip(posterior, networks, strict=True))

    metrics = search.step(data)
    assert len(gradients) / 2 < metrics["distinct_children"] <= len(gradients)
    weights = torch.cat([p.grad.flatten() for p in search.network.parameters()]).double()
    assert (weights - exact_weights).norm() < 0.05 * exact_weights.norm()
    assert (estimated_gradient(search) - exact_logits).norm() < 0.1 * exact_logits.norm()


def gradient_of_one_step(monkeypatch, least_share, spread=30.0):
    monkeypatch.setattr(module, "LEAST_SHARE", least_share)
    search = method(samples=8)
    uneven(search, spread)
    metrics = search.step(streams())
    return metrics, torch.cat([p.grad.flatten() for p in search.network.parameters()]), search


def test_skipping_children_without_weight_changes_no_gradient(monkeypatch):
    skipping, mine, first = gradient_of_one_step(monkeypatch, 1e-8)
    whole, theirs, second = gradient_of_one_step(monkeypatch, -1.0)
    assert whole["trained_children"] == whole["distinct_children"] > 2 * skipping["trained_children"]
    assert (mine - theirs).norm() < 1e-6 * theirs.norm()
    for name, value in first.network.state_dict().items():
        torch.testing.assert_close(value, second.network.state_dict()[name], rtol=1e-6, atol=1e-8)
    for a, b in zip(first.categoricals.logits, second.categoricals.logits, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("space", SPACES)
def test_a_step_follows_the_shares_mean_of_the_childrens_gradients(space):
    """In float64, by running each drawn child by itself, duplicates and all: their losses, the gradients of weights and
    logits by autograd.
    """
    search, data = method(samples=16, clip=0.0, lr=0.0, lr_min=0.0, arch_lr=0.0, space=space), streams()
    search.network.double()
    for stream in data.values():
        stream.images = stream.images.double()
    tilt(search, scale=5.0)
    decide(search, *search._space.cells[1:])
    drawn = drawn_by(search)
    assert len({child.network() for child in drawn}) < len(drawn), "some network is drawn twice"
    children = [search._graph(child) for child in drawn]
    with torch.no_grad():
        likelihood = torch.stack(
            [
                -F.cross_entropy(search.network(data["search"].images, child), data["search"].labels, reduction="sum")
                for child in children
            ]
        )
    shares = torch.softmax(likelihood, 0)
    loss = sum(
        share * F.cross_entropy(search.network(data["train"].images, child), data["train"].labels)
        for share, child in zip(shares, children, strict=True)
    )
    weights = list(search.network.parameters())
    expected = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    choices = torch.from_numpy(search._draw(search.distribution()))
    rows = [row for logits in search.categoricals.logits for row in logits.double().log_softmax(1)]
    log_probabilities = torch.stack([row[choices[:, column]] for column, row in enumerate(rows)]).sum(0)
    ascent = torch.autograd.grad(shares @ log_probabilities, search.categoricals.logits)
    metrics = search.step(data)
    for weight, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-7, atol=1e-9)
    for logits, gradient in zip(search.categoricals.logits, ascent, strict=True):
        torch.testing.assert_close(-logits.grad, gradient, rtol=1e-5, atol=1e-7)
    assert float(metrics["effective_samples"]) == pytest.approx(float(1 / shares.square().sum()), rel=1e-9)
    assert float(metrics["search_loss"]) == pytest.approx(float(-(shares * likelihood).sum() / 12), rel=1e-9)
    assert float(metrics["train_loss"]) == pytest.approx(float(loss.detach()), rel=1e-7)


def test_identical_children_share_the_weight_equally():
    search = method(samples=5)
    decide(search, "normal", "reduce")
    metrics = search.step(streams())
    assert metrics["distinct_children"] == metrics["trained_children"] == 1
    assert float(metrics["effective_samples"]) == pytest.approx(5)
    assert all(float(logits.grad.abs().max()) < 1e-15 for logits in search.categoricals.logits)


def test_weights_that_no_child_used_keep_their_momentum_and_decay():
    """Line 16 of Algorithm 1 updates all weights: v - lr * (momentum * buffer + decay * v) where the gradient is 0."""
    search = method(lr=0.1, lr_min=0.1, momentum=0.9, weight_decay=0.01, samples=2)
    before = {n: p.detach().clone() for n, p in search.network.named_parameters()}
    search.step(streams())
    unused = [n for n, p in search.network.named_parameters() if not p.grad.any() and before[n].any()]
    assert unused
    after = dict(search.network.named_parameters())
    for name in unused:
        torch.testing.assert_close(after[name].detach(), before[name] * (1 - 0.1 * 0.01))


def test_a_likelihood_that_favours_one_choice_is_found():
    """Cells with a dilated convolution as the first node's first pick are likelier: the mode comes to have it."""
    search = method(arch_lr=0.1, samples=8)
    planted(search, lambda child: 6.0 * any(pick.op == "dil_conv_5x5" for pick in child.cells["normal"].nodes[0]))
    before = search.distribution().total_entropy()
    for _ in range(150):
        search.step(streams())
    now = search.distribution()
    assert any(pick.op == "dil_conv_5x5" for pick in now.mode().cells["normal"].nodes[0])
    assert now.total_entropy() < before - 1


def test_the_modes_accuracy_is_that_of_the_whole_search_part():
    """Labels are made so that 9 of 12 answers are right: all 7 of one batch, 2 of 5 of the other."""
    search, data = method(), streams()
    for _ in range(3):
        search.step(data)
    mode = search._graph(search.distribution().mode())
    with torch.no_grad():
        answers = torch.cat([search.network(images, mode).argmax(1) for images, _ in data["search"].once()])
    data["search"].labels = torch.where(torch.arange(12) < 9, answers, (answers + 1) % 4)
    del data["train"]
    data["search"].batch_size = 7  # of its next step; the part is of 12 images
    assert search.health(data)["mode_accuracy"] == 9 / 12
    assert data["search"].position == 3


def test_adaptive_samples_follow_the_entropy():
    search = method(samples=16, adaptive_samples=True)
    assert search.step(streams())["samples"] == 16
    decide(search, "reduce")
    assert search.step(streams())["samples"] in (8, 9)  # one of two cell types is left open
    decide(search, "normal")
    assert search.step(streams())["samples"] == 2
    fixed = method(samples=16)
    decide(fixed, "reduce")
    assert fixed.step(streams())["samples"] == 16


def test_the_towers_loss_counts_by_its_weight_in_the_weights_gradient():
    """With one child, whose share is 1: cross-entropy + 0.4 * the tower's, by hand."""
    search = method(side=32, auxiliary=0.4, network="derived", samples=1, clip=0.0, lr=0.0, lr_min=0.0)
    data = streams(side=32)
    images, labels = data["train"].next()
    (child,) = map(search._graph, drawn_by(search))
    logits, tower = search.network(images, child, with_auxiliary=True)
    loss = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(tower, labels)
    expected = torch.autograd.grad(loss, list(search.network.parameters()), allow_unused=True, materialize_grads=True)
    metrics = search.step(data)
    assert float(metrics["train_loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)
    for parameter, gradient in zip(search.network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert search.network.auxiliary.classifier.weight.grad.any()


def test_a_tower_that_does_not_fit_is_left_out_with_a_notice():
    search = method(auxiliary=0.4)
    assert search.network.auxiliary is None
    assert "without an auxiliary tower" in search.notices[0]


@pytest.mark.parametrize("space", SPACES)
def test_the_networks_form_is_the_one_that_was_asked_for(space):
    """In cells, a derived network's batch norms have scale and shift, a search network's have none."""
    for form, affine in (("derived", True), ("search", False)):
        network = method(network=form, space=space).network
        norms = [part for part in network.cells.modules() if isinstance(part, nn.BatchNorm2d)]
        assert {norm.affine for norm in norms} == {affine}
        assert network.stem.norm.affine


def test_the_logits_move_by_adam_and_the_weights_by_clipped_sgd():
    """Both optimisers by hand, from the gradients of each of four steps."""
    given = {"lr": 0.1, "lr_min": 0.02, "momentum": 0.9, "weight_decay": 0.01, "clip": 0.05, "arch_lr": 0.1}
    search, data = method(epochs=1, steps_per_epoch=4, **given), streams()
    logits = search.categoricals.logits
    weights = list(search.network.parameters())
    first, second = ([torch.zeros_like(node) for node in logits] for _ in range(2))
    velocity = [torch.zeros_like(weight) for weight in weights]
    for step in range(4):
        logits_before = [node.detach().clone() for node in logits]
        weights_before = [weight.detach().clone() for weight in weights]
        metrics = search.step(data)
        for i, node in enumerate(logits):
            first[i] = 0.5 * first[i] + 0.5 * node.grad
            second[i] = 0.999 * second[i] + 0.001 * node.grad**2
            mean, spread = first[i] / (1 - 0.5 ** (step + 1)), second[i] / (1 - 0.999 ** (step + 1))
            wanted = logits_before[i] - 0.1 * mean / (spread.sqrt() + 1e-8)
            torch.testing.assert_close(node.detach(), wanted, rtol=1e-4, atol=1e-6)
        norm = torch.cat([weight.grad.flatten() for weight in weights]).norm()
        assert metrics["gradient_norm"] > 0.05
        assert float(norm) == pytest.approx(0.05, rel=1e-3)
        rate = 0.02 + 0.08 * (1 + math.cos(math.pi * step / 4)) / 2
        assert search.learning_rate() == pytest.approx(rate)
        for i, weight in enumerate(weights):
            velocity[i] = 0.9 * velocity[i] + weight.grad + 0.01 * weights_before[i]
            torch.testing.assert_close(weight.detach(), weights_before[i] - rate * velocity[i], rtol=1e-5, atol=1e-6)


def test_only_one_childs_activations_live_at_a_time():
    """The peak of a step is that of training the largest of its children, within a tenth."""
    search, data = method(samples=5, nodes=2, channels=8), streams(batch=32)
    ignore = [*search.network.parameters(), data["train"].images, data["search"].images]

    # All children count alike, so that all are trained.
    search._log_likelihood = lambda images, labels, children, **_: torch.zeros(len(children), dtype=torch.float64)
    children = {child.network(): search._graph(child) for child in drawn_by(search)}
    largest = 0
    for child in children.values():
        with MemoryMeter(ignore=ignore) as alone:
            answer(search.network, data["train"].next(), child).objective.backward()
        largest = max(largest, alone.peak)
    with MemoryMeter(ignore=ignore) as step:
        metrics = search.step(data)
    assert metrics["trained_children"] == len(children) > 4
    assert largest <= step.peak <= 1.1 * largest


def test_a_distribution_of_another_kind_or_size_is_refused():
    with pytest.raises(UsageError, match="cells of 3 nodes.*--nodes 3"):
        method().start_from(file_of(method(nodes=3)))
    trials = TrialsDistribution(cell_space("darts", 1), (), waiting=(method().distribution().mode(),))
    random = DistributionFile(trials, NOWHERE.model_copy(update={"method": "random"}))
    with pytest.raises(
        UsageError, match="parsec goes on with a categorical, not with a random search: give --method random"
    ):
        method().start_from(random)


@pytest.mark.parametrize(("mine", "theirs"), [("darts", "nas-bench-201"), ("nas-bench-201", "darts")])
def test_a_distribution_over_another_space_is_refused(mine, theirs):
    with pytest.raises(UsageError, match=f"over cells of the space {theirs}, .* of {mine}: give --space {theirs}$"):
        method(space=mine).start_from(file_of(method(space=theirs)))


@pytest.mark.parametrize("space", SPACES)
def test_logits_go_on_from_another_search(space):
    first = method(space=space)
    tilt(first)
    second = method(seed=9, channels=8, space=space)
    second.start_from(file_of(first))
    for a, b in zip(first.categoricals.logits, second.categoricals.logits, strict=True):
        assert torch.equal(a, b)
    assert np.isclose(second.health(streams())["entropy"], first.health(streams())["entropy"])


def of_text(search, text):
    """A child of NAS-Bench-201, and its graph in a search."""
    child = search._space.parse(text, "here")
    return child, search._graph(child)


def gradients_of(search, graph):
    """Logits of a child on a batch, and the gradient of the cross-entropy in every weight, by name."""
    images, labels = streams()["train"].next()
    logits = search.network(images, graph)
    names, weights = zip(*search.network.named_parameters(), strict=True)
    loss = F.cross_entropy(logits, labels)
    found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return logits.detach(), dict(zip(names, found, strict=True))


def test_none_is_drawn_as_often_as_any_other_operation():
    search = method(space="nas-bench-201", samples=5000)
    ops = [pick.op for child in drawn_by(search) for pick in child.picks()]
    share = ops.count("none") / len(ops)
    assert len(ops) == 6 * 5000
    assert share == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / len(ops)) ** 0.5)


@pytest.mark.parametrize("form", ["search", "derived"])
@pytest.mark.parametrize(
    "text",
    [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|",
        "|none~0|+|none~0|nor_conv_1x1~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",
    ],
    ids=["none-alone", "an-end-without-a-beginning", "a-middle-without-a-beginning"],
)
def test_a_child_without_any_path_answers_the_same_to_all_images_and_learns_what_it_can(form, text):
    """Its cells put out zeros: what is behind the last one is a bias alone, and the gradient is zero before it."""
    search = method(space="nas-bench-201", network=form)
    with torch.no_grad():
        search.network.norm.bias.copy_(torch.linspace(-1, 1, 16))
    _, graph = of_text(search, text)
    logits, gradients = gradients_of(search, graph)
    bias, classifier = search.network.norm.bias.detach(), search.network.classifier
    alone = F.linear(bias.relu(), classifier.weight, classifier.bias).detach()
    torch.testing.assert_close(logits, alone.expand(12, -1), rtol=1e-6, atol=1e-6)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    learning = {name for name, gradient in gradients.items() if gradient.any()}
    assert learning == {"norm.bias", "classifier.weight", "classifier.bias"}


def test_a_search_over_children_without_a_path_goes_on():
    search = method(space="nas-bench-201")
    assert {decision.options[0].op for decision in search._space.decisions()} == {"none"}
    decide(search, "cell")
    for _ in range(2):
        metrics = search.step(streams())
    assert all(value.isfinite() for value in metrics.values())
    assert metrics["distinct_children"] == 1
    assert all(weight.isfinite().all() for weight in search.network.parameters())
    assert all(logits.isfinite().all() for logits in search.categoricals.logits)


def test_what_lies_on_no_path_has_no_part_in_a_child():
    """Node 2 has no edge into it: the convolution behind it is not computed, and no other answer comes of it."""
    search = method(space="nas-bench-201")
    _, without = of_text(search, "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    _, useless = of_text(search, "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|nor_conv_1x1~2|")
    logits, _ = gradients_of(search, without)
    again, gradients = gradients_of(search, useless)
    assert torch.equal(again, logits)
    used = {name.split(".edges.")[1].split(".")[0] for name, g in gradients.items() if ".edges." in name and g.any()}
    assert used == {"0-3"}


@pytest.mark.parametrize("space", SPACES)
def test_the_warm_up_trains_one_uniform_child_a_step_and_the_distribution_rests(space):
    """However decided the distribution is from which a search goes on."""
    search, data = method(space=space, arch_warmup_epochs=2, steps_per_epoch=3, clip=0.0), streams()
    decide(search, *search._space.cells)
    before = [logits.detach().clone() for logits in search.categoricals.logits]
    drawn = set()
    for step in range(6):
        uniform = CategoricalDistribution.uniform(search._space)
        (choices,) = draw(uniform, 1, 0, "single path", step).tolist()
        drawn.add(search._space.genotype(choices).network())
        images, labels = data["train"].images, data["train"].labels
        loss = F.cross_entropy(search.network(images, search._graph(search._space.genotype(choices))), labels)
        weights = list(search.network.parameters())
        expected = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        metrics = search.step(data)
        assert float(metrics["train_loss"]) == pytest.approx(float(loss.detach()), rel=1e-6)
        for parameter, gradient in zip(weights, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        assert search.health(data)["architecture_frozen"]
    assert len(drawn) > 3
    assert (data["train"].position, data["search"].position) == (6, 0)
    assert all(map(torch.equal, before, search.categoricals.logits))
    start = CategoricalDistribution.uniform(search._space).total_entropy()
    assert search.health(data)["drift_entropy"] == pytest.approx(start)
    search.step(data)
    assert data["search"].position == 1
    health = search.health(data)
    assert not health["architecture_frozen"]
    assert health["drift_entropy"] < start


def test_centred_weights_take_the_mean_off_and_move_nothing_where_all_children_are_alike():
    """Sum over k of (w_k - 1/4) (onehot - softmax), by hand; without the option w_k in its place."""
    plain, centred = method(), method(centred_weights=True)
    for search in (plain, centred):
        tilt(search)
    draws, shares = draw(plain.distribution(), 4, 0, "children", 0), np.array([0.7, 0.2, 0.1, 0.0])
    rows = [row for logits in plain.categoricals.logits for row in logits.detach().double().softmax(1)]
    for search, weights in ((plain, shares), (centred, shares - 0.25)):
        search.categoricals.ascend(search.distribution(), draws, shares)
        found = [row for logits in search.categoricals.logits for row in logits.grad]
        for column, (row, gradient) in enumerate(zip(rows, found, strict=True)):
            onehot = F.one_hot(torch.from_numpy(draws[:, column].copy()), len(row)).double()
            by_hand = -(torch.from_numpy(weights)[:, None] * (onehot - row)).sum(0)
            torch.testing.assert_close(gradient.double(), by_hand, rtol=1e-5, atol=1e-7)
    still = method(centred_weights=True)
    still.categoricals.ascend(still.distribution(), draws, np.full(4, 0.25))
    assert not any(logits.any() for logits in still.categoricals.logits)


def test_the_drift_is_a_search_without_data(monkeypatch):
    """The same steps with equal likelihoods, whatever the images are."""
    search, blind, other = method(samples=3), method(samples=3), method(samples=3)
    blind._log_likelihood = lambda images, labels, children, **_: torch.zeros(len(children), dtype=torch.float64)
    monkeypatch.setattr(blind, "_draw", lambda now: draw(now, 3, 0, "drift", blind.steps_done))
    for _ in range(2):
        search.step(streams())
        blind.step(streams())
        other.step({"search": Batches(7), "train": Batches(8)})
    drift = search.health(streams())["drift_entropy"]
    assert drift == blind.health(streams())["entropy"] == other.health(streams())["drift_entropy"]
    assert drift != search.health(streams())["entropy"]


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_drift_of_centred_weights_is_that_of_the_steps_weights_on_children_of_its_own(adaptive):
    """Equal weights would move nothing. As many children as the step has, however many these are."""
    search = method(samples=6, centred_weights=True, adaptive_samples=adaptive)
    tilt(search, 3.0)
    by_hand = method(samples=6, centred_weights=True).categoricals
    counts = []
    ascend = search.categoricals.ascend

    def spied(now, choices, weights):
        counts.append(len(weights))
        own = by_hand.distribution()
        by_hand.ascend(own, draw(own, len(weights), 0, "drift", search.steps_done), weights)
        ascend(now, choices, weights)

    search.categoricals.ascend = spied
    for _ in range(4):
        search.step(streams())
    assert search.health(streams())["drift_entropy"] == by_hand.distribution().total_entropy()
    assert by_hand.distribution().total_entropy() < CategoricalDistribution.uniform(search._space).total_entropy()
    assert (max(counts) < 6) is adaptive


def test_a_plain_drift_has_as_many_children_as_the_step():
    search = method(samples=6, adaptive_samples=True)
    tilt(search, 3.0)
    by_hand = method(samples=6).categoricals
    for number in range(3):
        count = search._sample_count(search.distribution())
        assert count < 6
        own = by_hand.distribution()
        by_hand.ascend(own, draw(own, count, 0, "drift", number), np.full(count, 1 / count))
        search.step(streams())
    assert search.health(streams())["drift_entropy"] == by_hand.distribution().total_entropy()


def test_a_drift_begins_where_the_distribution_does():
    first, second = method(), method()
    tilt(first)
    second.start_from(file_of(first))
    assert second.health(streams())["drift_entropy"] == pytest.approx(first.distribution().total_entropy(), rel=1e-6)


def test_a_warm_up_to_the_end_is_told():
    assert method(arch_warmup_epochs=9).notices == (
        f"the distribution will not learn: all {method()._plan.epochs} epochs are warm-up (--arch-warmup-epochs 9)",
    )
    assert method().notices == ()


def test_a_resumed_search_drifts_on():
    whole, begun, resumed = (method(arch_warmup_epochs=1, steps_per_epoch=2, samples=2) for _ in range(3))
    for _ in range(5):
        whole.step(streams())
    for _ in range(3):
        begun.step(streams())
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    for _ in range(2):
        resumed.step(streams())
    assert resumed.health(streams()) == whole.health(streams())
