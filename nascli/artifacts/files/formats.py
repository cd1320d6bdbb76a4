"""What all documents share: a format, a version, and a strict check by pydantic models."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from nascli.errors import ArtifactError
from nascli.faults import Fault, artifact_error, faults_of, shorten
from nascli.frozen import Frozen

CHECKPOINT = "nascli-checkpoint"
"""The format of a run's checkpoint. It stands here because `nascli.artifacts.runs.checkpoint` imports torch."""

Model = TypeVar("Model", bound=Frozen)


def check_format(document: Mapping[str, Any], where: str, name: str, newest: int) -> None:
    """Raise ArtifactError unless the document says `"format": name` and a version that this nascli reads."""
    if "format" not in document:
        raise ArtifactError(f'{where}: is not a file of nascli: it names no "format"')
    if document["format"] != name:
        raise ArtifactError(f"{where}: format: {shorten(document['format'])} was found where {name!r} is needed")
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ArtifactError(f"{where}: version: must be a whole number from 1 to {newest}, not {shorten(version)}")
    if version > newest:
        raise ArtifactError(
            f"{where}: was written by a newer nascli (format version {shorten(version)}; this one reads {newest}): "
            "upgrade nascli"
        )


def validate(model: type[Model], value: object, where: str, *, at: str = "", hidden: str = "") -> Model:
    """Parsed JSON as a model, without any conversion of types. Raises ArtifactError.

    `at` is the place of `value` in the file. Messages leave the part `hidden` out where a place begins with it.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise artifact_error(where, [_in_file(model, fault, at, hidden) for fault in faults_of(error)]) from None


def _in_file(model: type[Frozen], fault: Fault, at: str, hidden: str) -> Fault:
    place, text = fault
    field = model.model_fields.get(str(place[0])) if len(place) > 1 else None
    if field is not None and field.discriminator not in (None, place[1]):
        place = (place[0], *place[2:])  # pydantic also names the member of a union, which is no place in the file
    if at:
        place = (at, *place)
    if hidden and len(place) > 1 and place[0] == hidden:
        place = place[1:]
    return place, text
