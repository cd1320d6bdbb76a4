import hashlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import nascli
from nascli.artifacts.genotypes.genotype import parse_genotype
from nascli.artifacts.genotypes.published import load
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.core.engine.reporter import Silent
from nascli.core.engine.sizing import derived_network, shape_of
from nascli.core.engine.train import TrainJob, _measured
from nascli.core.nn.build import build_network
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.errors import UsageError
from nascli.seeds import derive_seed
from nascli.spaces.network_settings import NetworkSettings
from tests.core.engine.kept import digits, genotype_file, mask_of, run_file
from tests.small_cells import SMALL_CELL

CPU = Runtime(torch.device("cpu"))
SMALL = {"dataset": "digits", "epochs": 3, "limit_train": 100, "batch_size": 25, "layers": 3, "channels": 4}
SETTINGS = NetworkSettings(layers=3, channels=4, stem="cifar", classes=10, image_channels=1, image_size=8)
GENOTYPE = parse_genotype(SMALL_CELL.encode(), "here").genotype
GRAPH = GENOTYPE.graph(SETTINGS)


SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def job(**given):
    config = nascli.TrainConfig(**{**SMALL, **given})
    return TrainJob(GENOTYPE, GRAPH, SETTINGS, config, open_data(config, device=CPU.device), CPU)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_first_step_is_sgd_on_the_smoothed_cross_entropy(weights):
    given = {"limit_train": 127, "validation": 0.2, "class_weights": weights}
    searched = job(lr=0.1, lr_min=0.1, weight_decay=0.01, clip=0.0, label_smoothing=0.1, **given)
    images, labels = job(**given)._stream.next()
    own = np.setdiff1d(np.arange(127), searched._held_out)  # those held out don't count
    counts = torch.bincount(torch.from_numpy(searched._data.train_labels[own]))
    assert len(set(counts.tolist())) > 1
    weight = len(own) / (10 * counts) if weights == "balanced" else torch.ones(10)
    reference = build_network(GRAPH, seed=derive_seed(0, "weights"))
    reference = reference.to(memory_format=torch.channels_last)
    logits = reference(images)
    log_p = logits.log_softmax(dim=1)
    target = 0.9 * F.one_hot(labels, 10) + 0.1 / 10
    loss = -(weight * target * log_p).sum() / weight[labels].sum()
    loss.backward()
    metrics = searched.step()
    assert float(metrics["train_loss"]) == pytest.approx(loss.item(), rel=1e-5)
    for (name, after), before in zip(searched.network.named_parameters(), reference.parameters(), strict=True):
        wanted = before.detach() - 0.1 * (before.grad + 0.01 * before.detach())
        torch.testing.assert_close(after.detach(), wanted, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("loss", [math.nan, math.inf, None])
def test_a_model_has_no_loss_that_is_not_finite(loss):
    kept = {"epoch": 1, "train_loss": 0.5, "validation_loss": loss, "seconds": 3.0}
    assert _measured(kept, {"epoch": 2}) == {"epoch": 1, "train_loss": 0.5, "epochs_done": 2}


def test_drop_path_grows_linearly_from_nothing_to_its_value():
    searched = job(drop_path=0.4, epochs=5)
    shares = []
    for epoch in range(5):
        searched.steps_done = epoch * searched.steps_per_epoch
        paths = searched._paths(5000)
        shares.append(0.0 if paths is None else float((paths == 0).float().mean()))
        if paths is not None:
            assert float(paths.mean()) == pytest.approx(1.0, abs=0.02)
    assert shares == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_held_out_images_are_not_trained_on_and_are_reported():
    searched = job(validation=0.2)
    assert searched.steps_per_epoch == 80 // 25
    searched.step()
    row = searched.epoch_metrics()
    assert 0 <= row["validation_accuracy"] <= 1
    assert not set(searched._held_out.tolist()) & set(searched._stream._indices.tolist())
    assert job().epoch_metrics() == {}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    def digest(seed):
        path = tmp_path / f"{seed}.safetensors"
        config = nascli.TrainConfig(seed=seed, drop_path=0.2, cutout=4, **{**SMALL, "epochs": 2})
        nascli.train(SMALL_CELL, config, nascli.Destination(path, overwrite=True))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    first = digest(1)
    assert digest(1) == first
    assert digest(2) != first


def test_the_tower_trains_and_stays_out_of_the_model():
    settings = {"layers": 3, "epochs": 1, "limit_train": 50, "batch_size": 25, "channels": 4}
    with_tower = nascli.TrainConfig(dataset="digits", image_size=32, auxiliary=0.4, **settings)
    model = nascli.train(SMALL_CELL, with_tower)
    assert not [name for name in model.value.weights if "auxiliary" in name]
    assert model.value.network.auxiliary is False

    without = nascli.train(SMALL_CELL, with_tower.model_copy(update={"auxiliary": 0.0}))
    assert without.value.weights.keys() == model.value.weights.keys()
    name = "stem.conv.weight" if "stem.conv.weight" in model.value.weights else next(iter(model.value.weights))
    assert (without.value.weights[name] != model.value.weights[name]).any()


def test_the_towers_loss_counts_with_its_weight():
    """Both losses from a network of the same seed, by hand; the step is along the gradient of their weighted sum."""
    settings = SETTINGS.model_copy(update={"image_size": 32, "auxiliary": True})
    config = nascli.TrainConfig(
        **{**SMALL, "image_size": 32, "auxiliary": 0.4, "lr": 0.1, "lr_min": 0.1, "clip": 0.0, "weight_decay": 0.0}
    )
    graph = GENOTYPE.graph(settings)
    data = open_data(config, device=CPU.device)
    trained, twin = (TrainJob(GENOTYPE, graph, settings, config, data, CPU) for _ in range(2))
    images, labels = twin._stream.next()
    reference = build_network(graph, derive_seed(0, "weights"), with_tower=True).to(memory_format=torch.channels_last)
    logits, auxiliary = reference(images, with_auxiliary=True)
    (F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)).backward()
    trained.step()
    for (name, after), before in zip(trained.network.named_parameters(), reference.named_parameters(), strict=True):
        wanted = before[1].detach() - 0.1 * before[1].grad
        torch.testing.assert_close(after.detach(), wanted, rtol=1e-3, atol=1e-6, msg=name)


