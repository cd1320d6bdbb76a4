"""What `nascli info --table` tells of a genotype or a distribution: what its cells are really worth."""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from nascli.artifacts.distribution import DistributionFile
from nascli.artifacts.genotype import CellGenotype, GenotypeFile, as_text
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.truth import TruthTable
from nascli.cli.printing import aligned
from nascli.errors import UsageError


def truth_facts(found: LoadedArtifact[Artifact], table: TruthTable, *, expected: bool) -> dict[str, Any]:
    """The worth of a genotype's cells, or of the mode of a distribution, by every column of a table.

    expected: the mean accuracy under the distribution, too. Raises UsageError for other cells than the table's, for
    channels, and where a distribution gives cells no probability.
    """
    genotype = _genotype(found)
    facts: dict[str, Any] = {"architecture": as_text(genotype), "cells": len(table), "columns": []}
    probabilities = _probabilities(found, table) if expected else None
    for column in table.columns:
        worth = table.worth(genotype, column)
        facts["columns"].append(
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
    return facts


def _genotype(found: LoadedArtifact[Artifact]) -> CellGenotype:
    match found.value:
        case GenotypeFile(genotype=genotype) | ModelFile(genotype=genotype):
            pass
        case DistributionFile(distribution=distribution):
            if not hasattr(distribution, "mode"):
                raise UsageError(f"{found.where} is a {distribution.kind}, which stands for no cell: leave --table out")
            genotype = distribution.mode()
    if not isinstance(genotype, CellGenotype):
        raise UsageError(f"{found.where} is about channels, and a table knows cells: leave --table out")
    return genotype


def _probabilities(found: LoadedArtifact[Artifact], table: TruthTable) -> Sequence[float]:
    distribution = found.value.distribution if isinstance(found.value, DistributionFile) else None
    if distribution is None or not hasattr(distribution, "log_probability"):
        what = found.kind if distribution is None else distribution.kind
        raise UsageError(f"{found.where} is a {what}, which gives cells no probability: leave --expected out")
    return [exp(distribution.log_probability(genotype)) for genotype in table.genotypes]


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
