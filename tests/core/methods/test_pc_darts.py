import math

import pytest
import torch
import torch.nn.functional as F

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.core.methods.pc_darts import PcDarts
from nascli.core.methods.protocol import Plan
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.mixed_network import MixedNetwork
from nascli.core.runtime import Runtime
from nascli.distributed.share import WHOLE
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.settings import settings_class
from nascli.settings.mixture import DartsSettings, PcDartsSettings
from nascli.spaces import cell_space
from nascli.spaces.darts import Darts
from nascli.spaces.network_settings import NetworkSettings
from tests.core.nn.oracle import Oracle

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
LARGE = DATA.model_copy(update={"image_size": 32})  # as CIFAR: the auxiliary tower fits
CPU = Runtime(torch.device("cpu"))
NOBODY = Provenance(nascli="", stage="search", method=None, seed=None, config={}, data=None, made_from=None)


class Repeated:
    """A stream that gives one batch over and over, and counts."""

    def __init__(self, seed, side=8):
        draw = torch.Generator().manual_seed(seed)
        self.batch = torch.randn(6, 1, side, side, generator=draw), torch.randint(3, (6,), generator=draw)
        self.position = 0

    def next(self, share=WHOLE):
        self.position += 1
        return self.batch


def method(*, data=DATA, runtime=CPU, order=1, space="darts", **given):
    small = {"layers": 3, "channels": 4, "partial_channels": 2, "clip": 0.0, "weight_decay": 0.0}
    small["nodes"] = 1 if space == "darts" else 0
    of_pc_darts = PcDartsSettings().model_dump()
    settings = DartsSettings(**{**of_pc_darts, **small, **given, "order": order})
    plan = Plan("pc-darts", space, data, epochs=4, steps_per_epoch=2, seed=0)
    return PcDarts(plan, runtime, settings)


def file_of(searched):
    """What a search has learnt, as the file that another one starts from."""
    return DistributionFile(searched.distribution(), NOBODY)


def streams(side=8):
    return {"train": Repeated(1, side), "search": Repeated(2, side)}


def values(searched):
    """Everything that a step may change, but for the optimisers."""
    state = searched.state_dict()
    named = {f"{kind}.{cell}": t for kind in ("alpha", "beta") for cell, t in (state[kind] or {}).items()}
    return {name: tensor.detach().clone() for name, tensor in {**state["network"], **named}.items()}


def differing(first, second):
    return {name for name in first if not torch.equal(first[name], second[name])}


def test_the_architecture_starts_at_a_thousandth_of_a_normal_draw():
    searched = method(nodes=8)
    values = torch.cat([t.detach().flatten() for t in (*searched.alpha.values(), *searched.beta.values())])
    assert values.std().item() == pytest.approx(1e-3, rel=0.1)
    assert abs(values.mean().item()) < 2e-4
    assert searched.alpha["normal"].shape == (44, 8)
    assert searched.beta["reduce"].shape == (44,)


def test_in_the_warm_up_only_the_weights_learn():
    searched, sources = method(arch_warmup_epochs=1), streams()
    before = searched.distribution()
    for _ in range(2):
        searched.step(sources)
    unchanged = searched.distribution()
    assert (before.alpha["normal"] == unchanged.alpha["normal"]).all()
    assert sources["search"].position == 0
    assert searched.health(sources)["architecture_frozen"], "the last epoch of the warm-up is one of it"
    searched.step(sources)
    assert not searched.health(sources)["architecture_frozen"]
    assert (before.alpha["normal"] != searched.distribution().alpha["normal"]).all()
    assert sources["search"].position == 1


def test_the_first_step_is_adam_on_the_search_loss_then_sgd_on_the_train_loss_at_the_new_architecture():
    """Both updates by hand, from gradients of the whole loss."""
    searched, sources = method(nodes=2, lr=0.1, lr_min=0.1, arch_lr=0.01, arch_weight_decay=0.001), streams()

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
    found = searched.distribution()
    assert found.beta is None
    assert (found.edge_weights("normal") == 1).all()


def test_random_channels_change_with_every_step_and_not_with_the_repetition():
    losses = []
    for _ in range(2):
        searched, sources = method(channel_sampling="random", lr=0.0, arch_lr=0.0), streams()
        losses.append([float(searched.step(sources)["train_loss"]) for _ in range(2)])
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 2


def test_health_of_an_undecided_mixture_is_the_entropy_of_eight_operations():
    health = method().health({})
    assert health["edge_entropy/normal"] == pytest.approx(math.log(8), abs=1e-5)
    assert health["edge_entropy/reduce"] == pytest.approx(math.log(8), abs=1e-5)
    assert method(space="nas-bench-201").health({})["edge_entropy/cell"] == pytest.approx(math.log(5), abs=1e-5)


