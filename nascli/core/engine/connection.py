"""Cells that nothing of the images gets through: told where they are derived, refused where they would be trained."""

from nascli.artifacts.genotype import CellGenotype, Genotype
from nascli.artifacts.load import LoadedGenotype
from nascli.config import TrainConfig
from nascli.errors import UsageError
from nascli.spaces.paths import disconnected_cells


def disconnection(genotype: Genotype) -> str:
    """Which cells of a genotype are disconnected and what that means, in words; empty where none is."""
    names = disconnected_cells(genotype) if isinstance(genotype, CellGenotype) else ()
    if not names:
        return ""
    subject = "the cell {} is" if len(names) == 1 else "the cells {} are"
    return (
        f"{subject.format(' and '.join(map(repr, names)))} disconnected: nothing of the images reaches the output, "
        "and the network can only guess"
    )


def check_connected(genotype: LoadedGenotype, config: TrainConfig) -> None:
    """Raise UsageError for a genotype that cannot learn, unless `config.force`."""
    if not config.force and (fault := disconnection(genotype.value.genotype)):
        raise UsageError(f"{genotype.where}: {fault}; --force trains it all the same")
