"""The genotype: what a search found, and all that a network is built from besides its size."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from nascli.artifacts import darts_text, strict_json
from nascli.artifacts.cell_genotype import Cell, CellGenotype, Pick
from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.formats import check_format, validate
from nascli.artifacts.frozen import Frozen
from nascli.artifacts.provenance import Provenance
from nascli.errors import ArtifactError

__all__ = [
    "Cell",
    "CellGenotype",
    "ChannelsGenotype",
    "Genotype",
    "GenotypeFile",
    "Pick",
    "genotype_bytes",
    "genotype_schema",
    "parse_genotype",
]

FORMAT = "nascli-genotype"
VERSION = 1

LARGEST_FILE = 1 << 22
"""Bytes of a genotype's file, 4 MiB. A cell takes some kilobytes, and its descent over data of 20,000 classes one
megabyte; what lies above is not parsed at all."""

# A further kind of genotype joins this line.
Genotype: TypeAlias = Annotated[CellGenotype | ChannelsGenotype, Field(discriminator="kind")]


class GenotypeFile(Frozen):
    """A genotype and where it comes from: the content of `cell.json`.

    `log_probability`, in nats, is the genotype's under the distribution that it was derived from, where that has one.
    """

    format: Literal["nascli-genotype"] = "nascli-genotype"
    version: Literal[1] = 1
    genotype: Genotype
    provenance: Provenance
    log_probability: float | None = Field(default=None, le=0, allow_inf_nan=False)


def parse_genotype(data: bytes, where: str) -> GenotypeFile:
    """Read a genotype: nascli's JSON, or DARTS's text form.

    `where` names the file in messages. Raises ArtifactError with the place of each fault in the file.
    """
    if len(data) > LARGEST_FILE:
        raise ArtifactError(f"{where}: is {len(data):,} bytes; a genotype has at most {LARGEST_FILE:,}")
    text = strict_json.text(data, where)
    if not text.lstrip().startswith("{"):
        return GenotypeFile(genotype=darts_text.parse(text, where), provenance=darts_text.PROVENANCE)
    document = strict_json.parse(text, where)
    check_format(document, where, FORMAT, VERSION)
    # Places are named from the cells on: "normal.nodes[1][0].op", not "genotype.normal.nodes[1][0].op".
    return validate(GenotypeFile, document, where, hidden="genotype")


def genotype_bytes(file: GenotypeFile) -> bytes:
    """The file's bytes: JSON that a person can read, the same for the same content."""
    document = file.model_dump(mode="json")
    if file.log_probability is None:
        del document["log_probability"]  # most cells were never drawn; their files need not say so
    return strict_json.pretty(document)


def genotype_schema() -> dict[str, Any]:
    """The JSON Schema of a genotype's file."""
    return GenotypeFile.model_json_schema()
