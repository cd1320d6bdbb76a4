"""All that passes between stages: genotypes, distributions, models, run directories, and the files that hold them.

Names are imported when they are used: a genotype needs neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nascli.artifacts.data_info import DataInfo as DataInfo
    from nascli.artifacts.genotype import Cell as Cell
    from nascli.artifacts.genotype import CellGenotype as CellGenotype
    from nascli.artifacts.genotype import Genotype as Genotype
    from nascli.artifacts.genotype import GenotypeFile as GenotypeFile
    from nascli.artifacts.genotype import Pick as Pick
    from nascli.artifacts.genotype import genotype_bytes as genotype_bytes
    from nascli.artifacts.genotype import genotype_schema as genotype_schema
    from nascli.artifacts.genotype import parse_genotype as parse_genotype
    from nascli.artifacts.network_settings import NetworkSettings as NetworkSettings
    from nascli.artifacts.provenance import Ancestor as Ancestor
    from nascli.artifacts.provenance import DataDescription as DataDescription
    from nascli.artifacts.provenance import Provenance as Provenance

_HOMES = {
    "Ancestor": "provenance",
    "Cell": "genotype",
    "CellGenotype": "genotype",
    "DataDescription": "provenance",
    "DataInfo": "data_info",
    "Genotype": "genotype",
    "GenotypeFile": "genotype",
    "NetworkSettings": "network_settings",
    "Pick": "genotype",
    "Provenance": "provenance",
    "genotype_bytes": "genotype",
    "genotype_schema": "genotype",
    "parse_genotype": "genotype",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
