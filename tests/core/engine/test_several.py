"""The mean of several searches: how it is computed, what is derived from it, and which searches have none."""

import json
from itertools import permutations, product

import numpy as np
import pytest

from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import Distribution
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.core.engine.derive import Mode, Top, derive, derive_several
from nascli.core.engine.destination import Destination
from nascli.core.engine.several import mean_distribution
from nascli.errors import UsageError
from tests.artifacts.examples import bytes_of, categorical, mixture, trials

SPACES = ["darts", "nas-bench-201"]


def loaded(distribution: Distribution, where: str = "run.safetensors", **changes: object) -> LoadedArtifact:
    return read_artifact(bytes_of(distribution, **changes), where)


def several(make, space: str, count: int = 3) -> list[LoadedArtifact]:
    return [loaded(make(seed=seed, space=space), f"run-{seed}.safetensors", seed=seed) for seed in range(count)]


def geometric(several: list[np.ndarray]) -> np.ndarray:
    """The normalised geometric mean of probabilities, by its definition."""
    product = np.prod([values.astype(np.float64) for values in several], axis=0) ** (1 / len(several))
    return product / product.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("space", SPACES)
def test_the_mean_of_mixtures_is_the_geometric_mean_of_their_probabilities(space) -> None:
    starts = several(mixture, space)
    mean = mean_distribution(starts)
    for cell in mean.space.cells:
        expected = geometric([start.distribution.probabilities(cell) for start in starts])
        assert mean.probabilities(cell) == pytest.approx(expected, rel=1e-5)
        logits = [start.distribution.tensors() for start in starts]
        for name, values in mean.tensors().items():
            assert values == pytest.approx(np.mean([own[name] for own in logits], axis=0), abs=1e-6)
    assert mean.mode() != starts[0].distribution.mode()
    assert mean_distribution([starts[0]]) is starts[0].distribution


def swapped(distribution: CategoricalDistribution, seed: int) -> CategoricalDistribution:
    """The same p(alpha | pi): the two draws of some nodes have changed places."""
    turn = np.random.default_rng(seed).random(len(distribution.logits)) < 0.5
    logits = [values[::-1] if swap else values for values, swap in zip(distribution.logits, turn, strict=True)]
    return CategoricalDistribution(distribution.space, logits)


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_mean_of_categoricals_depends_neither_on_the_order_of_draws_nor_on_that_of_files(scale) -> None:
    """In the darts cell the two draws of a node may change places. By hand: the orders that agree best, of all."""
    own = [categorical(seed=seed, scale=scale) for seed in range(3)]
    whole = CategoricalDistribution.mean(own)
    for order in permutations(range(3)):
        other = CategoricalDistribution.mean([swapped(own[number], seed) for seed, number in enumerate(order)])
        assert other.mode().network() == whole.mode().network()
        assert other.total_entropy() == pytest.approx(whole.total_entropy(), rel=1e-6)
    for decision, mean in enumerate(whole.log_probabilities):
        logs = [one.log_probabilities[decision] for one in own]
        ways = [[logs[0], *others] for others in product(*([draws, draws[::-1]] for draws in logs[1:]))]
        spread = [np.square(np.array(way) - np.mean(way, axis=0)).sum() for way in ways]
        expected = geometric([np.exp(draws) for draws in ways[int(np.argmin(spread))]])
        found = [np.exp(mean), np.exp(mean[::-1])]
        assert min(np.abs(expected - values).max() for values in found) < 1e-5


def test_a_distribution_back_to_front_is_its_own_mean() -> None:
    first = categorical(seed=0, scale=3.0)
    itself = CategoricalDistribution(first.space, [values[::-1] for values in first.logits])
    uniform = CategoricalDistribution.uniform(first.space)
    assert CategoricalDistribution.mean([first, itself]).mode() == first.mode()
    modes = {CategoricalDistribution.mean(o).mode().network() for o in permutations([first, itself, uniform])}
    assert modes == {first.mode().network()}


@pytest.mark.parametrize("make", [mixture, categorical])
def test_what_is_derived_of_several_searches_says_so(make, tmp_path) -> None:
    starts = several(make, "nas-bench-201")
    result = derive(starts, Destination(tmp_path / "cell.json"))
    assert isinstance(result.value, GenotypeFile)
    assert result.value.genotype == mean_distribution(starts).mode()
    others = [{"sha256": starts[seed].sha256, "seed": seed} for seed in (1, 2)]
    provenance = json.loads((tmp_path / "cell.json").read_text())["provenance"]
    assert provenance["config"] == {"choice": "mode", "mean_with": others}
    assert provenance["seed"] is None
    assert provenance["made_from"]["sha256"] == starts[0].sha256
    (without,) = derive_several(starts, Mode(without_none=True))
    assert without.value.genotype == mean_distribution(starts).mode_within(CellLimits(without_none=True))


def test_the_likeliest_of_a_mean() -> None:
    starts = several(categorical, "nas-bench-201")
    best, second = derive_several(starts, Top(2))
    mean = mean_distribution(starts)
    assert isinstance(mean, CategoricalDistribution)
    assert [best.value.genotype, second.value.genotype] == [genotype for genotype, _ in mean.top(2)]
    assert best.value.log_probability == mean.log_probability(best.value.genotype)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([mixture()], "run.safetensors and other-1 are the same: a mean needs different searches"),
        ([mixture(seed=1), categorical()], "other-2 does not have the same method as run.safetensors"),
        ([mixture(seed=1, space="nas-bench-201")], "other-1 does not have the same search space as run.safetensors"),
        ([mixture(5, seed=1)], "other-1 does not have the same search space as run.safetensors"),
        ([mixture(seed=1, beta=False)], "other-1 does not have the same logits as run.safetensors"),
    ],
)
def test_what_there_is_no_mean_of(others, message) -> None:
    starts = [loaded(mixture()), *(loaded(other, f"other-{number}") for number, other in enumerate(others, 1))]
    with pytest.raises(UsageError, match=message):
        mean_distribution(starts)


def test_a_mean_is_of_searches_on_the_same_images() -> None:
    data = {"dataset": "folder", "fingerprint": "a" * 64, "train_images": 9, "classes": ["a", "b"]}
    other = {**data, "fingerprint": "b" * 64}
    same = [loaded(mixture(seed=seed), data=data) for seed in (0, 1)]
    assert mean_distribution(same).kind == "mixture"
    with pytest.raises(UsageError, match=r"^b does not have the same images as run\.safetensors: "):
        mean_distribution([same[0], loaded(mixture(seed=1), "b", data=other)])


def test_a_random_search_has_no_mean() -> None:
    with pytest.raises(UsageError, match="^a random search has no mean with others: give one$"):
        mean_distribution([loaded(trials(3, done=3)), loaded(trials(3, done=2), "b")])
