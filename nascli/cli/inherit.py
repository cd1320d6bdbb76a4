"""What a stage takes over from the file that it starts from, where it is not told otherwise."""

from collections.abc import Mapping
from typing import Any

from nascli.artifacts.distribution import Distribution
from nascli.artifacts.load import LoadedArtifact
from nascli.registry import METHODS

DATA = ("dataset", "data_dir", "image_size", "skip_corrupt")


def inherited_method(start: LoadedArtifact) -> dict[str, Any]:
    """The method that made the file, where one did."""
    method = start.provenance.method
    return {"method": method} if method in METHODS else {}


def inherited(start: LoadedArtifact, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method that made the file, whose recipe counts, and the images that it was made with.

    Where another data set is given, nothing of the old one's whereabouts is kept. A file that no search made, such as
    a published cell, has nothing to pass on.
    """
    found = inherited_method(start)
    trained = next((p.config for p in start.provenance.descent() if "dataset" in p.config), {})
    if given.get("dataset") in (None, trained.get("dataset")):
        found |= {name: trained[name] for name in DATA if trained.get(name) is not None}
    if isinstance(start.value, Distribution):
        found |= start.value.shared_settings()
    return found
