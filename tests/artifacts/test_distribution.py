"""A distribution's file holds all of it, and nothing malformed becomes a distribution."""

from typing import Any

import numpy as np
import pytest

from nascli.artifacts import tensors
from nascli.artifacts.distribution import distribution_bytes, load_distribution
from nascli.errors import ArtifactError
from tests.artifacts.examples import mixture


@pytest.mark.parametrize("beta", [True, False])
def test_round_trip(beta: bool) -> None:
    distribution = mixture(5, beta=beta)
    data = distribution_bytes(distribution)
    read = load_distribution(data, "run.safetensors")
    assert distribution_bytes(read) == data
    assert distribution_bytes(mixture(5, beta=beta)) == data
    assert read.provenance == distribution.provenance
    assert read.mode() == distribution.mode()
    assert read.tensors().keys() == distribution.tensors().keys()
    for name, value in distribution.tensors().items():
        np.testing.assert_array_equal(read.tensors()[name], value)


def test_float64_stays_float64() -> None:
    distribution = mixture()
    alpha = {cell: values.astype(np.float64) for cell, values in distribution.alpha.items()}
    wide = type(distribution)("darts", 4, distribution.operations, alpha, None, distribution.provenance)
    assert load_distribution(distribution_bytes(wide), "x").alpha["normal"].dtype == np.float64


def altered(values: dict[str, np.ndarray] | None = None, **changes: object) -> bytes:
    """A distribution's file with other tensors or entries, under a right digest; None removes an entry."""
    arrays, document = tensors.decode(distribution_bytes(mixture()), "x")
    merged: dict[str, Any] = document | changes
    return tensors.encode(arrays | (values or {}), {key: value for key, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (altered(version=2), "was written by a newer nascli (format version 2; this one reads 1)"),
        (altered(version="1"), "version: must be a whole number"),
        (altered(format=None), 'it names no "format"'),
        (altered(format="nascli-model"), "'nascli-model' was found where 'nascli-distribution' is needed"),
        (altered(kind=None), "the document's fields are not those of a distribution"),
        (altered(more=1), "the document's fields are not those of a distribution"),
        (altered(kind="mixtur"), "kind: unknown kind of distribution 'mixtur': did you mean 'mixture'?"),
        (altered(kind=3), "kind: must be text, not 3"),
        (altered(settings=[]), "settings: must be an object"),
        (altered(settings={"nodes": 4}), 'a mixture needs "space" (text)'),
        (altered(settings={"space": "darts", "nodes": True, "operations": ["none"]}), 'a mixture needs "space" (text)'),
        (altered(settings={"space": "darts", "nodes": 4, "operations": ["none"]}), "operations: there is none but"),
        (altered(provenance={}), "provenance.nascli: is missing"),
        (altered({"gamma": np.zeros(3)}), "unknown tensor 'gamma'"),
        (altered({"alpha.other": np.zeros(3)}), "alpha: is for ['normal', 'other', 'reduce']"),
        (altered({"alpha.normal": np.zeros((14, 7), np.float32)}), "alpha.normal: has shape [14, 7]"),
        (altered({"beta.reduce": np.full(14, np.inf)}), "beta.reduce: has values that are not finite"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        load_distribution(data, "run.safetensors")
    assert str(caught.value).startswith("run.safetensors: ")
    assert message in str(caught.value)
