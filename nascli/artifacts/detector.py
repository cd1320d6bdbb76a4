"""The detector's file: trained weights, the genotype of its backbone, and all that is needed to find boxes with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from numpy.typing import NDArray
from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files import tensors
from nascli.artifacts.files.formats import check_format, validate
from nascli.artifacts.genotypes.genotype import CellGenotype, ChannelsGenotype, Genotype
from nascli.artifacts.model import parse_network, unfitting
from nascli.artifacts.provenance import ArtifactKind, Provenance
from nascli.errors import UsageError
from nascli.faults import custom_error
from nascli.frozen import Frozen
from nascli.graphs.detector import DetectorLayout
from nascli.graphs.taps import backbone
from nascli.spaces.network_settings import DataShape

FORMAT = "nascli-detector"
VERSION = 1


class DetectorSettings(Frozen):
    """What a detector has behind its backbone.

    `extra_channels`: of the first smaller map. The sides of default boxes, as shares of the image's, rise from
    `anchor_min` on the finest map to `anchor_max` on the coarsest.
    """

    extra_channels: int = Field(ge=4, le=4096)
    anchor_min: float = Field(gt=0, lt=1)
    anchor_max: float = Field(gt=0, le=1)


def layout_of(genotype: Genotype, network: DataShape, settings: DetectorSettings) -> DetectorLayout:
    """The detector as sizes. Raises UsageError for a network that cannot be a backbone, or impossible settings."""
    graph = genotype.graph(network)
    try:
        tapped = backbone(graph)
    except ValueError as error:
        raise UsageError(f"this network cannot be the backbone of a detector: {error}") from None
    return DetectorLayout(tapped, network.classes, settings.extra_channels)


@dataclass(frozen=True, eq=False)
class DetectorFile:
    """A trained detector: weights by name, what they belong to, and the metrics of the training.

    `network` and `data` are as in a `ModelFile`; pictures are squashed to squares. The classes are those of the data,
    without the background. The weights' names and shapes are checked where the detector is built.
    """

    artifact: ClassVar[ArtifactKind] = "detector"

    weights: Mapping[str, NDArray[Any]]
    genotype: Genotype
    network: DataShape
    settings: DetectorSettings
    data: DataInfo
    metrics: Mapping[str, float]
    provenance: Provenance

    @property
    def subject(self) -> CellGenotype | ChannelsGenotype:
        """What pictures and descriptions of the file show."""
        return self.genotype

    @cached_property
    def layout(self) -> DetectorLayout:
        """The detector as sizes. Raises UsageError for impossible settings, which no file that was read has."""
        return layout_of(self.genotype, self.network, self.settings)


class _Document(Frozen):
    format: Literal["nascli-detector"] = "nascli-detector"
    version: Literal[1] = 1
    genotype: Genotype
    network: SerializeAsAny[DataShape]
    settings: DetectorSettings
    data: DataInfo
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    provenance: Provenance

    @field_validator("network", mode="plain")
    @classmethod
    def _parse_network(cls, value: object, info: ValidationInfo) -> object:
        return parse_network(value, info)

    @model_validator(mode="after")
    def _network_fits_data(self) -> Self:
        faults = unfitting(self.network, self.data)
        if not faults:
            try:
                layout_of(self.genotype, self.network, self.settings)
            except UsageError as error:
                faults.append((("network",), str(error)))
        if faults:
            raise custom_error(faults)
        return self


def detector_bytes(file: DetectorFile) -> bytes:
    """The file's bytes, the same for the same content. Raises ValueError where the parts don't fit each other."""
    document = _Document(
        genotype=file.genotype,
        network=file.network,
        settings=file.settings,
        data=file.data,
        metrics=dict(file.metrics),
        provenance=file.provenance,
    )
    return tensors.encode(file.weights, document.model_dump(mode="json"))


def from_parts(values: Mapping[str, NDArray[Any]], document: Mapping[str, Any], where: str) -> DetectorFile:
    """A detector from its decoded file. Raises ArtifactError."""
    check_format(document, where, FORMAT, VERSION)
    checked = validate(_Document, dict(document), where)
    return DetectorFile(
        values,
        checked.genotype,
        checked.network,
        checked.settings,
        checked.data,
        checked.metrics,
        checked.provenance,
    )
