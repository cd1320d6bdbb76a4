import math

import pytest
import torch
import torch.nn.functional as F

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.trials import TrialsDistribution
from nascli.artifacts.provenance import Ancestor, Provenance
from nascli.core.methods.pgnas import WATCHED, Pgnas
from nascli.core.methods.protocol import Plan
from nascli.core.runtime import Runtime
from nascli.distributed.share import WHOLE
from nascli.errors import UsageError
from nascli.registry import SUPERNETS
from nascli.settings.pgnas import PgnasSettings
from nascli.supernets import stages_of, supernet

RUNTIME = Runtime(torch.device("cpu"))
CLASSES = ("a", "b", "c", "d")


class Batches:
    """A stream that gives one batch again and again."""

    def __init__(self, seed, batch=12, side=8):
        generator = torch.Generator().manual_seed(seed)
        self.batch_size, self.position = batch, 0
        self.images = torch.randn(batch, 1, side, side, generator=generator)
        self.labels = torch.randint(4, (batch,), generator=generator)
        self.all = torch.randn(batch + 3, 1, side, side, generator=generator)
        self.all_labels = torch.randint(4, (batch + 3,), generator=generator)

    def next(self, share=WHOLE):
        self.position += 1
        return self.images, self.labels

    def once(self, share=WHOLE):
        """Other images than `next` gives."""
        yield self.all[:7], self.all_labels[:7]
        yield self.all[7:], self.all_labels[7:]


def streams(**sizes):
    return {"train": Batches(1, **sizes), "held_out": Batches(2, **sizes)}


def images_of(side=8, **changes):
    return DataInfo(
        dataset="digits", classes=CLASSES, channels=1, image_size=side, mean=(0.0,), std=(1.0,), train_images=40,
        test_images=0, fingerprint="these",
    ).model_copy(update=changes)  # fmt: skip


def method(seed=0, data=None, epochs=3, steps_per_epoch=10, space="resnet-mb", **changes):
    settings = PgnasSettings(**{"width": 4, "depth": 1, "lr": 0.05, **changes})
    return Pgnas(Plan("pgnas", space, data or images_of(), epochs, steps_per_epoch, seed), RUNTIME, settings)


def posterior(pgnas, seed=0, held_out=0.1, stage="search", made_from=None, data=None):
    """What a search with these settings leaves in its file."""
    data = data or images_of()
    origin = Provenance(
        nascli="", stage=stage, method="pgnas", seed=seed, config={"settings": {"held_out": held_out}},
        data=data.description(), made_from=made_from,
    )  # fmt: skip
    return DistributionFile(pgnas.distribution(), origin)


def test_a_step_is_sgd_down_the_cross_entropy_and_the_penalty():
    """In plain formulas: one loop over the convolutions, with the masks of the step, and the logits at their rate."""
    pgnas = method(weight_prior=30.0, arch_lr_scale=7.0, momentum=0.0, effective_images=200.0)
    batch = streams()
    masks = pgnas.noise.module.relaxed(12, RUNTIME.generator(0, "masks", 0))
    fit = F.cross_entropy(pgnas.network(batch["train"].images, masks=masks), batch["train"].labels)
    penalty = torch.zeros(())
    for logit, conv in zip(pgnas.noise.learnt, pgnas.network.graph.masked, strict=True):
        weight = pgnas.network.get_submodule(conv).weight
        p, c = logit.sigmoid(), weight.shape[1]
        penalty = penalty + 30.0 * (1 - p) / 400 * weight.square().sum()
        penalty = penalty + c / 200 * (p * p.log() + (1 - p) * (1 - p).log())
    weights = dict(pgnas.network.named_parameters())
    gradients = torch.autograd.grad(fit + penalty, [*weights.values(), pgnas.noise.learnt])
    expected = [w - 0.05 * g for w, g in zip(weights.values(), gradients[:-1], strict=True)]
    logits = pgnas.noise.learnt - 7 * 0.05 * gradients[-1]

    fresh = method(weight_prior=30.0, arch_lr_scale=7.0, momentum=0.0, effective_images=200.0)
    metrics = fresh.step(batch)
    for (name, now), then in zip(fresh.network.named_parameters(), expected, strict=True):
        torch.testing.assert_close(now, then, rtol=1e-4, atol=1e-6, msg=name)
    torch.testing.assert_close(fresh.noise.learnt, logits, rtol=1e-4, atol=1e-6)
    assert metrics["train_loss"].item() == pytest.approx(fit.item(), rel=1e-5)
    assert metrics["penalty"].item() == pytest.approx(penalty.item(), rel=1e-4)
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
    assert metrics["gradient_norm"].item() == pytest.approx(norm, rel=1e-4)


