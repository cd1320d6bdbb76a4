"""Ensembles: the mean of probabilities, and members that see the images in their own ways."""

import dataclasses
import math

import pytest
import torch

import nascli
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.artifacts.model import model_bytes
from nascli.core.engine.ensemble import MeanProbabilities
from nascli.core.engine.evaluate import Tally
from nascli.core.engine.reporter import Silent
from nascli.data import open_data
from nascli.errors import UsageError
from tests.core.engine.kept import mask_of, model_file, run_file
from tests.small_cells import SMALL_CELL

SMALL = {"dataset": "digits", "epochs": 1, "limit_train": 320, "batch_size": 32, "layers": 1, "channels": 4, "lr": 0.1}
SHUFFLED = (7, 2, 0, 9, 1, 3, 8, 4, 6, 5)


@pytest.fixture(scope="module")
def pair() -> list[LoadedArtifact]:
    return list(nascli.train_all([SMALL_CELL], nascli.TrainConfig(**SMALL), seeds=[0, 1]))


@pytest.fixture(scope="module")
def large() -> LoadedArtifact:
    """A model for images of 16 pixels, of other training images, so with another normalisation too."""
    config = nascli.TrainConfig(**{**SMALL, "limit_train": 64, "image_size": 16})
    return nascli.train(SMALL_CELL, config)


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def notice(self, text: str) -> None:
        self.texts.append(text)


def changed(model: LoadedArtifact, name: str, **changes) -> LoadedArtifact:
    """A model with other content, as if read from the file `name`."""
    return read_artifact(model_bytes(dataclasses.replace(model.value, **changes)), name)


def with_classes(model: LoadedArtifact, name: str, classes: tuple[str, ...], weights=None) -> LoadedArtifact:
    data = model.value.data.model_copy(update={"classes": classes})
    return changed(model, name, data=data, weights=weights or model.value.weights)


def shuffled(model: LoadedArtifact) -> LoadedArtifact:
    """The same function, its classes and the rows of its linear layer in another order."""
    weights = dict(model.value.weights)
    rows = [name for name, value in weights.items() if name.startswith("classifier") and len(value) == 10]
    assert len(rows) == 2
    for name in rows:
        weights[name] = weights[name][list(SHUFFLED)].copy()
    classes = model.value.data.classes
    return with_classes(model, "shuffled.safetensors", tuple(classes[i] for i in SHUFFLED), weights)


def probabilities(model: LoadedArtifact) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax of the plain network on the test images, and their labels, by another way than the engine's."""
    data = open_data(
        nascli.EvalConfig(),
        device=torch.device("cpu"),
        classes=model.value.data.classes,
        like=model.value.data,
    )
    network = nascli.load_network(model)
    batches = data.test_batches(100)
    with torch.inference_mode():
        parts = [(network(images).double().softmax(dim=1), labels) for images, labels in batches]
    return torch.cat([p for p, _ in parts]), torch.cat([labels for _, labels in parts])


def figures(result) -> dict:
    return result.model_dump(exclude={"images_per_second", "file"})


def test_the_mean_of_probabilities_by_hand():
    mean = MeanProbabilities()
    labels = torch.tensor([0, 1])
    for p in ([[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.6, 0.4]], [[0.9, 0.1], [0.4, 0.6]]):
        mean.begin_member()
        mean.add(torch.tensor(p).log(), labels)
    tally = mean.tally(2)
    assert tally.loss == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2, abs=1e-7)
    assert tally.top1 == 1.0
    assert tally.calibration_error == pytest.approx((0.3 + 0.4) / 2, abs=1e-7)


def test_the_mean_is_of_probabilities_and_not_of_logits():
    mean = MeanProbabilities()
    labels = torch.tensor([0])
    # One is certain of class 1, two lean to class 0. The mean logits say class 1, the mean probabilities class 0.
    for logits in ([0.0, 50.0], [3.0, 0.0], [3.0, 0.0]):
        mean.begin_member()
        mean.add(torch.tensor([logits]), labels)
    assert mean.tally(2).top1 == 1.0
    sigmoid = 1 / (1 + math.exp(-3))
    assert mean.tally(2).loss == pytest.approx(-math.log(2 * sigmoid / 3), abs=1e-12)


def test_probabilities_too_small_for_a_float_are_still_told_apart():
    mean = MeanProbabilities()
    labels = torch.tensor([0])
    for _ in range(2):
        mean.begin_member()
        mean.add(torch.tensor([[0.0, 2000.0]]), labels)
    assert mean.tally(2).loss == pytest.approx(2000.0)


