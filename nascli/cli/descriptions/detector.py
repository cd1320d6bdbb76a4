"""The facts about a detector, trained or only sized."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.config import DetectConfig, check_scenes, describe
from nascli.errors import UsageError
from nascli.registry import SCENES
from nascli.spaces.network_settings import DataShape


def detector_facts(file: DetectorFile) -> dict[str, Any]:
    """Content and sizes of a trained detector."""
    return {
        **file.genotype.facts(file.network),
        **file.layout.facts(),
        "settings": {**_shown(file.network), **file.settings.model_dump(mode="json")},
        "data": file.data.model_dump(mode="json"),
        "metrics": dict(file.metrics),
    }


def describe_as_detector(
    found: LoadedArtifact[Artifact], dataset: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Kind, content, sizes and descent of a genotype, as the backbone of the detector that a training would build."""
    from nascli.core.engine.sizing import detector_layout

    genotype = found.holding(GenotypeFile).value.genotype
    name = dataset or "coco"
    check_scenes(name)
    row = SCENES[name]
    own = {key: value for key, value in given.items() if key in DetectConfig.model_fields}
    try:
        config = DetectConfig(dataset=name, space=genotype.space, **own)
        shape = DataShape(
            classes=given.get("classes", row.classes),
            image_channels=row.image_channels,
            image_size=config.image_size or row.image_size,
        )
        network, settings, layout = detector_layout(genotype, config, shape)
    except ValidationError as error:
        raise UsageError(describe(error)) from None
    return {
        "file": found.where,
        "artifact": found.kind,
        "sha256": found.sha256,
        **genotype.facts(network),
        **layout.facts(),
        "settings": {**_shown(network), **settings.model_dump(mode="json")},
        "dataset": name,
        "provenance": found.provenance.model_dump(mode="json"),
    }


def maps_text(maps: Sequence[Mapping[str, int]]) -> str:
    """The maps that boxes are found on, in words."""
    return ", ".join(f"{one['side']}x{one['side']} ({one['channels']} channels)" for one in maps)


def size_text(size: Mapping[str, int]) -> str:
    """A part's share of the size, in words."""
    return f"{size['parameters']:,} parameters, {size['multiply_adds']:,} multiply-adds"


def _shown(network: DataShape) -> dict[str, Any]:
    return network.model_dump(mode="json", exclude={"auxiliary"})
