import math

import pytest
import torch
import torch.nn.functional as F

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distribution import MixtureDistribution
from nascli.artifacts.provenance import Provenance
from nascli.config import settings_model
from nascli.core.methods.pc_darts import PcDarts
from nascli.core.methods.protocol import Plan
from nascli.core.runtime import Runtime
from nascli.errors import UsageError

DATA = DataInfo(
    dataset="digits",
    classes=("a", "b", "c"),
    channels=1,
    image_size=8,
    mean=(0.5,),
    std=(0.5,),
    train_images=64,
    test_images=0,
    fingerprint="",
)
NOBODY = Provenance(nascli="", stage="search", method=None, seed=None, config={}, data=None, made_from=None)


class Repeated:
    """A stream that gives one batch over and over, and counts."""

    def __init__(self, seed):
        draw = torch.Generator().manual_seed(seed)
        self.batch = torch.randn(6, 1, 8, 8, generator=draw), torch.randint(3, (6,), generator=draw)
        self.position = 0

    def next(self):
        self.position += 1
        return self.batch


def method(**given):
    small = {"layers": 3, "channels": 4, "nodes": 2, "partial_channels": 2, "clip": 0.0, "weight_decay": 0.0}
    settings = settings_model("pc-darts")(**{**small, **given}).model_dump()
    plan = Plan("pc-darts", DATA, epochs=4, steps_per_epoch=2, seed=0)
    return PcDarts(plan, Runtime(torch.device("cpu")), **settings)


def streams():
    return {"train": Repeated(1), "search": Repeated(2)}


def test_the_architecture_starts_at_a_thousandth_of_a_normal_draw():
    searched = method(nodes=8)
    values = torch.cat([t.detach().flatten() for t in (*searched.alpha.values(), *searched.beta.values())])
    assert values.std().item() == pytest.approx(1e-3, rel=0.1)
    assert abs(values.mean().item()) < 2e-4
    assert searched.alpha["normal"].shape == (44, 8)
    assert searched.beta["reduce"].shape == (44,)


def test_in_the_warm_up_only_the_weights_learn():
    searched, sources = method(arch_warmup_epochs=2), streams()
    before = searched.distribution(NOBODY)
    for _ in range(4):
        searched.step(sources)
    unchanged = searched.distribution(NOBODY)
    assert (before.alpha["normal"] == unchanged.alpha["normal"]).all()
    assert sources["search"].position == 0
    searched.step(sources)
    assert (before.alpha["normal"] != searched.distribution(NOBODY).alpha["normal"]).all()
    assert sources["search"].position == 1


def test_the_first_step_is_adam_on_the_search_loss_then_sgd_on_the_train_loss_at_the_new_architecture():
    """Both updates by hand, from gradients of the whole loss."""
    searched, sources = method(lr=0.1, lr_min=0.1, arch_lr=0.01, arch_weight_decay=0.001), streams()

    def loss(source, alpha, beta):
        operations = {cell: a.softmax(-1) for cell, a in alpha.items()}
        edges = {cell: torch.cat([b[:2].softmax(0), b[2:].softmax(0)]) for cell, b in beta.items()}
        images, labels = sources[source].batch
        return F.cross_entropy(searched.network(images, operations, edges), labels)

    alpha, beta = searched.alpha, searched.beta
    gradients = torch.autograd.grad(loss("search", alpha, beta), [*alpha.values(), *beta.values()])
    expected = []
    for parameter, gradient in zip([*alpha.values(), *beta.values()], gradients, strict=True):
        gradient = gradient + 0.001 * parameter.detach()
        # Adam's first step, its bias corrected: m / (sqrt(v) + eps) is g / (|g| + eps).
        expected.append(parameter.detach() - 0.01 * gradient / (gradient.abs() + 1e-8))
    names = ["normal", "reduce"]
    new_alpha, new_beta = dict(zip(names, expected[:2], strict=True)), dict(zip(names, expected[2:], strict=True))
    weights = dict(searched.network.named_parameters())
    slopes = torch.autograd.grad(loss("train", new_alpha, new_beta), list(weights.values()))
    wanted = {n: w.detach() - 0.1 * g for (n, w), g in zip(weights.items(), slopes, strict=True)}

    searched.step(sources)
    for cell in names:
        torch.testing.assert_close(searched.alpha[cell].detach(), new_alpha[cell], rtol=0, atol=1e-6)
        torch.testing.assert_close(searched.beta[cell].detach(), new_beta[cell], rtol=0, atol=1e-6)
    for name, value in wanted.items():
        torch.testing.assert_close(
            dict(searched.network.named_parameters())[name].detach(), value, rtol=1e-4, atol=1e-6
        )