def test_a_member_that_misses_images_is_no_member():
    mean = MeanProbabilities()
    mean.begin_member()
    mean.add(torch.zeros(2, 3), torch.tensor([0, 1]))
    mean.add(torch.zeros(2, 3), torch.tensor([2, 1]))
    mean.begin_member()
    mean.add(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(AssertionError, match="every member sees all images"):
        mean.tally(3)
    with pytest.raises(AssertionError, match="in the same order"):
        mean.add(torch.zeros(2, 3), torch.tensor([1, 2]))


def test_log_probabilities_are_counted_as_the_logits_that_they_came_from():
    logits = 5 * torch.randn(64, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(64) % 7
    one, other = Tally(7), Tally(7)
    one.add(logits, labels)
    other.add(logits.double().log_softmax(dim=1) + 3.0, labels)
    assert other.loss == pytest.approx(one.loss, abs=1e-12)
    assert other.calibration_error == pytest.approx(one.calibration_error, abs=1e-12)
    assert (other.top1, other.top5) == (one.top1, one.top5)


def test_an_ensemble_agrees_with_the_plain_networks(pair):
    result = nascli.evaluate_ensemble(pair, nascli.EvalConfig(batch_size=128))
    (p, labels), (q, same) = probabilities(pair[0]), probabilities(pair[1])
    assert torch.equal(labels, same)
    mean = (p + q) / 2
    assert result.ensemble.loss == pytest.approx(-float(mean[range(359), labels].log().mean()), abs=1e-6)
    assert result.ensemble.top1 == pytest.approx(float((mean.argmax(dim=1) == labels).double().mean()))
    assert result.ensemble.images == sum(map(sum, result.ensemble.confusion)) == 359
    # By Jensen's inequality: the loss of the mean is at most the mean of the losses.
    assert result.ensemble.loss < sum(member.loss for member in result.members) / 2
    assert result.ensemble.parameters == sum(m.parameters for m in result.members) == 2 * result.members[0].parameters
    assert result.ensemble.multiply_adds == 2 * result.members[0].multiply_adds


def test_members_are_evaluated_as_if_they_were_alone(pair, large):
    """Each with its own image size and normalisation, whatever the others have."""
    models = [pair[0], large, pair[1]]
    result = nascli.evaluate_ensemble(models)
    for model, member in zip(models, result.members, strict=True):
        assert figures(member) == figures(nascli.evaluate(model))
    mean = sum(probabilities(model)[0] for model in models) / 3
    labels = probabilities(pair[0])[1]
    assert result.ensemble.loss == pytest.approx(-float(mean[range(359), labels].log().mean()), abs=1e-6)


def test_an_ensemble_of_one_is_its_member(pair):
    result = nascli.evaluate_ensemble(pair[:1])
    assert result.ensemble.loss == pytest.approx(result.members[0].loss, abs=1e-12)
    assert result.ensemble.confusion == result.members[0].confusion


def test_a_member_whose_classes_are_in_another_order_answers_for_the_right_ones(pair):
    plain = nascli.evaluate_ensemble(pair)
    mixed = nascli.evaluate_ensemble([pair[0], shuffled(pair[1])])
    assert mixed.members[1].classes == mixed.members[0].classes == pair[0].value.data.classes
    assert mixed.members[1].confusion == plain.members[1].confusion
    assert mixed.ensemble.confusion == plain.ensemble.confusion
    assert mixed.ensemble.loss == pytest.approx(plain.ensemble.loss, abs=1e-6)
    assert mixed.members[1].loss == pytest.approx(plain.members[1].loss, abs=1e-6)
    # It does not give all images one answer, which would hide the order.
    assert sum(map(any, zip(*plain.members[1].confusion, strict=True))) > 3

    first = nascli.evaluate_ensemble([shuffled(pair[1]), pair[0]])
    assert first.ensemble.classes == tuple(pair[0].value.data.classes[i] for i in SHUFFLED)
    assert first.ensemble.per_class == plain.ensemble.per_class
    assert first.ensemble.confusion == tuple(tuple(plain.ensemble.confusion[i][j] for j in SHUFFLED) for i in SHUFFLED)
    assert first.ensemble.loss == pytest.approx(plain.ensemble.loss, abs=1e-6)


def test_members_with_other_classes_are_refused_by_name(pair):
    classes = pair[1].value.data.classes
    other = with_classes(pair[1], "other.safetensors", ("cat", *classes[1:]))
    with pytest.raises(UsageError, match=r"other\.safetensors has other classes than .*2 are in only one of them"):
        nascli.evaluate_ensemble([pair[0], other])


def test_a_member_counts_once(pair, tmp_path):
    with pytest.raises(UsageError, match="is given twice"):
        nascli.evaluate_ensemble([pair[0], pair[1], pair[0]])
    copy = dataclasses.replace(pair[0], where="copy.safetensors")
    with pytest.raises(UsageError, match=r"copy\.safetensors are the same"):
        nascli.evaluate_ensemble([pair[0], copy])
    with pytest.raises(UsageError, match="no model is given"):
        nascli.evaluate_ensemble([])


def test_models_of_different_data_need_to_be_told_what_to_see(pair):
    config = {**pair[1].value.provenance.config, "dataset": "fashion-mnist"}
    elsewhere = pair[1].value.provenance.model_copy(update={"config": config})
    other = changed(pair[1], "other.safetensors", provenance=elsewhere)
    with pytest.raises(UsageError, match=r"other\.safetensors was trained on fashion-mnist.*--dataset"):
        nascli.evaluate_ensemble([pair[0], other])
    result = nascli.evaluate_ensemble([pair[0], other], nascli.EvalConfig(dataset="digits"))
    assert result.ensemble.dataset == "digits"


def test_members_of_other_training_images_are_noted(pair):
    notes = Notes()
    nascli.evaluate_ensemble(pair, reporter=notes)
    assert notes.texts == []
    other = changed(pair[1], "other.safetensors", data=pair[1].value.data.model_copy(update={"fingerprint": "0" * 64}))
    nascli.evaluate_ensemble([pair[0], other], reporter=notes)
    (text,) = notes.texts
    assert text.startswith("other.safetensors was trained on other images than the result")


def test_the_image_size_of_every_member_is_kept(pair, large):
    with pytest.raises(UsageError, match="16 pixels"):
        nascli.evaluate_ensemble([pair[0], large], nascli.EvalConfig(image_size=8))


def test_networks_of_cells_and_of_channels_answer_together(pair):
    run = run_file(pair[0].value.data)
    members = [pair[0], model_file(run, mask_of(run))]
    result = nascli.evaluate_ensemble(members)
    (p, labels), (q, _) = (probabilities(model) for model in members)
    assert result.ensemble.loss == pytest.approx(-float(((p + q) / 2)[range(359), labels].log().mean()), abs=1e-6)
    assert [figures(member) for member in result.members] == [figures(nascli.evaluate(model)) for model in members]
