"""A posterior keeps its weights to the bit, draws what its probabilities say, and takes no other network's weights."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nascli.artifacts.distributions.distribution import distribution_bytes
from nascli.artifacts.distributions.posterior import LEAST_PROBABILITY, PosteriorDistribution
from nascli.artifacts.files import tensors
from nascli.artifacts.load import read_artifact
from nascli.errors import ArtifactError
from nascli.graphs.slim import slim
from nascli.registry import SUPERNETS
from tests.artifacts.examples import bytes_of, file_of, posterior, provenance

FIRST = "stage0.block0.branch0.conv1"
SMALL = {name: max(8, row.stride) for name, row in SUPERNETS.items()}


@pytest.mark.parametrize("name", SUPERNETS)
def test_round_trip(name: str) -> None:
    written = posterior(name, image_size=SMALL[name])
    file = file_of(written)
    data = distribution_bytes(file)
    loaded = read_artifact(data, "run.safetensors").value
    assert distribution_bytes(loaded) == data
    assert loaded.provenance == file.provenance
    read = loaded.distribution
    assert isinstance(read, PosteriorDistribution)
    assert (read.supernet, read.width, read.stages, read.data) == (name, 4, written.stages, written.data)
    for mine, theirs in ((read.weights, written.weights), (read.logits, written.logits)):
        assert mine.keys() == theirs.keys()
        assert all(mine[entry].tobytes() == theirs[entry].tobytes() for entry in theirs)


def test_a_change_of_any_bit_is_found() -> None:
    data = bytes_of(posterior())
    for place in np.random.default_rng(0).integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(ArtifactError):
            read_artifact(bytes(flipped), "run.safetensors")


def altered(change: dict[str, Any] | None = None, **settings: object) -> bytes:
    """A posterior's file with other tensors (None removes one) or settings, and a matching digest."""
    arrays, document = tensors.decode(bytes_of(posterior()), "x")
    merged = {name: value for name, value in (arrays | (change or {})).items() if value is not None}
    return tensors.encode(merged, document | {"settings": document["settings"] | settings})