def test_every_step_has_masks_of_its_own():
    pgnas = method(lr=0.0)
    losses = [pgnas.step(streams())["train_loss"].item() for _ in range(2)]
    assert losses[0] != losses[1]


def test_dropout_begins_as_the_settings_say():
    dropout = method(temperature=0.7, initial_dropout=0.3).noise.module
    assert dropout.temperature == 0.7
    assert dropout.probabilities().tolist() == pytest.approx([0.3] * len(dropout.logit))


def test_gradients_are_clipped_all_together():
    pgnas = method(clip=0.01, momentum=0.0, lr=1.0)
    parameters = [*pgnas.network.parameters(), *pgnas.noise.module.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    pgnas.step(streams())
    moved = [(now - then).square().sum().item() for now, then in zip(parameters, before, strict=True)]
    assert math.sqrt(sum(moved)) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("name", ["enas", "densenet121"])
def test_a_width_of_0_is_the_published_one(name):
    graph = method(space=name, width=0, data=images_of(side=32)).network.graph
    published = SUPERNETS[name].width
    assert graph == supernet(name, published, stages_of(name, 1), classes=4, image_channels=1, image_size=32)


def test_in_the_warm_up_the_weights_learn_and_p_waits_without_gathering_momentum():
    waiting, free = method(arch_warmup_epochs=1, steps_per_epoch=3, arch_lr_scale=1000.0), method()
    batch = streams()
    start = waiting.noise.learnt.detach().clone()
    first = waiting.network.get_parameter("stage0.block0.branch0.conv1.weight").detach().clone()
    for _ in range(3):
        waiting.step(batch)
        assert torch.equal(waiting.noise.learnt, start)
        assert waiting.health(batch)["architecture_frozen"]
    assert not torch.equal(waiting.network.get_parameter("stage0.block0.branch0.conv1.weight"), first)
    waiting.step(batch)
    assert not waiting.health(batch)["architecture_frozen"]
    # The first step of SGD with momentum is the gradient's alone, however many steps went before.
    moved = -1000 * waiting.learning_rate() * waiting.noise.learnt.grad
    assert moved.abs().max() > 0.01
    torch.testing.assert_close(waiting.noise.learnt.detach() - start, moved, rtol=1e-4, atol=1e-6)
    free.step(streams())
    assert not torch.equal(free.noise.learnt, start)


def test_the_effective_number_of_images_is_ten_times_theirs_unless_it_is_given():
    data = images_of(train_images=40)
    by_default, same, twice = (
        method(data=data, effective_images=number).step(streams())["penalty"].item() for number in (0.0, 400.0, 800.0)
    )
    assert by_default == same
    assert twice == pytest.approx(same / 2, rel=1e-5)


def test_p_stays_in_its_bounds_under_a_huge_rate():
    pgnas = method(arch_lr_scale=1e12)
    for _ in range(4):
        metrics = pgnas.step(streams())
        assert all(value.isfinite() for value in metrics.values())
    p = pgnas.noise.learnt.detach().double().sigmoid()
    assert 1e-6 <= p.min() < 1.001e-6
    assert p.max() <= 1 - 1e-6


def test_a_strong_prior_drops_channels_and_a_loss_that_needs_them_keeps_them():
    strong, weak = method(weight_prior=2000.0, arch_lr_scale=100.0), method(weight_prior=0.01, arch_lr_scale=100.0)
    batch = streams()
    for _ in range(8):
        strong.step(batch)
        weak.step(batch)
    shares = [each.health(batch)["kept_share"] for each in (strong, weak)]
    assert shares[0] < 0.6 < shares[1]


def test_health_is_that_of_the_whole_network_and_of_samples_on_the_held_out_images():
    pgnas, batch = method(initial_dropout=0.2), streams()  # not 0.5, where p and 1 - p are alike
    for _ in range(3):
        pgnas.step(batch)
    before = {name: value.clone() for name, value in pgnas.network.state_dict().items()}
    health = pgnas.health(batch)
    assert all(torch.equal(value, before[name]) for name, value in pgnas.network.state_dict().items())
    assert pgnas.network.training

    assert batch["held_out"].position == 0
    images, labels = batch["held_out"].all, batch["held_out"].all_labels
    masks = pgnas.noise.module.hard(WATCHED, RUNTIME.generator(0, "watched"))
    pgnas.network.eval()
    with torch.no_grad():
        # Trained with dropout that scales nothing, evaluated with inputs times 1 - p.
        kept = torch.cat(
            [
                1 - torch.sigmoid(logit).expand(group.size)
                for logit, group in zip(pgnas.noise.learnt, pgnas.network.graph.groups, strict=True)
            ]
        )
        whole = pgnas.network(images, masks=kept[None])
        drawn = [pgnas.network(images, masks=mask[None]) for mask in masks]
    assert health["supernet_loss"] == pytest.approx(F.cross_entropy(whole, labels).item(), rel=1e-5)
    assert health["supernet_accuracy"] == pytest.approx((whole.argmax(1) == labels).float().mean().item())
    losses = [F.cross_entropy(logits, labels).item() for logits in drawn]
    rights = [(logits.argmax(1) == labels).float().mean().item() for logits in drawn]
    assert health["sampled_loss"] == pytest.approx(sum(losses) / WATCHED, rel=1e-5)
    assert health["sampled_accuracy"] == pytest.approx(sum(rights) / WATCHED)
    sizes = [group.size for group in pgnas.network.graph.groups]
    p = pgnas.noise.learnt.detach().double().sigmoid().tolist()
    mean = sum(size * q for size, q in zip(sizes, p, strict=True)) / sum(sizes)
    assert [health[name] for name in ("kept_share", "drop_mean", "drop_min", "drop_max")] == pytest.approx(
        [1 - mean, mean, min(p), max(p)], rel=1e-5
    )


def test_the_distribution_has_the_networks_weights_and_is_independent_of_it():
    pgnas = method()
    pgnas.step(streams())
    found = pgnas.distribution()
    state = pgnas.network.state_dict()
    assert found.weights.keys() == state.keys()
    assert all((found.weights[name] == values.numpy()).all() for name, values in state.items())
    sizes = [group.size for group in found.graph.groups]
    p = torch.repeat_interleave(pgnas.noise.module.probabilities().detach(), torch.tensor(sizes))
    torch.testing.assert_close(torch.from_numpy(found.probabilities).float(), p)
    kept = {name: values.copy() for name, values in found.weights.items()}
    pgnas.step(streams())
    assert all((found.weights[name] == values).all() for name, values in kept.items())


def test_another_search_goes_on_with_logits_and_weights():
    pgnas = method()
    pgnas.step(streams())
    found = pgnas.distribution()
    other = method()
    other.start_from(posterior(pgnas))
    again = other.distribution()
    assert all((again.logits[name] == values).all() for name, values in found.logits.items())
    assert all((again.weights[name] == values).all() for name, values in found.weights.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 6}, "is of width 4, this search of width 6: give --width 4"),
        ({"depth": 2}, r"has \[1, 1, 1\] blocks per stage, this search \[2, 2, 2\]: give --depth 1"),
        (
            {"space": "resnet-mb-inflated"},
            "is for resnet-mb, this search for resnet-mb-inflated: give --space resnet-mb$",
        ),
        (
            {"data": images_of(side=12)},
            r"is for 4 classes and 1 x 8 x 8 images, this search for 4 classes and 1 x 12 x 12 images",
        ),
        ({"data": images_of(classes=("a", "b"))}, r"is for 4 classes .* this search for 2 classes"),
        ({"seed": 1}, r"would keep apart.*: keep the same ones apart with --seed 0 \(here 1\)$"),
        ({"held_out": 0.2}, r"--held-out 0.1 \(here 0.2\)$"),
        ({"data": images_of(train_images=30)}, r"--limit-train 40 \(here 30\)$"),
    ],
)
def test_what_does_not_go_together_is_told(changes, message):
    with pytest.raises(UsageError, match=message):
        method(**changes).start_from(posterior(method()))