def test_a_distribution_over_other_cells_is_refused():
    with pytest.raises(UsageError, match="--nodes 3"):
        method().start_from(file_of(method(nodes=3)))
    for mine, theirs in (("darts", "nas-bench-201"), ("nas-bench-201", "darts")):
        with pytest.raises(UsageError, match=f"over cells of the space {theirs}, .* of {mine}: give --space {theirs}$"):
            method(space=mine).start_from(file_of(method(space=theirs)))


def test_k_must_divide_the_channels():
    with pytest.raises(UsageError, match="3.*4 channels"):
        method(partial_channels=3)


def test_start_from_takes_alpha_and_beta_over():
    learnt = method()
    learnt.step(streams())
    given = learnt.distribution()
    fresh = method(channels=8)
    fresh.start_from(file_of(learnt))
    assert fresh.notices == ()
    taken = fresh.distribution()
    for cell in ("normal", "reduce"):
        assert (taken.alpha[cell] == given.alpha[cell]).all()
        assert (taken.beta[cell] == given.beta[cell]).all()


def test_three_steps_are_adam_and_clipped_sgd_with_momentum_by_hand():
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
        edges = {c: leaves["beta", c].softmax(0) for c in beta}
        images, labels = sources[source].batch
        loss = F.cross_entropy(network(images, operations, edges), labels)
        wanted = leaves if of == "architecture" else dict(network.named_parameters())
        return dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))

    for step in range(3):
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


@pytest.mark.parametrize("sampling", ["first", "random"])
def test_the_second_order_is_the_papers_equations_on_the_per_edge_network(sampling):
    """Eq. 7 and 8 on functions of named weights, nothing in place; two steps, so that there is a momentum."""
    given = {"lr": 0.3, "lr_min": 0.05, "momentum": 0.9, "weight_decay": 0.01, "clip": 0.01, "arch_lr": 0.02}
    searched, sources = method(order=2, channel_sampling=sampling, **given), streams()
    searched.network.double()
    architecture = [*searched.alpha.values(), *searched.beta.values()]
    for tensor in architecture:
        tensor.data = tensor.data.double()
    for source in sources.values():
        source.batch = source.batch[0].double(), source.batch[1]
    oracle = Oracle(
        operations=Darts.operations, nodes=1, layers=3, channels=4, stem="cifar", classes=3, image_channels=1,
        partial_channels=2,
    ).double()  # fmt: skip
    size = NetworkSettings(layers=3, channels=4, stem="cifar", classes=3, image_channels=1, image_size=8)
    velocity = None

    for step in range(2):
        oracle.copy_from(searched.network)
        weights = {name: weight.detach().clone().requires_grad_() for name, weight in oracle.named_parameters()}
        channels = {"train": None, "search": None}
        if sampling == "random":
            for name in channels:
                draw = torch.Generator().manual_seed(derive_seed(0, "channels", name, step))
                channels[name] = searched.network.draw_channels(draw)
        operations = {cell: alpha.softmax(-1) for cell, alpha in searched.alpha.items()}
        edges = {cell: beta.softmax(0) for cell, beta in searched.beta.items()}

        arguments = {name: (source.batch[0], operations, edges, channels[name]) for name, source in sources.items()}

        def gradients(name, at, of, arguments=arguments):
            logits = torch.func.functional_call(oracle, at, arguments[name])
            labels = sources[name].batch[1]
            return torch.autograd.grad(F.cross_entropy(logits, labels), of, retain_graph=True)

        rate = 0.05 + 0.25 * (1 + math.cos(math.pi * step / 8)) / 2
        slopes = gradients("train", weights, list(weights.values()))
        changes = [slope + 0.01 * weight.detach() for slope, weight in zip(slopes, weights.values(), strict=True)]
        if velocity is not None:
            changes = [change + 0.9 * velocity[name] for change, name in zip(changes, weights, strict=True)]
        pairs = zip(weights.items(), changes, strict=True)
        moved = {name: (weight - rate * change).detach().requires_grad_() for (name, weight), change in pairs}
        along = gradients("search", moved, [*architecture, *moved.values()])
        vector = dict(zip(weights, along[len(architecture) :], strict=True))
        epsilon = 0.01 / torch.cat([part.flatten() for part in vector.values()]).norm()
        plus = gradients("train", {n: w + epsilon * vector[n] for n, w in weights.items()}, architecture)
        minus = gradients("train", {n: w - epsilon * vector[n] for n, w in weights.items()}, architecture)
        wanted = [g - rate * (p - m) / (2 * epsilon) for g, p, m in zip(along, plus, minus, strict=False)]

        searched.step(sources)
        for tensor, gradient in zip(architecture, wanted, strict=True):
            torch.testing.assert_close(tensor.grad, gradient, rtol=1e-6, atol=1e-9)
        # The optimiser's momentum, from the fused network's parameters to the weights' names.
        twin = MixedNetwork(cell_space("darts", 1), size, partial_channels=2).double()
        state = searched._weights.optimizer.state
        with torch.no_grad():
            for parameter, own in zip(twin.parameters(), searched.network.parameters(), strict=True):
                parameter.copy_(state[own]["momentum_buffer"])
        velocity = twin.state_dict()


