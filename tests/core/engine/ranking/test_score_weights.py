"""Samples of the weights of a Gaussian posterior, ranked from end to end."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.core.engine.destination import Destination
from nascli.core.engine.evaluate import load_network
from nascli.core.engine.ranking.rank import Ranking, rank
from nascli.core.engine.ranking.score_weights import WeightScorer
from nascli.core.engine.reporter import Silent
from nascli.errors import Interrupted, UsageError
from tests.core.engine.ranking.example import CPU, held_out, run, settings, sizes_once


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


@cache
def gaussian(deviation: float = 0.1) -> LoadedArtifact:
    """The example's search with noise of this deviation on all weights."""
    base = run().value.distribution
    value = GaussianDistribution(
        base.supernet,
        base.width,
        base.stages,
        base.data,
        {name: np.full(values.shape, np.log(deviation), np.float32) for name, values in base.logits.items()},
        base.weights,
    )
    config = dict(run().provenance.config)
    config["settings"] = {**config["settings"], "noise": "gaussian"}
    origin = run().provenance.model_copy(update={"config": config})
    return read_artifact(distribution_bytes(DistributionFile(value, origin)), "run.safetensors")


def ranked_in(folder: Path, **given: object) -> Ranking:
    resume = bool(given.pop("resume", False))
    folder.mkdir(exist_ok=True)
    destination = Destination(folder / "cell.json", resume=resume)
    model = folder / "model.safetensors"
    return rank(gaussian(), settings(candidates=4, **given), destination, Silent(), model=model)


def test_the_best_sample_is_written_as_it_was_scored(tmp_path: Path) -> None:
    """The model's weights are m + sigma epsilon, and its accuracy and loss on the held-out images are the scores."""
    result = ranked_in(tmp_path)
    (scored,) = result.rounds
    assert [(s.population, s.number) for s in scored.scores] == [("posterior", n) for n in range(1, 5)] + [("mean", 1)]
    best = min(scored.of("posterior"), key=lambda s: (-s.accuracy, s.loss))
    assert result.best == (best,)
    assert result.genotypes[0].value.genotype == gaussian().value.distribution.genotype
    assert result.model is not None
    network = load_network(result.model).eval()
    data, images = held_out()
    ((batch, labels),) = list(data.batches(images, 64, memory_format=CPU.memory_format))
    with torch.no_grad():
        logits = network(batch)
    assert (logits.argmax(1) == labels).double().mean().item() == pytest.approx(best.accuracy)
    assert F.cross_entropy(logits.double(), labels).item() == pytest.approx(best.loss, rel=1e-5)
    value, learnt = gaussian().value.distribution, network.state_dict()
    generator = CPU.generator(0, "sample", best.number)
    for name in value.graph.masked:
        mean = torch.from_numpy(value.weights[f"{name}.weight"].copy())
        expected = mean + 0.1 * torch.randn(mean.shape, generator=generator)
        torch.testing.assert_close(learnt[f"{name}.weight"], expected, rtol=1e-5, atol=1e-6)
    other = set(learnt) - {f"{name}.weight" for name in value.graph.masked}
    assert all(torch.equal(learnt[name], torch.from_numpy(np.array(value.weights[name]))) for name in other)


def test_without_noise_every_sample_is_the_mean() -> None:
    source, (data, images) = gaussian(1e-6).value.distribution, held_out()
    scores = WeightScorer(source, data, settings(), CPU, "x").scores([0, 1, 2], images)
    assert scores is not None
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)
    assert scores[2] == pytest.approx(scores[0], rel=1e-3)


def test_statistics_of_its_own_are_those_of_the_calibration_images() -> None:
    """On one batch, running statistics that are recalibrated are that batch's, as in training mode."""
    source, (data, images) = gaussian().value.distribution, held_out()
    ((batch, labels),) = list(data.batches(images, 64, memory_format=CPU.memory_format))
    scores = WeightScorer(source, data, settings(), CPU, "x", [batch]).scores([0], images)
    mean = WeightScorer(source, data, settings(), CPU, "x")._sampled(0).train()
    with torch.no_grad():
        expected = F.cross_entropy(mean(batch), labels).item()
    assert scores is not None
    assert scores[0][1] == pytest.approx(expected, rel=0.03)  # running variances are unbiased, a batch's are not


def test_samples_with_statistics_of_their_own_keep_their_noise() -> None:
    """Their weights are m + 0.1 epsilon, and their scores no two the same."""
    source, (data, images) = gaussian().value.distribution, held_out()
    ((batch, _),) = list(data.batches(images, 64, memory_format=CPU.memory_format))
    scorer = WeightScorer(source, data, settings(), CPU, "x", [batch])
    scores = scorer.scores([0, 1, 2], images)
    assert scores is not None
    assert len({loss for _, loss in scores}) == 3
    for number in (1, 2):
        learnt, generator = scorer._sampled(number).state_dict(), CPU.generator(0, "sample", number)
        for name in source.graph.masked:
            mean = torch.from_numpy(source.weights[f"{name}.weight"].copy())
            expected = mean + 0.1 * torch.randn(mean.shape, generator=generator)
            torch.testing.assert_close(learnt[f"{name}.weight"], expected, rtol=1e-5, atol=1e-6)


def test_a_stopped_ranking_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nascli.core.engine.ranking.score_weights.PER_PASS", 2)
    whole = ranked_in(tmp_path / "whole")
    calls, scores = [], WeightScorer.scores

    def stopping(self: WeightScorer, drawn: list[int], *rest: object) -> object:
        calls.append(len(drawn))
        return scores(self, drawn, *rest) if len(calls) < 2 else None

    with monkeypatch.context() as patch:
        patch.setattr(WeightScorer, "scores", stopping)
        patch.setattr("nascli.core.engine.ranking.rounds.Rounds._interrupted", lambda *_: Interrupted("stopped", 2))
        with pytest.raises(Interrupted):
            ranked_in(tmp_path / "stopped")
    resumed = ranked_in(tmp_path / "stopped", resume=True)
    assert resumed.best == whole.best
    for name in ("cell.json", "model.safetensors"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("given", [{"max_params": 9}, {"max_macs": 9}, {"max_latency": 1.0}, {"layers": 4}])
def test_sizes_are_no_choice(given: dict[str, object], tmp_path: Path) -> None:
    flag = f"--{next(iter(given)).replace('_', '-')}"
    with pytest.raises(UsageError, match=f"{flag}: all samples of a Gaussian posterior are of the same network"):
        ranked_in(tmp_path, **given)


def test_a_genotype_alone_says_nothing(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    for count, named, ways in (
        (1, None, "give --model FILE for the network of the best"),
        (2, model, "leave --top out"),
        (2, None, "give --model FILE for the network of the best, and leave --top out"),
    ):
        with pytest.raises(UsageError, match=f"of the whole super-network: {ways}$"):
            rank(gaussian(), settings(), Destination(tmp_path / "cell.json"), count=count, model=named)
