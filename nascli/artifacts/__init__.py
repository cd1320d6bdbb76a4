"""All that passes between stages: genotypes, distributions, models, run directories, and the files that hold them.

Names are imported when they are used: a genotype needs neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nascli.artifacts.categorical import CategoricalDistribution as CategoricalDistribution
    from nascli.artifacts.channels_genotype import ChannelsGenotype as ChannelsGenotype
    from nascli.artifacts.checkpoint import checkpoint_bytes as checkpoint_bytes
    from nascli.artifacts.checkpoint import load_checkpoint as load_checkpoint
    from nascli.artifacts.data_info import DataInfo as DataInfo
    from nascli.artifacts.distribution import Distribution as Distribution
    from nascli.artifacts.distribution import DistributionFile as DistributionFile
    from nascli.artifacts.distribution import distribution_bytes as distribution_bytes
    from nascli.artifacts.distribution import load_distribution as load_distribution
    from nascli.artifacts.files import check_output as check_output
    from nascli.artifacts.files import read_bytes as read_bytes
    from nascli.artifacts.files import sha256 as sha256
    from nascli.artifacts.files import write_atomically as write_atomically
    from nascli.artifacts.files import write_output as write_output
    from nascli.artifacts.genotype import Cell as Cell
    from nascli.artifacts.genotype import CellGenotype as CellGenotype
    from nascli.artifacts.genotype import Genotype as Genotype
    from nascli.artifacts.genotype import GenotypeFile as GenotypeFile
    from nascli.artifacts.genotype import Pick as Pick
    from nascli.artifacts.genotype import genotype_bytes as genotype_bytes
    from nascli.artifacts.genotype import genotype_schema as genotype_schema
    from nascli.artifacts.genotype import parse_genotype as parse_genotype
    from nascli.artifacts.load import LoadedArtifact as LoadedArtifact
    from nascli.artifacts.load import load_artifact as load_artifact
    from nascli.artifacts.load import read_artifact as read_artifact
    from nascli.artifacts.mixture import MixtureDistribution as MixtureDistribution
    from nascli.artifacts.model import ModelFile as ModelFile
    from nascli.artifacts.model import load_model_file as load_model_file
    from nascli.artifacts.model import model_bytes as model_bytes
    from nascli.artifacts.posterior import PosteriorDistribution as PosteriorDistribution
    from nascli.artifacts.provenance import Ancestor as Ancestor
    from nascli.artifacts.provenance import DataDescription as DataDescription
    from nascli.artifacts.provenance import Provenance as Provenance
    from nascli.artifacts.ranking import RankedCell as RankedCell
    from nascli.artifacts.ranking import RankingDistribution as RankingDistribution
    from nascli.artifacts.rundir import RunDir as RunDir

_HOMES = {
    "CategoricalDistribution": "categorical",
    "ChannelsGenotype": "channels_genotype",
    "checkpoint_bytes": "checkpoint",
    "load_checkpoint": "checkpoint",
    "DataInfo": "data_info",
    "Distribution": "distribution",
    "DistributionFile": "distribution",
    "MixtureDistribution": "mixture",
    "PosteriorDistribution": "posterior",
    "RankedCell": "ranking",
    "RankingDistribution": "ranking",
    "distribution_bytes": "distribution",
    "load_distribution": "distribution",
    "check_output": "files",
    "read_bytes": "files",
    "sha256": "files",
    "write_atomically": "files",
    "write_output": "files",
    "Cell": "genotype",
    "CellGenotype": "genotype",
    "Genotype": "genotype",
    "GenotypeFile": "genotype",
    "Pick": "genotype",
    "genotype_bytes": "genotype",
    "genotype_schema": "genotype",
    "parse_genotype": "genotype",
    "LoadedArtifact": "load",
    "load_artifact": "load",
    "read_artifact": "load",
    "ModelFile": "model",
    "load_model_file": "model",
    "model_bytes": "model",
    "Ancestor": "provenance",
    "DataDescription": "provenance",
    "Provenance": "provenance",
    "RunDir": "rundir",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
