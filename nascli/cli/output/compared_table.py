"""The table of cells that were trained alike and compared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nascli.cli.output.printing import aligned

if TYPE_CHECKING:
    from nascli.core.engine.compare import Comparison


def compared_table(found: "Comparison") -> str:
    """A row per cell, the best first: how its networks do on the held-out images, and how big they are."""
    several = len(found.cells[0].seeds) > 1
    what = "mean validation accuracy" if several else "validation accuracy"
    rows: list[Sequence[object]] = [("rank", "cell", what, "loss", "parameters", "models")]
    rows += [
        (
            str(one.rank),
            one.cell,
            f"{one.validation_accuracy:.2%}",
            "-" if one.validation_loss is None else f"{one.validation_loss:.4f}",
            f"{one.parameters:,}",
            " ".join(one.models),
        )
        for one in found.cells
    ]
    table = [] if found.table is None else [f"table: {found.table}"]
    return "\n".join([aligned(rows), *table])


def compared_facts(found: "Comparison", best: str) -> dict[str, Any]:
    """The same as JSON. best: the best cell, as it was given."""
    return {
        "best": best,
        "table": None if found.table is None else str(found.table),
        "cells": [one.model_dump(mode="json") for one in found.cells],
    }
