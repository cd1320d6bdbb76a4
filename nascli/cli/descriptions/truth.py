"""What `nascli info --table` shows: the true accuracies of a genotype, or of a distribution's cells."""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.genotypes.genotype import Genotype, GenotypeFile, as_text
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.artifacts.truth import TruthTable
from nascli.cli.output.printing import aligned
from nascli.core.engine.offers import KnowsProbabilities, OffersMode
from nascli.errors import UsageError


def truth_facts(found: LoadedArtifact[Artifact], table: TruthTable, *, expected: bool) -> dict[str, Any]:
    """The true accuracy of a genotype, or of a distribution's mode, by every column of a table.

    expected: also the mean accuracy under the distribution. Raises UsageError for cells of another space than the
    table's, for channels, and for a distribution without a mode or, with `expected`, without probabilities of cells.
    """
    genotype = _genotype(found)
    probabilities = _probabilities(found, table) if expected else None
    columns = []
    for column in table.columns:
        worth = table.worth(genotype, column)
        columns.append(
            {
                "column": column,
                "accuracy": worth.accuracy,
                "rank": worth.rank,
                "better": worth.better,
                "gap": worth.gap,
                "best": table.best(column),
                "median": table.median(column),
                **({} if probabilities is None else {"expected": table.expected(probabilities, column)}),
            }
        )
    return {"architecture": as_text(genotype), "cells": len(table), "columns": columns}


def _genotype(found: LoadedArtifact[Artifact]) -> Genotype:
    """The genotype to look up. Raises UsageError for a distribution that stands for none."""
    match found.value:
        case GenotypeFile(genotype=genotype) | ModelFile(genotype=genotype) | DetectorFile(genotype=genotype):
            return genotype
        case DistributionFile(distribution=distribution):
            if not isinstance(distribution, OffersMode):
                raise UsageError(f"{found.where} is a {distribution.noun}, which stands for no cell: leave --table out")
            return distribution.mode()
        case RankingPartFile():
            raise UsageError(f"{found.where} is a {found.kind}, which stands for no cell: leave --table out")


def _probabilities(found: LoadedArtifact[Artifact], table: TruthTable) -> Sequence[float]:
    what: str = found.kind
    if isinstance(found.value, DistributionFile):
        distribution = found.value.distribution
        if isinstance(distribution, KnowsProbabilities):
            return [exp(distribution.log_probability(genotype)) for genotype in table.genotypes]
        what = distribution.noun
    raise UsageError(f"{found.where} is a {what}, which gives cells no probability: leave --expected out")


def truth_table(facts: Mapping[str, Any]) -> str:
    """A line per column of the table."""
    head = ("true accuracy (%)", "", "rank", "better", "below the best", "best", "median")
    several = "expected" in facts["columns"][0]
    rows: list[tuple[str, ...]] = [(*head, "expected") if several else head]
    for row in facts["columns"]:
        figures = (
            f"{row['accuracy']:6.2f}",
            f"{row['rank']:,} of {facts['cells']:,}",
            f"{row['better']:6.1%}",
            f"{row['gap']:14.2f}",
            f"{row['best']:6.2f}",
            f"{row['median']:6.2f}",
        )
        rows.append((row["column"], *figures, *([f"{row['expected']:8.2f}"] if several else [])))
    return f"{facts['architecture']}\n{aligned(rows)}"