def test_without_edge_normalisation_there_is_no_beta():
    searched = method(edge_normalization=False)
    searched.step(streams())
    found = searched.distribution(NOBODY)
    assert found.beta is None
    assert (found.edge_weights("normal") == 1).all()


def test_random_channels_change_with_every_step_and_not_with_the_repetition():
    losses = []
    for _ in range(2):
        searched, sources = method(channel_sampling="random", lr=0.0, arch_lr=0.0), streams()
        losses.append([float(searched.step(sources)["train_loss"]) for _ in range(3)])
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 3


def test_health_of_an_undecided_mixture_is_the_entropy_of_eight_operations():
    health = method().health({})
    assert health["edge_entropy_normal"] == pytest.approx(math.log(8), abs=1e-5)
    assert health["edge_entropy_reduce"] == pytest.approx(math.log(8), abs=1e-5)


def test_a_distribution_over_other_cells_is_refused():
    other = method(nodes=3).distribution(NOBODY)
    with pytest.raises(UsageError, match="--nodes 3"):
        method().start_from(other)


def test_k_must_divide_the_channels():
    with pytest.raises(UsageError, match="3.*4 channels"):
        method(partial_channels=3)


def test_start_from_takes_alpha_and_beta_over():
    learnt = method()
    for _ in range(3):
        learnt.step(streams())
    given: MixtureDistribution = learnt.distribution(NOBODY)
    fresh = method(channels=8)
    fresh.start_from(given)
    taken = fresh.distribution(NOBODY)
    for cell in ("normal", "reduce"):
        assert (taken.alpha[cell] == given.alpha[cell]).all()
        assert (taken.beta[cell] == given.beta[cell]).all()


def test_five_steps_are_adam_and_clipped_sgd_with_momentum_by_hand():
    """Both optimisers written out, over enough steps for their moments, the clipping and the schedule to show."""
    given = {"lr": 0.2, "lr_min": 0.05, "momentum": 0.9, "weight_decay": 0.01, "clip": 0.3}
    given |= {"arch_lr": 0.01, "arch_weight_decay": 0.001}
    searched, sources = method(**given), streams()
    network = method(**given).network
    alpha = {cell: a.detach().clone() for cell, a in searched.alpha.items()}
    beta = {cell: b.detach().clone() for cell, b in searched.beta.items()}
    weights = {name: w.detach().clone() for name, w in network.named_parameters()}
    first, second, velocity = {}, {}, {name: torch.zeros_like(w) for name, w in weights.items()}

    def gradients(source, of):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(weights[name])
        leaves = {("alpha", c): a.clone().requires_grad_() for c, a in alpha.items()}
        leaves |= {("beta", c): b.clone().requires_grad_() for c, b in beta.items()}
        operations = {c: leaves["alpha", c].softmax(-1) for c in alpha}
        edges = {c: torch.cat([leaves["beta", c][:2].softmax(0), leaves["beta", c][2:].softmax(0)]) for c in beta}
        images, labels = sources[source].batch
        loss = F.cross_entropy(network(images, operations, edges), labels)
        wanted = leaves if of == "architecture" else dict(network.named_parameters())
        return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))

    for step in range(5):
        for (kind, cell), gradient in gradients("search", "architecture").items():
            value = (alpha if kind == "alpha" else beta)[cell]
            gradient = gradient + 0.001 * value
            first[kind, cell] = 0.5 * first.get((kind, cell), 0) + 0.5 * gradient
            second[kind, cell] = 0.999 * second.get((kind, cell), 0) + 0.001 * gradient**2
            mean, spread = first[kind, cell] / (1 - 0.5 ** (step + 1)), second[kind, cell] / (1 - 0.999 ** (step + 1))
            value -= 0.01 * mean / (spread.sqrt() + 1e-8)
        slopes = gradients("train", "weights")
        norm = torch.cat([s.flatten() for s in slopes.values()]).norm()
        assert norm > 0.3
        rate = 0.05 + 0.15 * (1 + math.cos(math.pi * step / 8)) / 2
        for name, slope in slopes.items():
            velocity[name] = 0.9 * velocity[name] + slope * 0.3 / norm + 0.01 * weights[name]
            weights[name] = weights[name] - rate * velocity[name]
        searched.step(sources)
        assert searched.learning_rate() == pytest.approx(rate)

    for cell in ("normal", "reduce"):
        torch.testing.assert_close(searched.alpha[cell].detach(), alpha[cell], rtol=0, atol=2e-4)
        torch.testing.assert_close(searched.beta[cell].detach(), beta[cell], rtol=0, atol=2e-4)
    for name, parameter in searched.network.named_parameters():
        torch.testing.assert_close(parameter.detach(), weights[name], rtol=1e-2, atol=1e-4, msg=name)
