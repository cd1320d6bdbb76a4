"""Ranking from end to end: scores against the plain network, rounds, resuming, the files, and what cannot be ranked."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
import torch

import nascli
from nascli.artifacts.distribution import distribution_bytes
from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.load import load_artifact, read_artifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.scores import best_first
from nascli.core.engine import channel_pool, scoring
from nascli.core.engine.candidates import Ranking, held_out_images, rank
from nascli.core.engine.evaluate import Tally, load_network, score
from nascli.core.engine.rounds import SHORTLIST_SHARE
from nascli.core.engine.scoring import Scorer
from nascli.core.engine.search import open_streams
from nascli.core.engine.session import Destination
from nascli.core.nn.build import load_weights
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.inherit import inherit
from nascli.core.nn.recalibrate import recalibrated
from nascli.core.nn.stacked import StackedNetwork
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import ArtifactError, DataError, Diverged, Interrupted, UsageError
from tests.artifacts.examples import bytes_of, categorical
from tests.core.engine.candidates_example import HELD_OUT_IMAGES, run, settings

CPU = Runtime(torch.device("cpu"))


def posterior() -> PosteriorDistribution:
    """What the example's search has learnt."""
    return run().value.distribution


def held_out():
    """The images of the example's search, and those that it held out."""
    return held_out_images(run(), posterior().data, settings(), CPU.device)


