"""The mean of several searches: what it is of, what is derived from it, and what there is no mean of."""

import json
from itertools import permutations

import numpy as np
import pytest

from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.distribution import Distribution
from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.core.engine.derive import Mode, Top, derive, derive_several
from nascli.core.engine.session import Destination
from nascli.core.engine.several import mean_distribution
from nascli.errors import UsageError
from tests.artifacts.examples import bytes_of, categorical, mixture, ranking

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
    assert mean.mode() != starts[0].distribution.mode()
    assert mean_distribution([starts[0]]) is starts[0].distribution


def test_the_mean_of_categoricals_does_not_depend_on_the_order_of_draws() -> None:
    """In the darts cell the two draws of a node may change places: the same distribution, so the same mean."""
    first, second = (categorical(seed=seed, scale=3.0) for seed in (0, 1))
    swapped = CategoricalDistribution(second.space, [values[::-1] for values in second.logits])
    plain, other = (mean_distribution([loaded(first), loaded(one, "b")]) for one in (second, swapped))
    assert all((a == b).all() for a, b in zip(plain.logits, other.logits, strict=True))
    # Taken back to front, a distribution is its own mean.
    itself = CategoricalDistribution(first.space, [values[::-1] for values in first.logits])
    assert CategoricalDistribution.mean([first, itself]).mode() == first.mode()
    for decision, mean in enumerate(plain.log_probabilities):
        own, theirs = (np.exp(one.log_probabilities[decision]) for one in (first, second))
        nearest = min(permutations(theirs), key=lambda draws: np.square(np.stack(draws) - own).sum())
        assert np.exp(mean) == pytest.approx(geometric([own, np.stack(nearest)]), rel=1e-5)


@pytest.mark.parametrize("make", [mixture, categorical])
def test_what_is_derived_of_several_searches_says_so(make, tmp_path) -> None:
    starts = several(make, "nas-bench-201")
    result = derive(starts, Destination(tmp_path / "cell.json"))
    assert isinstance(result.value, GenotypeFile)
    assert result.value.genotype == mean_distribution(starts).mode()
    provenance = json.loads((tmp_path / "cell.json").read_text())["provenance"]
    assert provenance["config"] == {"choice": "mode", "mean_with": [start.sha256 for start in starts[1:]]}
    assert provenance["seed"] is None
    assert provenance["made_from"]["sha256"] == starts[0].sha256
    (without,) = derive_several(starts, Mode(without_none=True))
    assert without.value.genotype == mean_distribution(starts).mode_without_none()


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
        ([mixture()], "run.safetensors and other-1 are the same: the mean is of different searches"),
        ([mixture(seed=1), categorical()], "other-2 is not of the same method as run.safetensors"),
        ([mixture(seed=1, space="nas-bench-201")], "other-1 is not of the same search space as run.safetensors"),
        ([mixture(5, seed=1)], "other-1 is not of the same search space as run.safetensors"),
        ([mixture(seed=1, beta=False)], "other-1 is not of the same logits as run.safetensors"),
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
    with pytest.raises(UsageError, match=r"^b is not of the same images as run\.safetensors: "):
        mean_distribution([same[0], loaded(mixture(seed=1), "b", data=other)])


def test_a_ranking_has_no_mean() -> None:
    with pytest.raises(UsageError, match="^of a ranking there is no mean: give one$"):
        mean_distribution([loaded(ranking(3, done=3)), loaded(ranking(3, done=2), "b")])
