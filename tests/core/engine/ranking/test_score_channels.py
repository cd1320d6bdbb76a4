"""Scores of masks against the plain network, however many share a pass."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nascli
from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.load import load_artifact, read_artifact
from nascli.core.engine.destination import Destination
from nascli.core.engine.evaluate import Tally, count_answers, load_network
from nascli.core.engine.ranking import score_channels
from nascli.core.engine.ranking.rank import rank
from nascli.core.engine.ranking.score_channels import ChannelScorer
from nascli.core.engine.search import open_streams
from nascli.core.nn.build import load_weights
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherited_weights import inherit
from nascli.core.nn.recalibrate import recalibrated
from nascli.core.nn.stacked import StackedNetwork
from nascli.data import DataModule
from nascli.errors import Diverged
from tests.core.engine.ranking.example import CPU, HELD_OUT_IMAGES, held_out, posterior, run, settings, sizes_once


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


def test_scores_are_those_of_the_masked_super_network_one_at_a_time() -> None:
    data, images = held_out()
    assert len(images) == HELD_OUT_IMAGES
    network = GraphNetwork(posterior().graph)
    load_weights(network, posterior().weights, "run")
    for one in rank(run(), settings(batch_size=7, uniform=False)).rounds[0].of("posterior"):
        mask = torch.from_numpy(posterior().mask(0, one.number))[None]

        class Masked(torch.nn.Module):
            def forward(self, batch: torch.Tensor, mask: torch.Tensor = mask) -> torch.Tensor:
                return network.eval()(batch, masks=mask)

        tally = Tally(10)
        count_answers(Masked(), data.batches(images, 30), CPU, tally)
        assert one.accuracy == tally.top1
        assert one.loss == pytest.approx(tally.loss, rel=1e-5)


def test_one_winner_however_many_share_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [rank(run(), settings(batch_size=batch, uniform=False)) for batch in (256, 11)]
    for at_once in (1, 5):
        scorer = lambda *given, at_once=at_once, **more: ChannelScorer(*given, at_once=at_once, **more)  # noqa: E731
        monkeypatch.setattr("nascli.core.engine.ranking.score_channels.ChannelScorer", scorer)
        found.append(rank(run(), settings(uniform=False)))
    assert {result.best[0].number for result in found} == {found[0].best[0].number}
    for result in found[1:]:
        for one, other in zip(result.rounds[0].scores, found[0].rounds[0].scores, strict=True):
            assert (one.population, one.number, one.accuracy) == (other.population, other.number, other.accuracy)
            assert one.loss == pytest.approx(other.loss, rel=1e-5)


@pytest.mark.parametrize("drop", [0.3, 0.85])
def test_cut_out_networks_score_as_masks_do(monkeypatch: pytest.MonkeyPatch, drop: float) -> None:
    """Also where convolutions lose all their inputs, and leave constants."""
    masked = rank(run(drop), settings(uniform=False)).rounds[0].scores
    monkeypatch.setattr(score_channels, "WORTH_CUTTING", 0)
    cut: list[object] = []
    monkeypatch.setattr(score_channels, "inherit", lambda *given: cut.append(given) or inherit(*given))
    for one, other in zip(rank(run(drop), settings(uniform=False)).rounds[0].scores, masked, strict=True):
        assert (one.number, one.accuracy) == (other.number, other.accuracy)
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert len(cut) == len(masked)


def test_every_candidate_may_have_statistics_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_was = rank(run(), settings(candidates=3, uniform=False))
    result = rank(
        run(),
        settings(candidates=3, recalibrate=True, uniform=False),
        Destination(tmp_path / "a.json"),
        model=tmp_path / "a.safetensors",
    )
    assert result.genotypes[0].provenance.config["recalibrate"] is True
    assert [one.loss for one in result.rounds[0].scores] != [one.loss for one in as_it_was.rounds[0].scores]
    # Each score is that of the super-network under the candidate's mask, with statistics taken under it.
    search = nascli.SearchConfig(**run().provenance.config)
    train = open_streams(search, held_out()[0], CPU)["train"]
    batches = [train.next()[0] for _ in range(train.batches_per_pass)]
    plain = GraphNetwork(posterior().graph)
    load_weights(plain, posterior().weights, "run")
    for number in (1, 3):
        mask = torch.from_numpy(posterior().mask(0, number))[None].float()
        own = recalibrated(plain, mask, batches)
        right, loss, count = 0, 0.0, 0
        data, images = held_out()
        for batch, labels in data.batches(images, 30):
            with torch.no_grad():
                logits = own(batch, masks=mask)
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            right, count = right + int((logits.argmax(1) == labels).sum()), count + len(labels)
        ranked = result.rounds[0].of("posterior")[number - 1]
        assert (ranked.number, ranked.accuracy) == (number, right / count)
        assert ranked.loss == pytest.approx(loss / count, rel=1e-4)
    # The model has the statistics that it was ranked with.
    data, images = held_out()
    tally = Tally(10)
    count_answers(load_network(load_artifact(tmp_path / "a.safetensors")), data.batches(images, 30), CPU, tally)
    assert tally.top1 == result.best[0].accuracy
    assert tally.loss == pytest.approx(result.best[0].loss, rel=1e-4)
    # So do networks that are cut out.
    monkeypatch.setattr(score_channels, "WORTH_CUTTING", 0)
    for one, other in zip(
        rank(run(), settings(candidates=3, recalibrate=True, uniform=False)).rounds[0].scores,
        result.rounds[0].scores,
        strict=True,
    ):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)


def test_statistics_of_its_own_are_of_images_that_the_search_has_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    drawn_from: list[np.ndarray] = []
    whole, stream = ChannelScorer.__init__, DataModule.stream

    def noted(self: DataModule, indices: np.ndarray, *given: object, name: str, **more: object) -> object:
        if name == "train":
            drawn_from.append(indices)
        return stream(self, indices, *given, name=name, **more)

    def watched(self: ChannelScorer, *given: object, calibration: list[torch.Tensor], **more: object) -> None:
        seen.extend(calibration)
        whole(self, *given, calibration=calibration, **more)

    monkeypatch.setattr(ChannelScorer, "__init__", watched)
    monkeypatch.setattr(DataModule, "stream", noted)
    rank(run(), settings(recalibrate=True, uniform=False, candidates=1))
    _, images = held_out()
    assert len(drawn_from) == 1
    assert not set(drawn_from[0]) & set(images)
    search = nascli.SearchConfig(**run().provenance.config)
    data, _ = held_out()
    train = open_streams(search, data, CPU)["train"]
    assert len(seen) == train.batches_per_pass  # fewer than 2,048 images
    assert all(torch.equal(batch, train.next()[0]) for batch in seen)


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("bf16", True)])
def test_tf32_has_no_say_in_a_ranking(monkeypatch: pytest.MonkeyPatch, precision: str, allowed: bool) -> None:
    """On a GPU its rounding may depend on how many candidates share a pass."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen: set[bool] = set()
    call = StackedNetwork.__call__
    monkeypatch.setattr(
        StackedNetwork, "__call__", lambda self, *given: seen.add(torch.backends.cudnn.allow_tf32) or call(self, *given)
    )
    rank(run(), settings(precision=precision, uniform=False))
    assert seen == {allowed}
    assert torch.backends.cudnn.allow_tf32


def test_a_loss_that_is_not_finite_ends_a_ranking(tmp_path: Path) -> None:
    weights = dict(posterior().weights)
    weights["classifier.weight"] = np.full_like(weights["classifier.weight"], 3e38)
    file = replace(run().value, distribution=replace(posterior(), weights=weights))
    broken = read_artifact(distribution_bytes(file), "broken.safetensors")
    with pytest.raises(Diverged, match="a candidate of broken.safetensors has a loss that is not finite"):
        rank(broken, settings(), Destination(tmp_path / "cell.json"))


def test_the_batch_size_is_the_most_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    batches = DataModule.batches
    monkeypatch.setattr(
        DataModule,
        "batches",
        lambda self, images, size, **more: asked.append(size) or batches(self, images, size, **more),
    )
    rank(run(), settings(batch_size=7, uniform=False))
    assert {*asked} == {7}
