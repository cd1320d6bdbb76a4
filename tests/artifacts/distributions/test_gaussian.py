"""The file of a Gaussian posterior."""

import json

import numpy as np
import pytest

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.files import tensors
from nascli.artifacts.load import read_artifact
from nascli.errors import ArtifactError
from tests.artifacts.examples import bytes_of, gaussian, provenance

CONV = "stage0.block0.branch0.conv1"


def test_a_file_has_all_that_was_learnt() -> None:
    written = gaussian()
    read = read_artifact(bytes_of(written), "x").value.distribution
    assert isinstance(read, GaussianDistribution)
    for mine, theirs in ((read.weights, written.weights), (read.log_deviations, written.log_deviations)):
        assert mine.keys() == theirs.keys()
        assert all(mine[name].tobytes() == theirs[name].tobytes() for name in theirs)
    assert bytes_of(read) == bytes_of(written)


def test_the_ratio_is_that_of_each_source() -> None:
    value = gaussian()
    place = next(number for number, group in enumerate(value.graph.groups) if group.conv == CONV)
    size = np.sqrt((value.weights[f"{CONV}.weight"].astype(np.float64) ** 2).mean())
    assert value.noise_ratios[place] == pytest.approx(np.exp(float(value.log_deviations[CONV][0])) / size)
    json.dumps(value.facts())


def test_its_genotype_is_the_whole_super_network() -> None:
    value = gaussian()
    assert value.genotype.kept_share == 1
    assert value.genotype.whole(value.shape) == value.graph
    assert value.undecided() is None


def test_what_a_continued_search_must_share() -> None:
    shared = gaussian().shared_settings(provenance(config={}, seed=7))
    assert (shared["noise"], shared["pooling_paths"], shared["seed"]) == ("gaussian", False, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"log_deviations.{CONV}": np.array([5.0], np.float32)}, "has values beyond 1e-6 to 100"),
        ({f"log_deviations.{CONV}": np.array([np.nan], np.float32)}, "not finite"),
        ({f"log_deviations.{CONV}": np.zeros(2, np.float32)}, r"has shape \[2\]; \[1\] is needed"),
        ({f"log_deviations.{CONV}": None}, "is missing"),
        ({"logits.x": np.zeros(1, np.float32)}, r"a Gaussian posterior has log_deviations.\* and weights.\*"),
    ],
)
def test_faults_are_told(change: dict[str, np.ndarray | None], message: str) -> None:
    arrays, document = tensors.decode(bytes_of(gaussian()), "x")
    merged = {name: value for name, value in (arrays | change).items() if value is not None}
    with pytest.raises(ArtifactError, match=message):
        read_artifact(tensors.encode(merged, document), "x")