def test_a_search_with_pooling_paths_goes_on_with_one_that_has_them():
    with_paths = {"space": "enas", "width": 4, "pooling_paths": True}
    start = posterior(method(**with_paths))
    assert start.distribution.pooling_paths
    assert start.distribution.sample(1, 1).pooling_paths
    with pytest.raises(UsageError, match="the posterior has pooling paths, this search none: give --pooling-paths"):
        method(**{**with_paths, "pooling_paths": False}).start_from(start)
    with pytest.raises(UsageError, match="no branch of resnet-mb pools"):
        method(pooling_paths=True)


def test_the_drop_prior_pulls_every_channel_towards_it():
    """Beside the paper's gradient of logit p, c / N p (1 - p) log((1 - u) / u)."""
    settings = {"momentum": 0.0, "effective_images": 200.0, "initial_dropout": 0.3}
    before = method(**settings).noise.learnt.detach().clone()
    moved = {}
    for u in (0.0, 0.1):
        pgnas = method(drop_prior=u, **settings)
        pgnas.step(streams())
        moved[u] = pgnas.noise.learnt.detach() - before
    sizes = torch.tensor([group.size for group in pgnas.network.graph.groups])
    pull = -0.05 * sizes / 200 * 0.3 * 0.7 * math.log(0.9 / 0.1)
    torch.testing.assert_close(moved[0.1] - moved[0.0], pull, rtol=1e-3, atol=1e-6)


