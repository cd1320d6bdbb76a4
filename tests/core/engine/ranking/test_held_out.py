"""What can be ranked, and on which images."""

from dataclasses import replace

import pytest

from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.load import read_artifact
from nascli.core.engine.ranking.rank import rank
from nascli.errors import ArtifactError, DataError, UsageError
from nascli.registry import DISTRIBUTIONS, load
from tests.artifacts.examples import bytes_of, categorical
from tests.core.engine.ranking.example import held_out, posterior, run, settings


def test_held_out_images_are_none_that_the_search_learnt_from() -> None:
    data, images = held_out()
    parts = data.split({"train": 0.9, "held_out": 0.1}, seed=3)
    assert set(images) == set(parts["held_out"])
    assert not set(images) & set(parts["train"])


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(UsageError, match=r"was made with digits.*leave --dataset out"):
        rank(run(), settings(dataset="cifar10"))
    cells = read_artifact(bytes_of(categorical()), "cells")
    with pytest.raises(UsageError, match="has no shared weights to score candidates with"):
        rank(cells, settings())
    unknown = read_artifact(bytes_of(posterior(), method=None), "run")
    with pytest.raises(ArtifactError, match="does not say how it was searched for"):
        rank(unknown, settings())


def test_other_images_than_the_searchs() -> None:
    then = run().provenance.data.model_copy(update={"fingerprint": "0" * 64})
    provenance = run().provenance.model_copy(update={"data": then})
    with pytest.raises(DataError, match="are not those that run.safetensors was made with"):
        rank(replace(run(), value=replace(run().value, provenance=provenance)), settings())


def test_a_file_that_says_no_images() -> None:
    provenance = run().provenance.model_copy(update={"data": None})
    with pytest.raises(ArtifactError, match=r"run.safetensors does not say what images it is for"):
        rank(replace(run(), value=replace(run().value, provenance=provenance)), settings())


def test_what_networks_are_drawn_from_says_what_its_candidates_are() -> None:
    for row in DISTRIBUTIONS.values():
        kind = load(row.target)
        assert bool(row.candidates) == (hasattr(kind, "sample") or kind is GaussianDistribution)