def test_cutout_reaches_the_images():
    plain, cut = job(), job(cutout=4)
    images = plain._stream.next()[0]
    holes = (cut._stream.next()[0] == 0).float().mean() - (images == 0).float().mean()
    # The mean area of a 4x4 square around a uniform centre that lies within an 8x8 image, as a share of the image.
    inside = (sum(min(8, c + 2) - max(0, c - 2) for c in range(8)) / 8) ** 2 / 64
    assert float(holes) == pytest.approx(inside, abs=0.06)


def test_a_training_restored_in_mid_epoch_goes_on_to_the_bit():
    settings = {"drop_path": 0.3, "cutout": 4, "epochs": 4, "sampling": "balanced"}
    whole = job(**settings)
    for _ in range(6):
        whole.step()
    saved = checkpoint_bytes(whole.state_dict())
    expected = [{k: float(v) for k, v in whole.step().items()} for _ in range(3)]
    resumed = job(**settings)
    resumed.load_state_dict(load_checkpoint(saved, "saved"))
    assert [{k: float(v) for k, v in resumed.step().items()} for _ in range(3)] == expected
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor), name


def test_the_rate_falls_to_its_end():
    trained = job(lr=0.1, lr_min=0.0, epochs=3)
    rates = []
    for _ in range(3 * trained.steps_per_epoch):
        trained.step()
        rates.append(trained._weights.optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.1)
    assert rates[6] == pytest.approx(0.05)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.003


