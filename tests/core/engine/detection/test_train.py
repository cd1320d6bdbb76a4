import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.load import load_artifact
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.config import DetectConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.detection.job import DetectJob
from nascli.core.engine.detection.train import plan_detector, train_detector
from nascli.core.engine.reporter import Silent
from nascli.core.nn.build import build_network
from nascli.core.nn.detector import build_detector
from nascli.errors import UsageError
from nascli.spaces.network_settings import NetworkSettings
from tests.core.engine.kept import genotype_file, mask_of, run_file
from tests.data.scenes.folders import document, simple, write
from tests.small_cells import SMALL_CELL

CELL = SMALL_CELL
TINY = {"dataset": "coco", "space": "darts", "image_size": 32, "layers": 3, "channels": 2, "extra_channels": 4}
TINY |= {"epochs": 2, "batch_size": 2, "workers": 0, "device": "cpu"}


class Notices(Silent):
    def __init__(self):
        self.texts = []

    def notice(self, text):
        self.texts.append(text)


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def config(root, **given):
    return DetectConfig(**{**TINY, "data_dir": root, **given})


def test_a_run_that_is_killed_and_resumed_ends_in_the_same_bytes(tmp_path, monkeypatch):
    simple(tmp_path / "data", train=6)
    given = config(tmp_path / "data", augmentation="ssd")
    train_detector(CELL, given, Destination(tmp_path / "whole.safetensors"))
    killed, step = Destination(tmp_path / "killed.safetensors"), DetectJob.step

    def dies(job):
        if job.steps_done == 4:  # in the second epoch: the checkpoint is of the end of the first
            raise Killed
        return step(job)

    monkeypatch.setattr(DetectJob, "step", dies)
    with pytest.raises(Killed):
        train_detector(CELL, given, killed)
    assert not (tmp_path / "killed.safetensors").exists()
    monkeypatch.setattr(DetectJob, "step", step)
    resumed = Destination(killed.output, resume=True)
    train_detector(CELL, given, resumed)
    assert (tmp_path / "killed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    notices = Notices()
    train_detector(CELL, given, resumed, notices)
    assert notices.texts == ["this run is complete: nothing to resume"]
    with pytest.raises(UsageError, match="with other settings|is of another run"):
        train_detector(CELL, config(tmp_path / "data", augmentation="none"), resumed)


def images_of(classes):
    """Colour images of 32 pixels."""
    return DataInfo(
        dataset="cifar10",
        classes=tuple(map(str, range(classes))),
        channels=3,
        image_size=32,
        mean=(0.3, 0.4, 0.5),
        std=(0.2, 0.2, 0.2),
        train_images=1,
        test_images=1,
        fingerprint="",
    )


def classifier(tmp_path, *, channels=2, genotype=CELL, classes=5):
    """A model with random weights, as a training would write it for images of 32 pixels and 5 classes."""
    found = load_artifact(genotype).value.genotype
    data = images_of(classes)
    settings = NetworkSettings(
        classes=classes, image_channels=3, image_size=32, layers=3, channels=channels, stem="imagenet"
    )
    weights = build_network(found.graph(settings), seed=7).state_dict()
    origin = load_artifact(genotype).provenance
    provenance = origin.model_copy(update={"stage": "train", "method": "darts"})
    content = model_bytes(ModelFile(weights, found, settings, data, {}, provenance))
    path = tmp_path / "classifier.safetensors"
    path.write_bytes(content)
    return path


def test_the_weights_of_a_classifier_are_inherited_and_told(tmp_path, monkeypatch):
    simple(tmp_path / "data")
    start = classifier(tmp_path)
    first = {}

    def remember(job, original=DetectJob.step):
        if not first:
            first.update({name: value.clone() for name, value in job.network.state_dict().items()})
        return original(job)

    monkeypatch.setattr(DetectJob, "step", remember)
    notices = Notices()
    given = config(tmp_path / "data", weights="inherited", epochs=1)
    result = train_detector(CELL, given, Destination(tmp_path / "d.safetensors"), notices, start=start)
    known = load_artifact(start).value.weights
    body = {name.removeprefix("backbone.body."): value for name, value in first.items() if "backbone.body" in name}
    assert len(body) == len(known) - 2 > 50
    for name, value in body.items():
        assert np.array_equal(value.numpy(), known[name]), name
    count = len(body)
    told = f"inherited from {start}: {count} of {count} tensors; 2 have no place here"  # the classifier's
    assert told in notices.texts
    assert result.value.data.mean == (0.3, 0.4, 0.5)  # which the weights expect
    assert result.provenance.weights_from.sha256 == load_artifact(start).sha256
    assert result.provenance.weights_from.artifact == "model"


def test_a_classifier_that_does_not_fit_and_other_files_are_refused(tmp_path):
    simple(tmp_path / "data")
    given = config(tmp_path / "data", weights="inherited")
    with pytest.raises(UsageError, match="give the --layers, --channels and --stem of that model"):
        train_detector(CELL, given, start=classifier(tmp_path, channels=6))
    with pytest.raises(UsageError, match="holds a distribution; a detector starts from a classifier"):
        train_detector(CELL, given, start=run_file(images_of(3)))
    with pytest.raises(UsageError, match="name it with --from"):
        train_detector(CELL, given)


def test_the_first_step_is_sgd_on_the_sum_of_both_losses(tmp_path):
    simple(tmp_path / "data")
    before, after = [], []

    class Watched(DetectJob):
        def step(self):
            images, targets = self._stream.next()
            self._stream.position = 0
            losses = self.network(list(images), targets)
            parameters = list(self.network.parameters())
            gradients = torch.autograd.grad(losses["classification"] + losses["bbox_regression"], parameters)
            before.extend((p.detach().clone(), g) for p, g in zip(parameters, gradients, strict=True))
            metrics = super().step()
            after.extend(p.detach() for p in parameters)
            total = float((losses["classification"] + losses["bbox_regression"]).detach())
            assert float(metrics["detection_loss"]) == pytest.approx(total, rel=1e-5)
            raise Killed

    given = config(tmp_path / "data", lr=0.1, weight_decay=0.01, lr_warmup_epochs=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nascli.core.engine.detection.train.DetectJob", Watched)
        with pytest.raises(Killed):
            train_detector(CELL, given)
    assert after
    for (weight, gradient), now in zip(before, after, strict=True):
        torch.testing.assert_close(now, weight - 0.1 * (gradient + 0.01 * weight), rtol=1e-4, atol=1e-6)


def test_the_rate_falls_with_every_step(tmp_path):
    """Half a cosine over all four steps of two epochs, as the optimiser has it and as it is told."""
    simple(tmp_path / "data")
    rates = []

    class Watched(DetectJob):
        def step(self):
            metrics = super().step()
            rates.append((float(self._weights.optimizer.param_groups[0]["lr"]), self.learning_rate()))
            return metrics

    given = config(tmp_path / "data", lr=0.1, lr_warmup_epochs=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nascli.core.engine.detection.train.DetectJob", Watched)
        train_detector(CELL, given)
    expected = [0.1, 0.1 * (1 + 0.5**0.5) / 2, 0.05, 0.1 * (1 - 0.5**0.5) / 2]
    assert [own for own, _ in rates] == pytest.approx(expected)
    assert [told for _, told in rates] == pytest.approx(expected)


def test_after_few_steps_batch_norms_have_the_statistics_of_the_training_pictures(tmp_path, monkeypatch):
    """All four are one batch, so each norm's are the mean and the variance of what it then sees, not augmented."""
    simple(tmp_path / "data")
    notices = Notices()
    given = config(tmp_path / "data", batch_size=4, augmentation="ssd", image_size=64)
    file = train_detector(CELL, given, reporter=notices).value
    assert any(text.startswith("after 2 steps the running statistics of batch norms lag") for text in notices.texts)
    network = build_detector(file.layout, file.settings, file.data, seed=1)
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in file.weights.items()})
    norms = {name: one for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d)}
    learnt = {name: (one.running_mean.clone(), one.running_var.clone()) for name, one in norms.items()}
    seen = {}
    for name, norm in norms.items():
        norm.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    paths = [tmp_path / "data" / "train" / f"{k}.png" for k in range(4)]
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in paths])
    images = v2.functional.resize(pixels, [64, 64]) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (file.data.mean, file.data.std))
    with torch.no_grad():
        network.head(list(network.backbone((images - mean) / std).values()))
    assert {name.split(".")[0] for name in seen} == {"backbone", "head"}
    assert any(name.startswith("backbone.extras") for name in seen)
    assert len(seen) == len(norms)
    for name, maps in seen.items():
        values = maps.transpose(0, 1).flatten(1)
        torch.testing.assert_close(learnt[name][0], values.mean(1), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(learnt[name][1], values.var(1), rtol=1e-3, atol=1e-4)
    monkeypatch.setattr("nascli.core.engine.settling.FEW_STEPS", 0)
    train_detector(CELL, given, reporter=(later := Notices()))
    assert not any("lag behind" in text for text in later.texts)


def test_validation_figures_after_few_steps_are_those_of_the_detector_that_is_written(tmp_path, monkeypatch):
    simple(tmp_path / "data")
    write(tmp_path / "data" / "val.json", tmp_path / "data" / "val", document(3, first=80))
    measured = []

    def counted(scenes, found):
        measured.append(len(found))
        return SimpleNamespace(ap=len(measured) / 10)

    monkeypatch.setattr("nascli.core.engine.detection.job.average_precisions", counted)
    notices = Notices()
    result = train_detector(CELL, config(tmp_path / "data"), Destination(tmp_path / "d.safetensors"), notices)
    rows = [json.loads(line) for line in (tmp_path / "d.run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["validation_ap"] for row in rows] == [0.1, 0.2]
    assert result.value.metrics["validation_ap"] == 0.3
    assert measured == [3, 3, 3]
    assert any(text.endswith("so are its validation figures") for text in notices.texts)


def test_validation_pictures_are_watched_and_a_plan_writes_nothing(tmp_path):
    simple(tmp_path / "data")
    write(tmp_path / "data" / "val.json", tmp_path / "data" / "val", document(3, first=80))
    before = sorted(tmp_path.rglob("*"))
    plan = plan_detector(CELL, config(tmp_path / "data"))
    assert plan["steps"] == 2 * (4 // 2)
    assert plan["backbone"]["multiply_adds"] < plan["multiply_adds"]
    assert sorted(tmp_path.rglob("*")) == before
    train_detector(CELL, config(tmp_path / "data"), Destination(tmp_path / "d.safetensors"))
    rows = [json.loads(line) for line in (tmp_path / "d.run" / "metrics.jsonl").read_text().splitlines()]
    assert [0 <= row["validation_ap"] <= 1 for row in rows] == [True, True]


def test_genotypes_of_channels_are_backbones_and_batches_are_no_larger_than_the_pictures(tmp_path):
    simple(tmp_path / "data")
    run = run_file(images_of(3), width=4)
    notices = Notices()
    given = {name: value for name, value in TINY.items() if name not in ("layers", "channels")}
    whole = DetectConfig(
        **{**given, "space": "resnet-mb", "data_dir": tmp_path / "data", "batch_size": 50, "epochs": 1}
    )
    result = train_detector(genotype_file(run, mask_of(run)), whole, reporter=notices)
    assert "batches of 4 instead of 50: there are no more pictures" in notices.texts
    assert any("on its last two resolutions, strides 2 and 4" in text for text in notices.texts)
    assert [one.side for one in result.value.layout.maps] == [16, 8, 4, 2, 1]