def data(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(posterior().data.model_dump_json())
    return found | changes


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (altered(more=1), "settings: more: unknown field"),
        (altered(width="4"), "settings: width: must be a valid integer, not '4'"),
        (altered(width=0), "settings: width: must be greater than or equal to 1, not 0"),
        (altered(width=10**12), "width 1000000000000 is not from 1 to 1024"),
        (altered(width=5), "weights.stage0.block0.skip.shifted_conv.weight: has shape [2, 16, 1, 1]; [3, 16, 1, 1]"),
        (altered(stages=[1, 1]), "resnet-mb has 3 stages of 1 to 64 blocks, not [1, 1]"),
        (altered(stages=[1, 1, 65]), "resnet-mb has 3 stages of 1 to 64 blocks"),
        (altered(stages=[2, 1, 1]), "logits.stage0.block1.branch0.conv1: is missing"),
        (altered(supernet="resnet-bm"), "unknown super-network 'resnet-bm': did you mean 'resnet-mb'?"),
        (altered(supernet="r" * 9000), "unknown super-network 'rrrrrr"),
        (altered(supernet="enas"), "logits.stage0.block0.branch0.conv1: this super-network has no such tensor"),
        (altered(data=data(image_size=3)), "images of 3x3 are too small for resnet-mb"),
        (altered(data=data(image_size=10**9)), "settings: data.image_size: must be less than or equal to 4096"),
        (altered(data=data(classes=["a"] * 100_001)), "data: classes: must be less than or equal to 100000"),
        (altered(data=data(classes=["a"] * 3)), "weights.classifier.weight: has shape [2, 16]; [3, 16] is needed"),
        (altered({f"logits.{FIRST}": None}), f"logits.{FIRST}: is missing"),
        (altered({"logits.odd": np.zeros(1, np.float32)}), "logits.odd: this super-network has no such tensor"),
        (altered({"alpha.normal": np.zeros(1)}), "unknown tensor 'alpha.normal': a posterior has logits.* and weights"),
        (altered({f"logits.{FIRST}": np.zeros(1)}), f"logits.{FIRST}: is of type float64; float32 is needed"),
        (altered({f"logits.{FIRST}": np.zeros(2, np.float32)}), f"logits.{FIRST}: has shape [2]; [1] is needed"),
        (altered({f"logits.{FIRST}": np.full(1, np.nan, np.float32)}), "has values that are not finite"),
        (altered({f"logits.{FIRST}": np.full(1, 13.8156, np.float32)}), f"logits.{FIRST}: has values beyond 13.81551"),
        (altered({f"logits.{FIRST}": np.full(1, -14, np.float32)}), f"logits.{FIRST}: has values beyond 13.81551"),
        (altered({"weights.stem.conv.weight": None}), "weights.stem.conv.weight: is missing"),
        (altered({"weights.auxiliary.x": np.zeros(1, np.float32)}), "weights.auxiliary.x: this super-network has no"),
        (
            altered({"weights.stem.conv.weight": np.full((16, 1, 3, 3), np.inf, np.float32)}),
            "weights.stem.conv.weight: has values that are not finite",
        ),
        (
            altered({"weights.stem.norm.running_var": np.full(16, -1, np.float32)}),
            "weights.stem.norm.running_var: has negative values",
        ),
        (
            altered({"weights.stem.norm.num_batches_tracked": np.array(1, np.int32)}),
            "weights.stem.norm.num_batches_tracked: is of type int32; int64 is needed",
        ),
    ],
)  # fmt: skip
def test_malformed(file: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(file, "run.safetensors")
    text = str(caught.value)
    assert text.startswith("run.safetensors: ")
    assert message in text
    assert "\n" not in text
    assert len(text) < 400


def test_the_bounds_of_p_are_allowed_however_they_were_rounded() -> None:
    exact = np.log((1 - LEAST_PROBABILITY) / LEAST_PROBABILITY)
    nearest = np.float32(exact)
    for bound in (nearest, np.nextafter(nearest, np.float32(0)), -nearest):
        logits = {name: np.full_like(values, bound) for name, values in posterior().logits.items()}
        kept = replace(posterior(), logits=logits).probabilities
        assert np.allclose(kept, 1 / (1 + np.exp(-np.float64(bound))), rtol=1e-12)
    assert abs(nearest - exact) < 1e-6


def known(**probabilities: float) -> PosteriorDistribution:
    """A posterior with p = 1/2 but for the groups of some convolutions of its first block's branches."""
    half = {name: np.zeros_like(values) for name, values in posterior().logits.items()}
    for name, p in probabilities.items():
        half[f"stage0.block0.{name.replace('_', '.')}"] = np.array([np.log(p / (1 - p))], np.float32)
    return replace(posterior(), logits=half)


def test_p_is_the_probability_of_being_dropped() -> None:
    value = known(branch0_conv1=0.9, branch1_conv1=0.1)
    entries = value.graph.mask_ranges
    draws = 400
    kept = np.mean([value.mask(5, number) for number in range(draws)], axis=0)
    for name, expected in (("branch0.conv1", 0.1), ("branch1.conv1", 0.9), ("branch0.conv2", 0.5)):
        inside = entries[f"stage0.block0.{name}"]
        assert value.probabilities[inside.start] == pytest.approx(1 - expected, rel=1e-6)
        # Of n independent channels in 400 draws: five standard deviations of the mean.
        margin = 5 * np.sqrt(expected * (1 - expected) / (draws * len(inside)))
        assert kept[inside.start : inside.stop].mean() == pytest.approx(expected, abs=margin)


def test_channels_of_one_group_are_dropped_independently_and_each_source_by_its_own_p() -> None:
    value = posterior("densenet121", image_size=32)
    group = next(group for group in value.graph.groups if group.source == 1)
    logit = value.logits[group.conv][1]
    entries = slice(group.start, group.start + group.size)
    np.testing.assert_allclose(value.probabilities[entries], 1 / (1 + np.exp(-np.float64(logit))), rtol=1e-12)
    masks = np.array([value.mask(0, number)[entries] for number in range(300)])
    assert len(np.unique(masks, axis=0)) > 1
    assert any(0 < row.sum() < group.size for row in masks)


def test_a_network_is_that_of_its_seed_and_number_whatever_else_is_drawn() -> None:
    value = posterior()
    alone = value.mask(3, 7)
    assert (np.array([value.mask(3, number) for number in range(9)])[7] == alone).all()
    assert (read_artifact(bytes_of(value), "x").value.distribution.mask(3, 7) == alone).all()  # type: ignore[attr-defined]
    assert (value.mask(3, 8) != alone).any()
    assert (value.mask(4, 7) != alone).any()


def test_a_networks_genotype_keeps_what_its_mask_keeps() -> None:
    value = posterior("enas", image_size=16)
    mask, genotype = value.mask(1, 2), value.sample(1, 2)
    assert (genotype.supernet, genotype.width, genotype.stages) == (value.supernet, value.width, value.stages)
    for group in value.graph.groups:
        chosen = {channel - group.first for channel in genotype.channels[group.conv]} & set(range(group.size))
        assert chosen == set(np.flatnonzero(mask[group.start : group.start + group.size]))
    assert genotype.kept_share == mask.mean()
    assert genotype.whole(value.shape) == value.graph
    assert genotype.graph(value.shape) == slim(value.graph, genotype.channels).graph


def test_what_a_continued_search_must_share() -> None:
    """The network, and, as far as the run's configuration says, what decides which images are held out."""
    config = {"settings": {"held_out": 0.2}, "limit_train": 100}
    assert posterior().shared_settings(provenance(config=config, seed=7)) == {
        "space": "resnet-mb",
        "width": 4,
        "depth": 1,
        "pooling_paths": False,
        "noise": "dropout",
        "held_out": 0.2,
        "seed": 7,
        "limit_train": 100,
    }
    bare = posterior("densenet121", image_size=32).shared_settings(provenance(config={}, seed=None))
    alone = {"space": "densenet121", "width": 4, "depth": 1, "pooling_paths": False, "noise": "dropout"}
    assert bare == alone


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_depth_is_what_the_stages_were_made_with(depth: int) -> None:
    """0 for those of the published network."""
    assert posterior(depth=depth).depth == depth


def test_random_numbers_are_uniform() -> None:
    numbers = np.concatenate([posterior().uniforms(0, number) for number in range(100)])
    assert ((numbers >= 0) & (numbers < 1)).all()
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    expected = len(numbers) / 20
    # Chi-squared of 19 degrees of freedom exceeds 60 once in 4 million times.
    assert ((counts - expected) ** 2 / expected).sum() < 60


def test_logits_cannot_be_changed_from_outside() -> None:
    given = {name: values.copy() for name, values in posterior().logits.items()}
    value = replace(posterior(), logits=given)
    given[FIRST][:] = 3
    assert value.logits[FIRST] != 3
    with pytest.raises(ValueError, match="read-only"):
        value.logits[FIRST][:] = 3
