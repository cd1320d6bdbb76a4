import math

import pytest
import torch

import nascli
from nascli.core.engine.evaluate import Tally, count_answers
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.errors import UsageError
from tests.core.engine.kept import digits, mask_of, masked, model_file, run_file

CPU = Runtime(torch.device("cpu"))
SMALL = {"epochs": 1, "limit_train": 200, "batch_size": 32, "layers": 1, "channels": 4}


def test_a_tally_counts_by_hand():
    tally = Tally(classes=6)
    logits = torch.zeros(4, 6)
    logits[0, 2] = 1.0  # right
    logits[1] = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])  # class 5 is the sixth best: wrong even among five
    logits[2] = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])  # class 4 is the fifth best
    logits[3, 0] = 1.0  # right
    tally.add(logits[:3], torch.tensor([2, 5, 4]))
    tally.add(logits[3:], torch.tensor([0]))
    assert tally.top1 == 0.5
    assert tally.top5 == 0.75
    expected = torch.zeros(6, 6, dtype=torch.int64)
    expected[2, 2] = expected[5, 0] = expected[4, 0] = expected[0, 0] = 1
    assert torch.equal(tally.confusion, expected)

    one_high = -math.log(math.e / (math.e + 5))
    total = sum(math.exp(v) for v in range(1, 7))
    by_hand = (2 * one_high - math.log(math.e / total) - math.log(math.e**2 / total)) / 4
    assert tally.loss == pytest.approx(by_hand, abs=1e-6)


def test_top5_says_nothing_where_there_are_five_classes():
    tally = Tally(classes=5)
    tally.add(torch.eye(5), torch.arange(5))
    assert tally.top1 == 1.0
    assert tally.top5 is None


def test_scoring_uses_running_statistics_and_leaves_the_network_in_its_mode():
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Flatten())
    before = network[0].running_mean.clone()
    tally = Tally(classes=2)
    count_answers(network, [(torch.tensor([[3.0, 1.0], [5.0, 1.0]]), torch.tensor([0, 0]))], CPU, tally)
    # With the batch's own statistics the first image would become (-1, 0) and be taken for class 1.
    assert tally.top1 == 1.0
    assert network.training
    assert torch.equal(network[0].running_mean, before)


@pytest.fixture(scope="module")
def model():
    return nascli.train("pc-darts-cifar10", nascli.TrainConfig(dataset="digits", **SMALL))


def test_an_evaluation_agrees_with_the_plain_network_on_the_test_images(model):
    from sklearn.datasets import load_digits

    result = nascli.evaluate(model)
    assert result.images == sum(map(sum, result.confusion)) == 359
    assert result.top1 == pytest.approx(sum(result.confusion[i][i] for i in range(10)) / 359)

    # The whole of scikit-learn's digits, normalised by the model's own numbers, answered by the plain module: the test
    # images are among them, so its confusion bounds the evaluation's from above, class by class and answer by answer.
    network = nascli.load_network(model)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy((pixels / 16 * 255).round() / 255).float().view(-1, 1, 8, 8)
    images = (images - model.value.data.mean[0]) / model.value.data.std[0]
    with torch.inference_mode():
        answers = network(images).argmax(dim=1)
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts.index_put_((torch.from_numpy(labels), answers), torch.ones(len(labels), dtype=torch.int64), accumulate=True)
    assert (torch.tensor(result.confusion) <= counts).all()
    assert counts.sum() == 1797


def test_a_model_carries_its_descent_and_its_size(model):
    stages = [generation.stage for generation in model.provenance.descent()]
    assert stages == ["train", "published"]
    assert nascli.evaluate(model).parameters == sum(p.numel() for p in nascli.load_network(model).parameters())


def test_the_image_size_of_a_model_cannot_be_changed(model):
    with pytest.raises(UsageError, match="8 pixels"):
        nascli.evaluate(model, nascli.EvalConfig(image_size=16))


def test_a_derived_network_answers_as_the_masked_super_network_without_any_training():
    """The images are those of the search, which alone says what they are."""
    run = run_file(digits(limit_train=100))
    posterior, mask = run.value.distribution, mask_of(run)
    derived = model_file(run, mask)
    assert "dataset" not in derived.provenance.config
    result = nascli.evaluate(derived)
    data = open_data(nascli.EvalConfig(), device=CPU.device, like=posterior.data)
    images, labels = (torch.cat(parts) for parts in zip(*data.test_batches(100), strict=True))
    logits = masked(run, images, mask)
    assert result.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), abs=1e-5)
    assert result.top1 == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert result.parameters < posterior.graph.parameters
    assert result.multiply_adds < posterior.graph.multiply_adds