def files(folder: Path) -> dict[str, bytes]:
    """What a derivation wrote, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
        score(Masked(), data.batches(images, 30), CPU, tally)
        assert one.accuracy == tally.top1
        assert one.loss == pytest.approx(tally.loss, rel=1e-5)


def test_held_out_images_are_none_that_the_search_learnt_from() -> None:
    data, images = held_out()
    parts = data.split({"train": 0.9, "held_out": 0.1}, seed=3)
    assert set(images) == set(parts["held_out"])
    assert not set(images) & set(parts["train"])


def test_one_winner_however_many_share_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [rank(run(), settings(batch_size=batch, uniform=False)) for batch in (256, 11)]
    for at_once in (1, 5):
        scorer = lambda *given, at_once=at_once, **more: Scorer(*given, at_once=at_once, **more)  # noqa: E731
        monkeypatch.setattr(channel_pool, "Scorer", scorer)
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
    monkeypatch.setattr(scoring, "WORTH_CUTTING", 0)
    cut: list[object] = []
    monkeypatch.setattr(scoring, "inherit", lambda *given: cut.append(given) or inherit(*given))
    for one, other in zip(rank(run(drop), settings(uniform=False)).rounds[0].scores, masked, strict=True):
        assert (one.number, one.accuracy) == (other.number, other.accuracy)
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert len(cut) == len(masked)


def test_the_best_of_the_posterior_is_written_and_uniform_ones_only_compared() -> None:
    result = rank(run(), settings())
    (ranked,) = result.rounds
    assert [(s.population, s.number) for s in ranked.scores] == [
        (name, number) for name in ("posterior", "uniform") for number in range(1, 13)
    ]
    best = min(ranked.of("posterior"), key=lambda s: (-s.accuracy, s.loss))
    assert result.best == (best,)
    (file,) = (made.value for made in result.genotypes)
    assert isinstance(file, GenotypeFile)
    assert file.genotype == posterior().sample(0, best.number)
    assert file.provenance.made_from is not None
    assert file.provenance.made_from.sha256 == run().sha256
    assert file.provenance.config == {
        "choice": "ranked",
        "seed": 0,
        "candidates": 12,
        "number": best.number,
        "rank": 1,
        "held_out_images": HELD_OUT_IMAGES,
        "held_out_accuracy": best.accuracy,
        "held_out_loss": best.loss,
    }


@pytest.mark.parametrize("shortlist", [None, 3])
def test_the_winner_is_of_the_posterior_and_of_the_last_round(shortlist: int | None) -> None:
    """Over seeds of which some have a uniform candidate, or one of the first round, that did better."""
    uniform_led = first_differed = False
    for seed in range(6):
        result = rank(run(0.05), settings(seed=seed, shortlist=shortlist))
        rounds = [best_first(each.of("posterior")) for each in result.rounds]
        assert result.best == (rounds[-1][0],)
        uniform_led |= best_first(result.rounds[-1].scores)[0].population == "uniform"
        first_differed |= rounds[0][0].number != rounds[-1][0].number
    assert uniform_led
    assert first_differed == (shortlist is not None)


def test_several_and_without_uniform_ones(tmp_path: Path) -> None:
    result = rank(run(), settings(uniform=False), Destination(tmp_path / "cell.json"), count=3)
    assert [made.value.provenance.config["rank"] for made in result.genotypes] == [1, 2, 3]
    assert (tmp_path / "cell-3.json").exists()
    model = rank(run(), settings(uniform=False), count=3, model=tmp_path / "model.safetensors").model
    assert model is not None
    assert model.value.genotype == result.genotypes[0].value.genotype
    assert (result.probability, len(result.rounds[0].scores)) == (None, 12)
    with pytest.raises(UsageError, match="13 networks are asked for, and 12 would be ranked"):
        rank(run(), settings(uniform=False), count=13)


def test_the_seed_decides() -> None:
    numbers = {seed: rank(run(), settings(seed=seed, uniform=False)) for seed in (1, 1, 2)}
    assert numbers[1].genotypes[0].value.genotype == posterior().sample(1, numbers[1].best[0].number)
    assert numbers[1].rounds != numbers[2].rounds


def test_equal_masks_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    scores = Scorer.scores
    monkeypatch.setattr(
        Scorer, "scores", lambda self, masks, *rest: asked.append(len(masks)) or scores(self, masks, *rest)
    )
    result = rank(run(drop=1e-6), settings(uniform=False))
    assert (asked, len(result.rounds[0].scores), result.best[0].number) == ([1], 12, 1)


def test_a_shortlist_is_of_the_best_on_a_tenth(tmp_path: Path) -> None:
    result = rank(run(), settings(shortlist=3), Destination(tmp_path / "cell.json"))
    first, last = result.rounds
    assert (first.images, last.images) == (round(SHORTLIST_SHARE * HELD_OUT_IMAGES), HELD_OUT_IMAGES)
    for name in ("posterior", "uniform"):
        best = sorted(first.of(name), key=lambda s: (-s.accuracy, s.loss, s.number))[:3]
        assert {s.number for s in last.of(name)} == {s.number for s in best}
    whole = {s.number: s.accuracy for s in rank(run(), settings()).rounds[0].of("posterior")}
    assert all(s.accuracy == whole[s.number] for s in last.of("posterior"))
    rows = (tmp_path / "cell.ranking" / "shortlist.jsonl").read_text().splitlines()
    assert len(rows) == 24
    assert len((tmp_path / "cell.ranking" / "candidates.jsonl").read_text().splitlines()) == 6


def test_scores_are_kept(tmp_path: Path) -> None:
    result = rank(run(), settings(), Destination(tmp_path / "cell.json"))
    lines = (tmp_path / "cell.ranking" / "candidates.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [score.row() for score in result.rounds[0].scores]
    assert {*json.loads(lines[0])} == {"population", "number", "accuracy", "loss", "parameters", "multiply_adds"}


def derive_in(folder: Path, *, resume: bool = False, **given: object) -> Ranking:
    folder.mkdir(exist_ok=True)
    target = Destination(folder / "cell.json", resume=resume)
    return rank(run(), settings(uniform=False, **given), target, model=folder / "model.safetensors")


@pytest.mark.parametrize("shortlist", [None, 4])
def test_killed_anywhere_it_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortlist: int | None
) -> None:
    monkeypatch.setattr(Scorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path / "whole", shortlist=shortlist)
    expected = files(tmp_path / "whole")
    names = [f"cell.ranking/{name}.jsonl" for name in (["shortlist"] if shortlist else []) + ["candidates"]]
    for place, name in enumerate(names):
        for cut in (0, len(expected[name]) // 2, len(expected[name]) - 1):
            folder = tmp_path / f"{place}-{cut}"
            (folder / "cell.ranking").mkdir(parents=True)
            (folder / "cell.ranking" / "config.json").write_bytes(expected["cell.ranking/config.json"])
            for earlier in names[:place]:
                (folder / earlier).write_bytes(expected[earlier])
            (folder / name).write_bytes(expected[name][:cut])
            derive_in(folder, resume=True, shortlist=shortlist)
            assert files(folder) == expected


def test_a_signal_ends_it_after_the_pass_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path / "whole")
    scores, passes, resumed = Scorer.scores, [], []

    def interrupted(self, masks, images, stop):  # type: ignore[no-untyped-def]
        passes.append(len(masks))
        if len(passes) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return scores(self, masks, images, stop)

    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "scores", interrupted)
        with pytest.raises(Interrupted, match=r"SIGINT after 10 of 12 candidates.*--resume"):
            derive_in(tmp_path / "stopped")
    with pytest.raises(UsageError, match="holds a run already: continue it with --resume"):
        derive_in(tmp_path / "stopped")
    with pytest.raises(UsageError, match="candidates was 12 and is 13"):
        derive_in(tmp_path / "stopped", resume=True, candidates=13)
    with monkeypatch.context() as patched:
        patched.setattr(
            Scorer, "scores", lambda self, masks, *rest: resumed.append(len(masks)) or scores(self, masks, *rest)
        )
        derive_in(tmp_path / "stopped", resume=True)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert resumed == [2]


def test_a_pass_that_was_cut_short_is_done_again_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scorer, "per_pass", lambda self, images: 5)
    derive_in(tmp_path)
    path = tmp_path / "cell.ranking" / "candidates.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:8]))
    scores, resumed = Scorer.scores, []
    monkeypatch.setattr(
        Scorer, "scores", lambda self, masks, *rest: resumed.append(len(masks)) or scores(self, masks, *rest)
    )
    (tmp_path / "cell.json").unlink()
    derive_in(tmp_path, resume=True)
    assert resumed == [5, 2]


def test_scores_of_another_run_are_not_gone_on_with(tmp_path: Path) -> None:
    derive_in(tmp_path / "a")
    path = tmp_path / "a" / "cell.ranking" / "candidates.jsonl"
    path.write_text(path.read_text().replace("posterior", "uniform", 1))
    with pytest.raises(ArtifactError, match="not those of this run"):
        derive_in(tmp_path / "a", resume=True)
    path.write_text('{"population": "posterior"}\n')
    with pytest.raises(ArtifactError, match="a row is not that of a candidate"):
        derive_in(tmp_path / "a", resume=True)


def test_the_model_says_what_the_masked_super_network_says(tmp_path: Path) -> None:
    result = derive_in(tmp_path)
    made = load_artifact(tmp_path / "model.safetensors")
    model = made.value
    assert isinstance(model, ModelFile)
    assert (model.data, model.genotype) == (posterior().data, result.genotypes[0].value.genotype)
    assert model.metrics == {"held_out_accuracy": result.best[0].accuracy, "held_out_loss": result.best[0].loss}
    assert made.provenance.stage == "derive"
    images = torch.randn(5, 1, 8, 8)
    network = GraphNetwork(posterior().graph)
    load_weights(network, posterior().weights, "run")
    mask = torch.from_numpy(posterior().mask(0, result.best[0].number))[None]
    with torch.no_grad():
        masked = network.eval()(images, masks=mask)
        torch.testing.assert_close(load_network(made)(images), masked, atol=1e-4, rtol=1e-4)
    learnt = [tensor.size for name, tensor in model.weights.items() if "running" not in name and "num_" not in name]
    assert sum(learnt) == result.best[0].parameters


def test_every_candidate_may_have_statistics_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_was = rank(run(), settings(uniform=False))
    result = rank(
        run(),
        settings(recalibrate=True, uniform=False),
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
    for number in (1, 7):
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
    score(load_network(load_artifact(tmp_path / "a.safetensors")), data.batches(images, 30), CPU, tally)
    assert tally.top1 == result.best[0].accuracy
    assert tally.loss == pytest.approx(result.best[0].loss, rel=1e-4)
    # So do networks that are cut out.
    monkeypatch.setattr(scoring, "WORTH_CUTTING", 0)
    for one, other in zip(
        rank(run(), settings(recalibrate=True, uniform=False)).rounds[0].scores, result.rounds[0].scores, strict=True
    ):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)


def test_statistics_of_its_own_are_of_images_that_the_search_has_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    drawn_from: list[np.ndarray] = []
    whole, stream = Scorer.__init__, DataModule.stream

    def noted(self: DataModule, indices: np.ndarray, *given: object, name: str, **more: object) -> object:
        if name == "train":
            drawn_from.append(indices)
        return stream(self, indices, *given, name=name, **more)

    def watched(self: Scorer, *given: object, calibration: list[torch.Tensor], **more: object) -> None:
        seen.extend(calibration)
        whole(self, *given, calibration=calibration, **more)

    monkeypatch.setattr(Scorer, "__init__", watched)
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


def test_a_budget(tmp_path: Path) -> None:
    sizes = sorted(score.parameters for score in rank(run(), settings(uniform=False)).rounds[0].scores)
    result = rank(run(), settings(max_params=sizes[3]))
    assert sorted(score.parameters for score in result.rounds[0].of("posterior")) == sizes[:4]
    assert result.genotypes[0].value.provenance.config["max_params"] == sizes[3]
    with pytest.raises(UsageError, match=f"they have at least {sizes[0]:,} parameters"):
        rank(run(), settings(max_params=sizes[0] - 1), Destination(tmp_path / "cell.json"))
    assert not files(tmp_path)


def test_a_budget_of_multiply_adds() -> None:
    sizes = sorted(score.multiply_adds for score in rank(run(), settings(uniform=False)).rounds[0].scores)
    result = rank(run(), settings(max_macs=sizes[3]))
    assert sorted(score.multiply_adds for score in result.rounds[0].of("posterior")) == sizes[:4]
    assert result.genotypes[0].value.provenance.config["max_macs"] == sizes[3]


def test_with_a_budget_uniform_ones_are_as_many_and_as_large_as_those_within_it() -> None:
    sizes = sorted(score.parameters for score in rank(run(), settings(uniform=False, candidates=90)).rounds[0].scores)
    (ranked,) = rank(run(), settings(candidates=90, max_params=sizes[39])).rounds
    within, uniform = ([score.parameters for score in ranked.of(name)] for name in ("posterior", "uniform"))
    assert len(within) == len(uniform) == 40
    # The mean of 40 draws, around that of the 64 that the probability is fitted to.
    assert mean(uniform) == pytest.approx(mean(within), abs=3 * stdev(uniform) / 40**0.5)
    assert max(uniform) > sizes[39]


def test_a_budget_that_leaves_one_is_compared_with_one_of_its_size() -> None:
    sizes = sorted(score.parameters for score in rank(run(), settings(uniform=False, candidates=40)).rounds[0].scores)
    (ranked,) = rank(run(), settings(candidates=40, max_params=sizes[0])).rounds
    (one,), (other,) = ranked.of("posterior"), ranked.of("uniform")
    assert other.parameters == pytest.approx(one.parameters, rel=0.02)


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


def test_the_first_tenth_has_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    start = run(limit_train=1400)
    data, images = held_out_images(start, start.value.distribution.data, settings(), CPU.device)
    asked: list[np.ndarray] = []
    scores = Scorer.scores
    monkeypatch.setattr(
        Scorer, "scores", lambda self, masks, few, *rest: asked.append(few) or scores(self, masks, few, *rest)
    )
    rank(start, settings(shortlist=2, candidates=3, uniform=False))
    few = np.bincount(data.train_labels[asked[0]], minlength=10)
    assert few.sum() == round(len(images) / 10)
    assert few.max() - few.min() <= 1


def test_in_python_the_recipe_ranks(tmp_path: Path) -> None:
    by_recipe = rank(run(), model=tmp_path / "model.safetensors")
    assert (by_recipe.candidates, by_recipe.probability is None) == (200, False)
    assert nascli.derive(run()).sha256 == by_recipe.genotypes[0].sha256
    assert nascli.evaluate(tmp_path / "model.safetensors").parameters == by_recipe.best[0].parameters
    with pytest.raises(UsageError, match="what is ranked is written as JSON"):
        nascli.derive(run(), format="darts")
    with pytest.raises(UsageError, match=r"has no ranking \(--top\).*in Python, nascli.rank"):
        nascli.derive_several(run(), nascli.Top(2))


def test_scores_that_cannot_be_are_not_gone_on_with(tmp_path: Path) -> None:
    derive_in(tmp_path)
    path = tmp_path / "cell.ranking" / "candidates.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    for broken in ({"accuracy": 9.0}, {"loss": -1.0}, {"accuracy": "high"}):
        path.write_text(json.dumps(row | broken) + "\n")
        with pytest.raises(ArtifactError, match="a row is not that of a candidate"):
            derive_in(tmp_path, resume=True)


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(UsageError, match=r"was made with digits.*leave --dataset out"):
        rank(run(), settings(dataset="cifar10"))
    cells = read_artifact(bytes_of(categorical()), "cells")
    with pytest.raises(UsageError, match="has no shared weights to score candidates with"):
        rank(cells, settings())
    unknown = read_artifact(bytes_of(posterior(), method=None), "run")
    with pytest.raises(ArtifactError, match="does not say how it was searched for"):
        rank(unknown, settings())


def test_other_images_than_the_searchs(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = posterior().data.model_copy(update={"fingerprint": "0" * 64})
    monkeypatch.setitem(vars(posterior()), "data", changed)
    with pytest.raises(DataError, match="are not those that run.safetensors was made with"):
        rank(run(), settings())


@pytest.mark.parametrize(
    ("output", "model", "message"),
    [
        ("cell.json", "cell.json", "cannot be both"),
        ("cell.json", "../elsewhere/cell.json", "cannot be both"),
        ("-", "-", "cannot both go to standard output"),
    ],
)
def test_two_results_in_two_places(tmp_path: Path, monkeypatch, output: str, model: str, message: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match=message):
        rank(run(), settings(), Destination(output), model=model)
    assert not files(tmp_path)
