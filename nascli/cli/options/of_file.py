"""The values that a stage takes from the file that it starts from, unless they are given."""

from collections.abc import Mapping, Sequence
from typing import Any

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.cli.options.of_config import UNUSED, flag
from nascli.config import SearchConfig, TrainConfig
from nascli.errors import UsageError
from nascli.registry import METHODS, SPACES_OF
from nascli.settings import settings_class
from nascli.settings.groups import NETWORK_SIZE

DATA = ("dataset", "data_dir", "image_size", "skip_corrupt")


def inherited_method(start: LoadedArtifact[Artifact]) -> dict[str, Any]:
    """The method that made the file, if one did."""
    method = start.provenance.method
    return {"method": method} if method in METHODS else {}


def inherited(start: LoadedArtifact[Artifact], given: Mapping[str, Any]) -> dict[str, Any]:
    """The method that made the file, whose recipe is used, and the images that it was made with.

    If another data set is given, the place of the old one is dropped. A file that no search made, such as a published
    cell, has nothing to pass on.
    """
    found = inherited_method(start)
    trained = next((p.config for p in start.provenance.descent() if "dataset" in p.config), {})
    same_images = given.get("dataset") in (None, trained.get("dataset"))
    if same_images:
        found |= {name: trained[name] for name in DATA if trained.get(name) is not None}
    if isinstance(start.value, DistributionFile):
        shared = start.distribution.shared_settings(start.provenance)
        if not same_images:
            shared.pop("limit_train", None)
        if given.get("space", shared["space"]) != shared["space"]:
            shared = {}  # The only fault to report is that the file is of another space.
        found |= _known_to_method(shared, given.get("method", found.get("method")))
    elif isinstance(start.value, GenotypeFile):
        found["space"] = start.value.genotype.space
    return found


def of_model(start: LoadedArtifact[ModelFile], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a training that starts from a model takes from it: its method, its images or at least the size in which the
    model saw them, and the size of its network.
    """
    size = start.value.network.model_dump()
    return inherited(start, given) | {name: size[name] for name in (*NETWORK_SIZE, "image_size") if name in size}


def _known_to_method(shared: dict[str, Any], method: str | None) -> dict[str, Any]:
    """The values in `shared` for which the method has a setting. A method that cannot use the file is refused later."""
    if method is None or method not in METHODS:
        return shared
    row = METHODS[method]
    names = set(settings_class(method).model_fields) | SearchConfig.model_fields.keys()
    if shared.get("space") not in SPACES_OF[row.searches]:
        names.remove("space")
    return {name: value for name, value in shared.items() if name in names}


def inherited_by_all(starts: Sequence[LoadedArtifact[Artifact]], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that several files with one configuration pass on; a file that passes nothing on fits any.

    Raises UsageError if they disagree on a value that is not `given`: networks that are trained by different recipes or
    on different images cannot be compared.
    """
    shared: dict[str, Any] = {}
    first_with: dict[str, LoadedArtifact[Artifact]] = {}
    for start in starts:
        values = inherited(start, given)
        names = shared.keys() & values.keys()
        if "dataset" in names:  # A value that only one of them has counts as a difference, too.
            names |= {name for name in DATA if name in shared or name in values}
        for name in (name for name in {**shared, **values} if name in names - given.keys()):
            if (before := shared.get(name)) != (now := values.get(name)):
                first = first_with.get(name) or first_with["dataset"]
                way = f"say with {flag(name)} which of them all shall use"
                if name in UNUSED[TrainConfig]:
                    way = "train them one after the other"
                raise UsageError(f"{first.where} comes with {name} {before!r}, {start.where} with {now!r}: {way}")
        first_with = {**dict.fromkeys(values, start), **first_with}
        shared = {**values, **shared}
    return shared
