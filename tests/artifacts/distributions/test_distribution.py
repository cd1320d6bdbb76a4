"""A distribution's file holds all of it, and nothing malformed becomes a distribution."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nascli.artifacts.distributions.distribution import Distribution, distribution_bytes
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.artifacts.files import tensors
from nascli.artifacts.load import read_artifact
from nascli.errors import ArtifactError
from nascli.registry import DISTRIBUTIONS
from nascli.spaces import cell_space
from tests.artifacts.examples import METHODS, bytes_of, categorical, file_of, gaussian, mixture, posterior, trials

DARTS = cell_space("darts")


@pytest.mark.parametrize(("space", "nodes"), [("darts", 5), ("nas-bench-201", 3)])
@pytest.mark.parametrize("beta", [True, False])
def test_round_trip(beta: bool, space: str, nodes: int) -> None:
    distribution = mixture(nodes, beta=beta, space=space)
    file = file_of(distribution, note="α")
    data = distribution_bytes(file)
    read = read_artifact(data, "run.safetensors").value
    assert distribution_bytes(read) == data
    assert distribution_bytes(file_of(mixture(nodes, beta=beta, space=space), note="α")) == data
    assert read.provenance == file.provenance
    assert isinstance(read.distribution, MixtureDistribution)
    assert read.distribution.space == cell_space(space, nodes)
    assert read.distribution.mode() == distribution.mode()
    assert read.distribution.tensors().keys() == distribution.tensors().keys()
    for name, value in distribution.tensors().items():
        np.testing.assert_array_equal(read.distribution.tensors()[name], value)


def test_float64_stays_float64() -> None:
    alpha = {cell: values.astype(np.float64) for cell, values in mixture().alpha.items()}
    read = read_artifact(bytes_of(MixtureDistribution(DARTS, alpha, None)), "x").value.distribution
    assert isinstance(read, MixtureDistribution)
    assert read.alpha["normal"].dtype == np.float64


@pytest.mark.parametrize("make", [mixture, categorical, trials, posterior, gaussian])
def test_every_kind_is_of_the_registry_and_of_the_one_shape(make: Callable[[], Distribution]) -> None:
    """Its row names its class, and it has all members of `Distribution`."""
    distribution = make()
    assert isinstance(distribution, Distribution)
    module, _, name = DISTRIBUTIONS[distribution.kind].target.partition(":")
    assert (type(distribution).__module__, type(distribution).__name__) == (module, name)
    read = read_artifact(bytes_of(distribution), "x").value.distribution
    assert type(read) is type(distribution)
    assert read.settings() == distribution.settings()


def test_the_examples_are_of_all_kinds() -> None:
    assert METHODS.keys() == DISTRIBUTIONS.keys()


def altered(values: dict[str, np.ndarray] | None = None, **changes: object) -> bytes:
    """A distribution's file with other tensors or entries (None removes one), and a matching digest."""
    arrays, document = tensors.decode(bytes_of(mixture()), "x")
    merged: dict[str, Any] = document | changes
    return tensors.encode(arrays | (values or {}), {key: value for key, value in merged.items() if value is not None})


def of_space(**changes: object) -> dict[str, Any]:
    """What a mixture's file says about its space, with entries changed."""
    return mixture().settings() | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(version=2), "was written by a newer nascli (format version 2; this one reads 1)"),
        (altered(version="1"), "version: must be a whole number"),
        (altered(format=None), 'it names no "format"'),
        (altered(format="nascli-model"), "genotype: is missing; network: is missing"),
        (altered(kind=None), "the document's fields are not those of a distribution"),
        (altered(more=1), "the document's fields are not those of a distribution"),
        (altered(kind="mixtur"), "kind: unknown kind of distribution 'mixtur': did you mean 'mixture'?"),
        (altered(kind="ranking"), "'ranking'. Known: categorical, gaussian, mixture, posterior, trials"),
        (altered(kind=3), "kind: must be text, not 3"),
        (altered(settings=[]), "settings: must be an object"),
        (altered(settings={"nodes": 4}), 'a mixture needs "space" (text)'),
        (altered(settings={"space": "darts", "nodes": True, "operations": ["none"]}), 'a mixture needs "space" (text)'),
        (altered(settings=of_space(more=1)), 'a mixture needs "space" (text)'),
        (altered(settings=of_space(space="dart")), "space: unknown space 'dart': did you mean 'darts'?"),
        (altered(settings=of_space(space="s" * 9000)), "space: unknown space 'sssss"),
        (altered(settings=of_space(nodes=0)), "nodes: 0 is less than 1"),
        (altered(settings=of_space(nodes=-1)), "nodes: -1 is less than 1"),
        (altered(settings=of_space(nodes=13)), "nodes: cells of the space darts have 1 to 12 nodes, not 13"),
        (altered(settings=of_space(nodes=10**50)), "nodes: cells of the space darts have 1 to 12 nodes, not 1000"),
        (altered(settings=of_space(nodes=5)), "alpha.normal: has shape [14, 8]; [20, 8] is needed"),
        (altered(settings=of_space(operations=["none"])), "operations: ['none'] are not those of the space 'darts', ["),
        (altered(settings=of_space(operations=[*DARTS.operations[::-1]])), "are not those of the space 'darts'"),
        (altered(settings=of_space(operations=[1])), 'a mixture needs "space" (text)'),
        (
            altered(settings=of_space(space="nas-bench-201", nodes=4)),
            "nodes: cells of the space nas-bench-201 have 3 nodes, not 4",
        ),
        (
            altered(settings=of_space(space="nas-bench-201", nodes=3)),
            "are not those of the space 'nas-bench-201', ['none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3'",
        ),
        (altered(provenance={}), "provenance.nascli: is missing"),
        (altered({"gamma": np.zeros(3)}), "unknown tensor 'gamma'"),
        (altered({"alpha.other": np.zeros(3)}), "alpha: is for ['normal', 'other', 'reduce']"),
        (altered({"alpha.normal": np.zeros((14, 7), np.float32)}), "alpha.normal: has shape [14, 7]"),
        (altered({"beta.reduce": np.full(14, np.inf)}), "beta.reduce: has values that are not finite"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(data, "run.safetensors")
    assert str(caught.value).startswith("run.safetensors: ")
    assert message in str(caught.value)
