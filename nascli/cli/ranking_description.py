"""What `nascli info` tells of a ranking of cells."""

from collections.abc import Mapping
from typing import Any

from nascli.artifacts.ranking import RankingDistribution
from nascli.cli.printing import aligned
from nascli.spaces.protocol import SKIP

RANKS_SHOWN = 20

_COLUMNS = {
    "rank": "{:>4}",
    "number": "{:>6}",
    "accuracy": "{:8.2%}",
    "reported": "{:8.2%}",
    "loss": "{:.4f}",
    "skips": "{:5.0%}",
}
"""Of the table, each with its form; those that a ranking does not have are left out."""

LABELS = {"cells": "cells ranked", "waiting": "cells waiting"}


def facts(value: RankingDistribution) -> dict[str, Any]:
    """How many cells were ranked, each with its scores and its skips, and how many wait."""
    return {
        "kind": value.kind,
        "space": value.space.name,
        "nodes": value.space.nodes,
        "cells": len(value.candidates),
        "waiting": len(value.waiting),
        "ranking": [
            {
                "rank": rank,
                "number": candidate.number,
                "accuracy": candidate.accuracy,
                "loss": candidate.loss,
                "reported": candidate.reported,
                "skips": candidate.genotype.share(SKIP),
            }
            for rank, candidate in enumerate(value.candidates, 1)
        ],
    }


def tables(facts: Mapping[str, Any]) -> list[str]:
    """The best cells of a ranking, a line each; JSON has all."""
    ranking = facts["ranking"]
    if not ranking:
        return []
    columns = [name for name in _COLUMNS if ranking[0][name] is not None]
    origin = facts["provenance"]["config"]
    by_table = {"accuracy": origin.get("choose_by", "accuracy"), "reported": origin.get("column", "reported")}
    rows = [tuple(by_table.get(name, name) for name in columns)]
    rows += [tuple(_COLUMNS[name].format(row[name]) for name in columns) for row in ranking[:RANKS_SHOWN]]
    more = f"\nand {len(ranking) - RANKS_SHOWN} more" if len(ranking) > RANKS_SHOWN else ""
    return [aligned(rows) + more]