def test_a_gaussian_step_is_sgd_down_the_cross_entropy_and_the_divergence():
    """In plain formulas, by the divergences of torch.distributions; the deviations learn on their own scale."""
    settings = {"noise": "gaussian", "weight_prior": 30.0, "momentum": 0.0, "effective_images": 200.0}
    pgnas, batch = method(**settings, arch_lr_scale=7.0), streams()
    scaled = pgnas.noise.learnt.detach().clone().requires_grad_()
    deviations = (scaled * pgnas.noise.module.scale).exp()
    weights = dict(pgnas.network.named_parameters())
    generator, noisy, divergence = RUNTIME.generator(0, "masks", 0), dict(weights), torch.zeros(())
    for sigma, conv in zip(deviations, pgnas.network.graph.masked, strict=True):  # each has one source
        weight = weights[f"{conv}.weight"]
        noisy[f"{conv}.weight"] = weight + sigma * torch.randn(weight.shape, generator=generator)
        own = torch.distributions.Normal(weight, sigma)
        divergence = divergence + torch.distributions.kl_divergence(own, torch.distributions.Normal(0, 30**-0.5)).sum()
    logits = torch.func.functional_call(pgnas.network, noisy, (batch["train"].images,))
    fit = F.cross_entropy(logits, batch["train"].labels)
    gradients = torch.autograd.grad(fit + divergence / 200, [*weights.values(), scaled])
    expected = [w.detach() - 0.05 * g for w, g in zip(weights.values(), gradients[:-1], strict=True)]

    fresh = method(**settings, arch_lr_scale=7.0)
    metrics = fresh.step(batch)
    for (name, now), then in zip(fresh.network.named_parameters(), expected, strict=True):
        torch.testing.assert_close(now, then, rtol=1e-4, atol=1e-6, msg=name)
    then = scaled.detach() - 7 * 0.05 * gradients[-1]
    torch.testing.assert_close(fresh.noise.learnt.detach(), then, rtol=1e-4, atol=1e-5)
    assert metrics["train_loss"].item() == pytest.approx(fit.item(), rel=1e-5)
    assert metrics["penalty"].item() == pytest.approx(divergence.item() / 200, rel=1e-4)