@pytest.mark.parametrize("sampling", ["first", "random"])
def test_looking_ahead_leaves_no_trace_in_weights_and_running_statistics(sampling):
    """With an architecture that stands still, steps of second order are those of a warm-up, to the bit."""
    given = {"channel_sampling": sampling, "clip": 5.0, "weight_decay": 1e-3}
    ahead, plain = method(order=2, arch_lr=0.0, **given), method(arch_warmup_epochs=3, **given)
    for _ in range(2):
        second, first = ahead.step(streams()), plain.step(streams())
        assert torch.equal(second["train_loss"], first["train_loss"])
        assert torch.equal(second["gradient_norm"], first["gradient_norm"])
    assert not differing(values(ahead), values(plain))


def test_second_order_draws_one_batch_of_each_stream_and_none_in_the_warm_up():
    searched, sources = method(order=2, arch_warmup_epochs=1), streams()
    assert "search_loss" not in searched.step(sources)
    searched.step(sources)
    assert (sources["train"].position, sources["search"].position) == (2, 0)
    assert searched.step(sources)["search_loss"].isfinite()
    assert (sources["train"].position, sources["search"].position) == (3, 1)


def test_without_a_rate_to_look_ahead_by_the_second_order_is_the_first():
    """xi = 0 (Liu et al., Section 2.3)."""
    first, second = (method(order=order, lr=0.0, lr_min=0.0) for order in (1, 2))
    for searched in (first, second):
        searched.step(streams())
    statistics = ("running_mean", "running_var", "num_batches_tracked")  # what second order's passes leave alone
    assert not {name for name in differing(values(first), values(second)) if not name.endswith(statistics)}
    assert not torch.equal(first.alpha["normal"], method().alpha["normal"])


def test_second_order_with_cells_computed_twice_is_the_same():
    kept, recomputed = (method(order=2, recompute=recompute) for recompute in (False, True))
    for searched in (kept, recomputed):
        searched.step(streams())
    assert not differing(values(kept), values(recomputed))


def test_a_second_order_search_goes_on_from_its_state_to_the_bit():
    given = {"order": 2, "channel_sampling": "random", "clip": 5.0, "weight_decay": 1e-3}
    whole = method(**given)
    whole.step(streams())
    saved = checkpoint_bytes(whole.state_dict())
    resumed = method(**given)
    resumed.load_state_dict(load_checkpoint(saved, "saved"))
    for searched in (whole, resumed):
        searched.step(streams())
    assert not differing(values(whole), values(resumed))


def test_in_half_precision_the_two_passes_whose_difference_counts_are_exact(monkeypatch):
    """In bfloat16 nothing would be left of the step between them."""
    used = []

    def recorded(name, context):
        def record(runtime):
            used.append(name)
            return context(runtime)

        monkeypatch.setattr(Runtime, name, record)

    recorded("autocast", Runtime.autocast)
    recorded("full_precision", Runtime.full_precision)
    searched = method(order=2, runtime=Runtime(torch.device("cpu"), "bf16"))
    assert all(value.isfinite() for value in searched.step(streams()).values())
    assert used == ["autocast", "autocast", "full_precision", "full_precision", "autocast"]


def test_second_order_and_scaled_gradients_are_refused():
    with pytest.raises(UsageError, match="use bf16 or fp32"):
        method(order=2, runtime=Runtime(torch.device("cpu"), "fp16"))


def test_order_is_a_setting_of_darts_alone():
    names = {name: set(settings_class(name).model_fields) for name in ("darts", "pc-darts")}
    assert "order" in names["darts"] - names["pc-darts"]
    assert DartsSettings().order == 1


def test_the_tower_teaches_the_weights_below_it_and_nothing_else():
    """Its loss counts only in the weights' step, not in the architecture's or in the losses that are reported."""
    with_tower, without = (method(data=LARGE, layers=4, auxiliary=auxiliary) for auxiliary in (0.4, 0.0))
    tower = with_tower.network.auxiliary.classifier.weight.detach().clone()
    rows = [searched.step(streams(side=32)) for searched in (with_tower, without)]
    for name in ("search_loss", "train_loss"):
        assert torch.equal(rows[0][name], rows[1][name])
    changed = differing(values(without), values(with_tower))
    # Reductions at 1 and 2: the tower reads cell 2.
    assert {name.split(".")[1] for name in changed if name.startswith("cells")} == {"0", "1", "2"}
    assert any(name.startswith("stem") for name in changed)
    assert not any(name.startswith(("classifier", "alpha", "beta", "cells.3")) for name in changed)
    assert not torch.equal(with_tower.network.auxiliary.classifier.weight, tower)


