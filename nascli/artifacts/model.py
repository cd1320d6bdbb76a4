"""The model's file: trained weights, and all that is needed to build their network and feed it images."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from numpy.typing import NDArray
from pydantic import (
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.files import tensors
from nascli.artifacts.files.formats import check_format, validate
from nascli.artifacts.genotypes.genotype import CellGenotype, ChannelsGenotype, Genotype
from nascli.artifacts.provenance import ArtifactKind, Provenance
from nascli.errors import UsageError
from nascli.faults import Fault, custom_error, faults_of
from nascli.frozen import Frozen
from nascli.graphs.graph import Graph
from nascli.spaces.network_settings import DataShape, NetworkSettings

__all__ = ["DataShape", "ModelFile", "NetworkSettings", "load_model_file", "model_bytes"]

FORMAT = "nascli-model"
VERSION = 1


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A trained network: weights by name, what they belong to, and the metrics (accuracies 0 to 1) of the training.

    `network` is what the genotype leaves open (its `leaves_open`). The weights' names and shapes are checked where the
    network is built.
    """

    artifact: ClassVar[ArtifactKind] = "model"

    weights: Mapping[str, NDArray[Any]]
    genotype: Genotype
    network: DataShape
    data: DataInfo
    metrics: Mapping[str, float]
    provenance: Provenance

    @property
    def subject(self) -> CellGenotype | ChannelsGenotype:
        """What pictures and descriptions of the file show."""
        return self.genotype

    @cached_property
    def graph(self) -> Graph:
        """The network, as data. Raises UsageError for impossible settings, which no file that was read has."""
        return self.genotype.graph(self.network)


def parse_network(value: object, info: ValidationInfo) -> object:
    """The settings of a document's network, of the class that its genotype asks for. For a plain field validator."""
    genotype = info.data.get("genotype")
    if genotype is None:
        return value  # only the genotype's own faults are reported
    given = value.model_dump() if isinstance(value, DataShape) else value
    try:
        settings: DataShape = genotype.leaves_open.model_validate(given, strict=True)
        return settings
    except ValidationError as error:
        raise custom_error(faults_of(error)) from None


def unfitting(network: DataShape, data: DataInfo) -> list[Fault]:
    """Where a network does not fit the images that it is said to be for."""
    faults: list[Fault] = []
    if network.classes != len(data.classes):
        text = f"{network.classes} outputs for {len(data.classes)} classes"
        faults.append((("network", "classes"), text))
    if network.image_channels != data.channels:
        text = f"{network.image_channels} for images of {data.channels}"
        faults.append((("network", "image_channels"), text))
    if network.image_size != data.image_size:
        text = f"{network.image_size} for images of {data.image_size} pixels a side"
        faults.append((("network", "image_size"), text))
    return faults


class _Document(Frozen):
    format: Literal["nascli-model"] = "nascli-model"
    version: Literal[1] = 1
    genotype: Genotype
    network: SerializeAsAny[DataShape]
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
                self.genotype.graph(self.network)
            except UsageError as error:
                faults.append((("network",), str(error)))
        if faults:
            raise custom_error(faults)
        return self


def model_bytes(file: ModelFile) -> bytes:
    """The file's bytes, the same for the same content.

    Weights may be arrays of numpy or tensors of torch. Raises ValueError where the parts don't fit each other.
    """
    document = _Document(
        genotype=file.genotype,
        network=file.network,
        data=file.data,
        metrics=dict(file.metrics),
        provenance=file.provenance,
    )
    return tensors.encode(file.weights, document.model_dump(mode="json"))


def load_model_file(data: bytes, where: str) -> ModelFile:
    """Read a model's file. Raises ArtifactError with the place of each fault."""
    values, document = tensors.decode(data, where)
    return from_parts(values, document, where)


def from_parts(values: Mapping[str, NDArray[Any]], document: Mapping[str, Any], where: str) -> ModelFile:
    """A model from its decoded file. Raises ArtifactError."""
    check_format(document, where, FORMAT, VERSION)
    checked = validate(_Document, dict(document), where)
    return ModelFile(values, checked.genotype, checked.network, checked.data, checked.metrics, checked.provenance)