def test_gaussian_health_is_that_of_the_mean_and_of_samples():
    pgnas, batch = method(noise="gaussian", initial_dropout=0.3, effective_images=1e5), streams()
    pgnas.step(batch)
    before = {name: value.clone() for name, value in pgnas.network.state_dict().items()}
    health = pgnas.health(batch)
    assert all(torch.equal(value, before[name]) for name, value in pgnas.network.state_dict().items())
    assert pgnas.network.training
    images, labels = batch["held_out"].all, batch["held_out"].all_labels
    generator, losses = RUNTIME.generator(0, "watched"), []
    for number in range(1 + WATCHED):
        state = dict(before)
        for sigma, conv in zip(pgnas.noise.values().exp(), pgnas.network.graph.masked, strict=True):
            if number:
                weight = state[f"{conv}.weight"]
                state[f"{conv}.weight"] = weight + sigma * torch.randn(weight.shape, generator=generator)
        with torch.no_grad():
            logits = torch.func.functional_call(pgnas.network.eval(), state, (images,))
        losses.append(F.cross_entropy(logits, labels).item())
    assert health["supernet_loss"] == pytest.approx(losses[0], rel=1e-5)
    assert health["sampled_loss"] == pytest.approx(sum(losses[1:]) / WATCHED, rel=1e-5)
    # The deviations start at sqrt(0.3 / 0.7) of the weights' root mean square, and one step moves neither far.
    assert 0.5 < health["noise_min"] <= health["noise_mean"] <= health["noise_max"] < 0.8


def test_the_noise_of_a_start_must_be_that_of_the_search():
    pgnas = method(noise="gaussian")
    pgnas.step(streams())
    other = method(noise="gaussian")
    other.start_from(posterior(pgnas))
    theirs = pgnas.distribution()
    for name, values in other.distribution().log_deviations.items():
        assert values == pytest.approx(theirs.log_deviations[name], rel=1e-6)
    with pytest.raises(UsageError, match="learnt with the noise gaussian, this search has dropout: give --noise gaus"):
        method().start_from(posterior(pgnas))
    with pytest.raises(UsageError, match="learnt with the noise dropout, this search has gaussian: give --noise dro"):
        method(noise="gaussian").start_from(posterior(method()))


@pytest.mark.parametrize(
    "given",
    [{"drop_prior": 0.1}, {"pooling_paths": True}, {"temperature": 0.5}, {"weight_prior": 0.0}],
    ids=lambda given: next(iter(given)),
)
def test_what_makes_no_sense_with_gaussian_noise(given):
    with pytest.raises(ValueError, match=f"--{next(iter(given)).replace('_', '-')}: .*Gaussian noise"):
        PgnasSettings(noise="gaussian", **given)
    assert PgnasSettings(noise="gaussian", temperature=0.2, drop_prior=0.0).noise == "gaussian"


def test_other_images_of_the_same_shape_may_be_split_otherwise():
    method(seed=5, held_out=0.3, data=images_of(fingerprint="others")).start_from(posterior(method()))


def test_images_that_a_forebear_has_learnt_from_count_too():
    """Searched on these images, then finetuned on others, with another seed."""
    searched = posterior(method())
    parent = Ancestor(sha256="0" * 64, artifact="distribution", provenance=searched.provenance)
    others = images_of(fingerprint="others")
    tuned = posterior(method(), seed=3, stage="finetune", made_from=parent, data=others)
    with pytest.raises(UsageError, match=r"--seed 0 \(here 3\)"):
        method(seed=3).start_from(tuned)
    method(seed=0).start_from(tuned)


