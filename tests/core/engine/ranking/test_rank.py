"""Ranking from end to end: the winner, the budget and the files."""

from pathlib import Path
from statistics import mean, stdev

import pytest
import torch

import nascli
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import load_artifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.runs.scores import ranked
from nascli.core.engine.destination import Destination
from nascli.core.engine.evaluate import load_network
from nascli.core.engine.ranking.rank import rank
from nascli.core.nn.build import load_weights
from nascli.core.nn.graph_network import GraphNetwork
from nascli.errors import UsageError
from tests.core.engine.ranking.example import HELD_OUT_IMAGES, derive_in, files, posterior, run, settings, sizes_once


@pytest.fixture(autouse=True)
def _sizes_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes_once(monkeypatch)


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
    """Over two seeds, of which one has a better uniform candidate, and a better one in the first round."""
    uniform_led = first_differed = False
    for seed in range(2):
        result = rank(run(0.05), settings(seed=seed, shortlist=shortlist))
        rounds = [ranked(each.of("posterior")) for each in result.rounds]
        assert result.best == (rounds[-1][0],)
        uniform_led |= ranked(result.rounds[-1].scores)[0].population == "uniform"
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


def test_in_python_the_recipe_ranks(tmp_path: Path) -> None:
    by_recipe = rank(run(), model=tmp_path / "model.safetensors")
    assert (by_recipe.candidates, by_recipe.probability is None) == (200, False)
    assert nascli.derive(run()).sha256 == by_recipe.genotypes[0].sha256
    assert nascli.evaluate(tmp_path / "model.safetensors").parameters == by_recipe.best[0].parameters
    with pytest.raises(UsageError, match="a ranked genotype is written as JSON"):
        nascli.derive(run(), format="darts")
    with pytest.raises(UsageError, match=r"has no order among its genotypes \(--top\).*in Python, nascli.rank"):
        nascli.derive_several(run(), nascli.Top(2))


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