def test_a_step_of_a_network_of_channels_by_hand():
    """ENAS's cells with half of their channels: tower, dropped paths, Nesterov and the rate of a restarted cosine."""
    run = run_file(digits(limit_train=50, image_size=32), "enas")
    genotype = genotype_file(run, mask_of(run)).value.genotype
    given = {
        "dataset": "digits",
        "method": "pgnas",
        "space": "enas",
        "limit_train": 50,
        "image_size": 32,
        "batch_size": 8,
        "epochs": 9,
        "lr": 0.1,
        "lr_min": 0.02,
        "schedule": "restarts",
        "restart_epochs": 2,
        "restart_factor": 2,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
        "clip": 0.0,
        "drop_path": 0.4,
        "auxiliary": 0.3,
    }
    config = nascli.TrainConfig(**given)
    data = open_data(config, device=CPU.device)
    settings, graph = derived_network(genotype, config, shape_of(data.info))
    assert settings.auxiliary
    trained, twin = (TrainJob(genotype, graph, settings, config, data, CPU) for _ in range(2))
    first = trained.steps_done = 3 * trained.steps_per_epoch  # one epoch into the second cycle, which has four
    images, labels = twin._stream.next()
    reference = build_network(graph, derive_seed(0, "weights"), with_tower=True).to(memory_format=torch.channels_last)
    assert reference.path_count > 0
    draw = torch.Generator().manual_seed(derive_seed(0, "drop_path", first))
    paths = (torch.rand(reference.path_count, 8, generator=draw) >= 0.4 * 3 / 8).float() / (1 - 0.4 * 3 / 8)
    logits, auxiliary = reference(images, paths, with_auxiliary=True)
    (F.cross_entropy(logits, labels) + 0.3 * F.cross_entropy(auxiliary, labels)).backward()
    rate = 0.02 + 0.08 * (1 + math.cos(math.pi / 4)) / 2
    trained.step()
    for (name, after), before in zip(trained.network.named_parameters(), reference.parameters(), strict=True):
        gradient = (0.0 if before.grad is None else before.grad) + 0.01 * before.detach()
        wanted = before.detach() - rate * (gradient + 0.9 * gradient)
        torch.testing.assert_close(after.detach(), wanted, rtol=1e-3, atol=1e-5, msg=name)


def test_a_network_of_another_space_is_trained_by_the_space_of_its_genotype():
    """NAS-Bench-201: layers in three stages, and no place for a tower."""
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    config = nascli.TrainConfig(**{**SMALL, "space": "nas-bench-201", "epochs": 1, "auxiliary": 0.4})
    reporter = Silent()
    notes = []
    reporter.notice = notes.append
    model = nascli.train(text, config, reporter=reporter)
    assert notes[:1] == ["trained without an auxiliary tower: there is no place for one in this network"]
    assert model.value.genotype.space == "nas-bench-201"
    convolutions = {name for name in model.value.weights if name.startswith("cells.") and name.endswith("conv.weight")}
    assert convolutions == {
        f"cells.{layer}.edges.{edge}.conv.weight"
        for layer in range(3)
        for edge in ("0-1.nor_conv_3x3", "2-3.nor_conv_1x1")
    }
    # Cells of 4, 8 and 16 channels.
    assert [model.value.weights[f"cells.{layer}.edges.0-1.nor_conv_3x3.conv.weight"].shape for layer in range(3)] == [
        (4, 4, 3, 3), (8, 8, 3, 3), (16, 16, 3, 3),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="--layers is a multiple of 3, not 4"):
        nascli.train(text, config.model_copy(update={"layers": 4}))


def test_a_network_without_any_path_is_trained_to_one_answer():
    """Its cells put out zeros, so all images get the answer of the biases behind them."""
    config = nascli.TrainConfig(**{**SMALL, "space": "nas-bench-201", "epochs": 2, "force": True})
    model = nascli.train("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", config)
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answers = nascli.load_network(model)(images)
    torch.testing.assert_close(answers, answers[:1].expand(5, -1), rtol=1e-6, atol=1e-6)
    assert answers.isfinite().all()
    assert math.isfinite(model.value.metrics["train_loss"])


def test_a_recipe_is_not_used_for_cells_of_another_space():
    """`TrainConfig` takes its recipe before it has seen a genotype: that of the first space where none is named."""
    for given, genotype, way in (({}, SKIPS, "nas-bench-201"), ({"space": "nas-bench-201"}, "darts-v1", "darts")):
        with pytest.raises(UsageError, match=f"genotype is of {way}: give space='{way}'"):
            nascli.train(genotype, nascli.TrainConfig(**{**SMALL, **given}))


def test_sizes_are_for_networks_of_cells_and_only_for_them():
    run = run_file(digits(limit_train=50))
    channels, cells = genotype_file(run, mask_of(run)), load("darts-v1").genotype
    shape = shape_of(run.value.distribution.data)
    config = nascli.TrainConfig(dataset="digits", method="pgnas")
    settings, graph = derived_network(channels.value.genotype, config, shape)
    assert (settings, graph) == (shape, channels.value.genotype.graph(shape))
    for given in ({"layers": 5}, {"channels": 4}, {"stem": "cifar"}):
        with pytest.raises(UsageError, match=f"--{next(iter(given))}: sizes of a network of cells"):
            derived_network(channels.value.genotype, config.model_copy(update=given), shape)
    with pytest.raises(UsageError, match="the recipe pgnas/digits has no channels and no stem .*give --channels"):
        derived_network(cells, config.model_copy(update={"layers": 5}), shape)
