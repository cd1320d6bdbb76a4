"""A detector's file holds the weights, the genotype of its backbone, and what is behind it."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from nascli.artifacts.detector import DetectorFile, DetectorSettings, detector_bytes
from nascli.artifacts.files import tensors
from nascli.artifacts.load import read_artifact
from nascli.artifacts.model import ModelFile
from nascli.errors import ArtifactError
from tests.artifacts.examples import channels_model_file, model_file

SETTINGS = DetectorSettings(extra_channels=8, anchor_min=0.2, anchor_max=0.9)


def detector(file: ModelFile) -> DetectorFile:
    weights = {"backbone.body.stem.conv.weight": np.zeros((2, 3), np.float32)}
    return DetectorFile(weights, file.genotype, file.network, SETTINGS, file.data, {"ap": 0.25}, file.provenance)


@pytest.mark.parametrize("make", [model_file, channels_model_file])
def test_round_trip(make):
    file = detector(make())
    data = detector_bytes(file)
    read = read_artifact(data, "d.safetensors").holding(DetectorFile).value
    assert detector_bytes(read) == data
    assert (read.settings, read.metrics) == (SETTINGS, {"ap": 0.25})
    assert read.layout.classes == len(file.data.classes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it["settings"].update(extra_channels=0), "settings.extra_channels"),
        (lambda it: it["settings"].update(more=1), "settings.more"),
        (lambda it: it["network"].update(classes=99), "network.classes: 99 outputs for"),
        (lambda it: it.pop("settings"), "settings"),
        (lambda it: it.update(version=2), "newer"),
    ],
)
def test_a_document_that_is_wrong_is_refused_with_its_place(change, told):
    values, document = tensors.decode(detector_bytes(detector(model_file())), "x")
    change(document)
    with pytest.raises(ArtifactError, match=rf"x: .*{told}|x.*{told}") as error:
        read_artifact(tensors.encode(values, document), "x")
    assert "\n" not in str(error.value)


def test_parts_that_do_not_fit_are_not_written():
    file = detector(model_file())
    strange = replace(file, data=file.data.model_copy(update={"classes": ("only",)}))
    with pytest.raises(ValidationError, match="outputs for 1 classes"):
        detector_bytes(strange)


def test_a_classifier_where_a_detector_is_wanted_says_how_to_make_one():
    from nascli.artifacts.model import model_bytes

    model = read_artifact(model_bytes(model_file()), "m.safetensors")
    with pytest.raises(
        ArtifactError, match=r"m.safetensors holds a model, not a detector: make one with 'nascli train "
    ):
        model.holding(DetectorFile)