def test_other_kinds_of_distributions_are_refused():
    made_by_another = posterior(method()).provenance.model_copy(update={"method": "random"})
    other = DistributionFile(TrialsDistribution.__new__(TrialsDistribution), made_by_another)
    with pytest.raises(
        UsageError, match="pgnas goes on with a posterior, not with a random search: give --method random"
    ):
        method().start_from(other)


def test_the_tower_helps_the_search_and_stays_behind():
    """ENAS's network of one cell per stage, on images that the tower takes."""
    data = images_of(side=32)
    pgnas = method(data=data, space="enas", auxiliary=0.4, drop_path=0.3, epochs=2, steps_per_epoch=1, width=4)
    assert not pgnas.notices
    before = pgnas.network.auxiliary.classifier.weight.clone()
    for _ in range(2):  # in the last epoch, paths are dropped, too
        pgnas.step(streams(side=32, batch=4))
    assert not torch.equal(before, pgnas.network.auxiliary.classifier.weight)
    found = pgnas.distribution()
    assert not [name for name in found.weights if name.startswith("auxiliary.")]
    other = method(data=data, space="enas", auxiliary=0.4, width=4)
    other.start_from(posterior(pgnas, data=data))
    assert all(torch.equal(other.network.state_dict()[n], torch.from_numpy(v.copy())) for n, v in found.weights.items())


def test_the_towers_loss_counts_with_its_weight():
    moved = []
    for weight in (0.2, 0.4):
        pgnas = method(data=images_of(side=32), space="enas", auxiliary=weight, momentum=0.0)
        before = pgnas.network.auxiliary.classifier.weight.detach().clone()
        pgnas.step(streams(side=32, batch=4))
        moved.append(pgnas.network.auxiliary.classifier.weight.detach() - before)
    torch.testing.assert_close(moved[1], 2 * moved[0], rtol=1e-3, atol=1e-7)


def test_a_tower_without_a_place_is_told_and_left_out():
    pgnas = method(auxiliary=0.4)
    assert "without an auxiliary tower" in pgnas.notices[0]
    pgnas.step(streams())


def test_paths_are_dropped_more_and_more():
    pgnas = method(data=images_of(), space="enas", width=4, drop_path=0.5, epochs=3, steps_per_epoch=2)
    assert pgnas._paths(200) is None
    shares = []
    for pgnas.steps_done in (2, 4):
        shares.append((pgnas._paths(200) == 0).float().mean().item())
    assert shares == pytest.approx([0.25, 0.5], abs=0.05)


def test_a_warm_up_without_an_end_is_told():
    assert method(arch_warmup_epochs=3).notices == (
        "p never learns: all 3 epochs are warm-up (--arch-warmup-epochs 3)",
    )
    assert method(arch_warmup_epochs=2).notices == ()


def test_the_rate_falls_by_the_schedule_that_is_asked_for():
    stairs = method(schedule="milestones", lr_milestones="1,2", lr=1.0)
    rates = []
    for stairs.steps_done in (1, 10, 11, 21):
        rates.append(stairs.learning_rate())
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.01])
    # Cycles of one epoch and of three, from 1 to 0.2: their middles, and the beginnings.
    waves = method(schedule="restarts", restart_epochs=1, restart_factor=3, lr=1.0, lr_min=0.2, epochs=4)
    rates = []
    for waves.steps_done in (1, 6, 11, 26):
        rates.append(waves.learning_rate())
    assert rates == pytest.approx([1.0, 0.6, 1.0, 0.6])
    with pytest.raises(UsageError, match="--lr-milestones: give some"):
        method(schedule="milestones")
    with pytest.raises(UsageError, match="rising epochs"):
        method(lr_milestones="2,1")
    with pytest.raises(UsageError, match="--nesterov"):
        method(nesterov=True, momentum=0.0)