def test_the_step_of_second_order_takes_the_tower_into_account():
    """The look-ahead uses the loss that the weights descend: another step gives another gradient."""
    found = []
    for auxiliary in (0.0, 0.4):
        searched = method(data=LARGE, order=2, auxiliary=auxiliary)
        searched.step(streams(side=32))
        found.append(searched.alpha["normal"].grad)
    assert not torch.allclose(*found, rtol=1e-2)


def test_maps_without_room_for_a_tower_go_without_and_say_so():
    searched = method(auxiliary=0.4)
    assert searched.network.auxiliary is None
    assert searched.notices == (
        "searched without an auxiliary tower: the auxiliary tower needs images of 29 to 40 pixels a side",
    )
    assert set(searched.step(streams())) >= {"train_loss", "search_loss"}
    assert method(data=LARGE, auxiliary=0.4).notices == ()


@pytest.mark.parametrize(("mine", "theirs", "words"), [(True, False, "start anew"), (False, True, "left behind")])
def test_beta_on_one_side_only_is_worth_a_notice(mine, theirs, words):
    learnt = method(edge_normalization=theirs)
    given = learnt.distribution()
    fresh = method(edge_normalization=mine)
    before = None if fresh.beta is None else fresh.beta["normal"].detach().clone()
    fresh.start_from(file_of(learnt))
    [notice] = fresh.notices
    assert words in notice
    assert "beta" in notice
    assert (fresh.distribution().alpha["normal"] == given.alpha["normal"]).all()
    if mine:
        assert torch.equal(fresh.beta["normal"], before)


def test_a_distribution_that_is_no_mixture_is_refused_with_the_method_that_takes_it():
    other = CategoricalDistribution.uniform(cell_space("darts", 2))
    by_parsec = NOBODY.model_copy(update={"method": "parsec"})
    whole = "^pc-darts goes on with a mixture, not with a categorical: give --method parsec$"
    with pytest.raises(UsageError, match=whole):
        method().start_from(DistributionFile(other, by_parsec))
    with pytest.raises(UsageError, match="not with a categorical$"):
        method().start_from(DistributionFile(other, NOBODY))


def decide(searched, text):
    """Give the operations of a cell of NAS-Bench-201 all the weight; from here on in float64."""
    searched.network.double()
    space = cell_space("nas-bench-201")
    for row, pick in enumerate(space.parse(text, "here").picks()):
        searched.alpha["cell"].data[row] = torch.tensor([1e4 * (op == pick.op) for op in space.operations])
    searched.alpha["cell"].data = searched.alpha["cell"].data.double()


def alone(searched, genotype):
    """The network of a genotype with the search's weights; scales and shifts, which that has none of, as they start."""
    network = GraphNetwork(
        genotype.graph(searched._plan.network_settings(PcDartsSettings(layers=3, channels=4)))
    ).double()
    missing, _ = network.load_state_dict(searched.network.state_dict(), strict=False)
    assert missing
    assert all(name.startswith("cells.") and name.endswith((".norm.weight", ".norm.bias")) for name in missing)
    return network


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|",
        "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|",
        "|nor_conv_1x1~0|+|avg_pool_3x3~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    ],
    ids=["without-none", "with-two", "with-one"],
)
def test_a_mixture_that_has_decided_is_the_network_that_it_derives(text):
    """With a weight of 1 on one operation of every edge; by the statistics of the batch and by the running ones."""
    searched = method(space="nas-bench-201", partial_channels=1, edge_normalization=False)
    searched.step(streams())
    decide(searched, text)
    found = searched.distribution().mode()
    assert cell_space("nas-bench-201").format(found).strip() == text
    network = alone(searched, found)
    images = streams()["train"].batch[0].double()
    for training in (True, False):
        searched.network.train(training)
        network.train(training)
        with torch.no_grad():
            torch.testing.assert_close(searched.logits(images), network(images), rtol=0, atol=1e-9)
    fresh = GraphNetwork(network.graph).double()
    assert (fresh(images) - network.train()(images)).abs().max() > 1e-3, "other weights say something else"


def test_a_decided_mixture_takes_nothing_from_a_node_without_a_path():
    """By the statistics of the batch: convolutions of zeros are zeros."""
    searched = method(space="nas-bench-201", partial_channels=1, edge_normalization=False)
    decide(searched, "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")
    images = streams()["train"].batch[0].double()
    network = alone(searched, searched.distribution().mode())
    torch.testing.assert_close(searched.logits(images), network(images), rtol=0, atol=1e-9)
