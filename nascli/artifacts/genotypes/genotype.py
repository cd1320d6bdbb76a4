"""The genotype: what a search found, and all that is needed to build a network except its size."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from nascli.artifacts.files import strict_json
from nascli.artifacts.files.formats import check_format, validate
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.provenance import ArtifactKind, Provenance
from nascli.errors import ArtifactError, UsageError
from nascli.frozen import Frozen
from nascli.spaces import space_of_text, text_forms
from nascli.spaces.cell_genotype import Cell, CellGenotype, Pick

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
"""The most bytes of a genotype's file, 4 MiB. A cell takes some kilobytes, its descent over data of 20,000 classes one
megabyte. Larger files are not parsed at all."""

# A new kind of genotype joins this line.
Genotype: TypeAlias = Annotated[CellGenotype | ChannelsGenotype, Field(discriminator="kind")]


class GenotypeFile(Frozen):
    """A genotype and where it comes from: the content of `cell.json`.

    `log_probability`, in nats, is the genotype's under the distribution that it was derived from, if that knows one.
    """

    artifact: ClassVar[ArtifactKind] = "genotype"

    format: Literal["nascli-genotype"] = "nascli-genotype"
    version: Literal[1] = 1
    genotype: Genotype
    provenance: Provenance
    log_probability: float | None = Field(default=None, le=0, allow_inf_nan=False)

    @property
    def subject(self) -> CellGenotype | ChannelsGenotype:
        """What pictures and descriptions of the file show."""
        return self.genotype


def parse_genotype(data: bytes, where: str) -> GenotypeFile:
    """Read a genotype: nascli's JSON, or the text form of a space.

    `where` names the file in messages. Raises ArtifactError with the place of each fault in the file.
    """
    if len(data) > LARGEST_FILE:
        raise ArtifactError(f"{where}: is {len(data):,} bytes; a genotype has at most {LARGEST_FILE:,}")
    text = strict_json.text(data, where)
    if not text.lstrip().startswith("{"):
        return _from_text(text, where)
    document = strict_json.parse(text, where)
    check_format(document, where, FORMAT, VERSION)
    # Messages name places from the genotype's own fields on: "cells.normal.nodes[1][0].op".
    return validate(GenotypeFile, document, where, hidden="genotype")


def _from_text(text: str, where: str) -> GenotypeFile:
    space = space_of_text(text)
    if space is None:
        raise ArtifactError(f"{where}: is neither JSON nor a genotype as text, which looks like {text_forms()}")
    note = f"read from the text form of {space.name}, which says nothing of its origin"
    origin = Provenance(
        nascli="", stage="published", method=None, seed=None, config={}, data=None, made_from=None, note=note
    )
    return GenotypeFile(genotype=space.parse(text, where), provenance=origin)


def as_text(genotype: Genotype) -> str:
    """A genotype in its space's text form, on one line. Raises UsageError if the form cannot express it."""
    return genotype.text().strip()


def text_form(genotype: Genotype, space: str) -> bytes:
    """A genotype in the text form of a space. Raises UsageError if it is of another or the form cannot express it."""
    if genotype.space != space:
        raise UsageError(
            f"the text form of {space} is for its cells, not for a genotype of the space {genotype.space}: use JSON"
        )
    return genotype.text().encode()


def genotype_bytes(file: GenotypeFile) -> bytes:
    """The file's bytes: JSON that a person can read, the same for the same content."""
    document = file.model_dump(mode="json")
    if file.log_probability is None:
        del document["log_probability"]  # most cells were not drawn, and their files leave it out
    return strict_json.pretty(document)


def genotype_schema() -> dict[str, Any]:
    """The JSON Schema of a genotype's file."""
    return GenotypeFile.model_json_schema()
