"""Searches with a table of true accuracies: what their cells are worth, or, for random search, all that it needs."""

from dataclasses import dataclass
from pathlib import Path

from nascli import __version__
from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.distributions.limits import NO_LIMITS
from nascli.artifacts.files.disk import refuse_overwriting
from nascli.artifacts.genotypes.genotype import Genotype
from nascli.artifacts.load import LoadedDistribution
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.truth import TruthTable, load_table
from nascli.config import SearchConfig
from nascli.core.engine.destination import Destination, check_destination
from nascli.core.engine.inputs import read_back
from nascli.core.engine.reporter import Reporter
from nascli.core.engine.sizing import drawing_limits, known_shape
from nascli.errors import UsageError
from nascli.registry import METHODS, load


@dataclass(frozen=True)
class Truth:
    """A table, the column that is reported of cells, and the one that random search chooses by."""

    table: TruthTable
    column: str
    choose_by: str

    @classmethod
    def of(cls, path: str | Path, column: str | None = None, choose_by: str | None = None) -> "Truth":
        """From a file. Without names, the columns are the first with "test" and the first with "valid" in its name.

        Raises ArtifactError for a table that is wrong, UsageError for columns that it lacks.
        """
        table = load_table(path)
        return cls(table, table.column(column, "test"), table.column(choose_by, "valid"))

    def tell(self, genotype: Genotype) -> str:
        """What a genotype is worth, in words."""
        worth, count = self.table.worth(genotype, self.column), len(self.table)
        return (
            f"{self.column} {worth.accuracy:.2f} %, rank {worth.rank:,} of {count:,} ({worth.better:.1%} are better), "
            f"{worth.gap:.2f} below the best; the median cell has {self.table.median(self.column):.2f} %"
        )


def check_truth(truth: Truth, config: SearchConfig, destination: Destination) -> None:
    """Raise UsageError for a table of other cells than those searched, or one that would be overwritten."""
    refuse_overwriting([destination.output], [truth.table.where])
    known = truth.table.space.name
    if known != config.space:
        of_cells = METHODS[config.method].searches == "cells"
        kind, way = ("cells of the space", f", or give --space {known}") if of_cells else ("channels of", "")
        raise UsageError(
            f"{truth.table.where} knows cells of the space {known}; this search is over {kind} {config.space}: "
            f"leave --table out{way}"
        )


def search_by_table(
    config: SearchConfig, truth: Truth, destination: Destination, reporter: Reporter
) -> LoadedDistribution:
    """The result of a search whose method needs no more than a table. No image is read, no run directory made.

    Raises UsageError for a table of other cells, or an output that cannot be written.
    """
    check_truth(truth, config, destination)
    if destination.resume or destination.run_dir is not None:
        option = "--resume" if destination.resume else "--run-dir"
        raise UsageError(f"a search by a table takes seconds and makes no run directory: leave {option} out")
    check_destination(destination, config, None)
    table = truth.table
    by_table = load(METHODS[config.method].by_table)
    limits = drawing_limits(config, known_shape(config))
    trials = by_table(config.space, config.settings, config.seed, table, truth.choose_by, truth.column, limits)
    if limits != NO_LIMITS:
        network = limits.network
        about = f", with {network.layers} cells and {network.channels} channels" if network is not None else ""
        reporter.notice(f"only cells within {limits}{about}")
    if truth.choose_by == truth.column:
        reporter.notice(f"chosen by {truth.column}, which is also reported: the best of many looks better than it is")
    origin = Provenance(
        nascli=__version__,
        stage=config.stage,
        method=config.method,
        seed=config.seed,
        config={
            "space": config.space,
            "trials": len(trials.done),
            **limits.facts(),
            "choose_by": truth.choose_by,
            "column": truth.column,
            "table": table.sha256,
        },
        data=None,
        made_from=None,
        note=f"looked up in a table, {truth.choose_by}, not trained",
    )
    content = distribution_bytes(DistributionFile(trials, origin))
    path = destination.write(content)
    reporter.notice(f"best of {len(trials.done):,} by {truth.choose_by}: {truth.tell(trials.mode())}")
    return read_back(content, path, DistributionFile)
