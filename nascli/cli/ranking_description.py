"""What `nascli info` tells of a ranking of cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from nascli.artifacts.ranking import RankingDistribution
from nascli.cli.printing import aligned

RANKS_SHOWN = 20


def ranking_facts(value: RankingDistribution) -> dict[str, Any]:
    """How many cells were ranked, each with its scores and its skips, and how many wait."""
    return {
        "kind": value.kind,
        "space": value.space,
        "nodes": value.nodes,
        "cells": len(value.candidates),
        "waiting": len(value.waiting),
        "ranking": [
            {
                "rank": rank,
                "number": candidate.number,
                "accuracy": candidate.accuracy,
                "loss": candidate.loss,
                "skips": candidate.genotype.share("skip_connect"),
            }
            for rank, candidate in enumerate(value.candidates, 1)
        ],
    }


def ranking_table(ranking: Sequence[Mapping[str, Any]]) -> str:
    """The best cells of a ranking, a line each; JSON has all."""
    rows = [("rank", "number", "accuracy", "loss", "skips")]
    rows += [
        (
            f"{row['rank']:>4}",
            f"{row['number']:>6}",
            f"{row['accuracy']:8.2%}",
            f"{row['loss']:.4f}",
            f"{row['skips']:5.0%}",
        )
        for row in ranking[:RANKS_SHOWN]
    ]
    more = f"\nand {len(ranking) - RANKS_SHOWN} more" if len(ranking) > RANKS_SHOWN else ""
    return aligned(rows) + more
