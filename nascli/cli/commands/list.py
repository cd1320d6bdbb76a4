"""`nascli list`: the rows of a table, by name."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from nascli import recipes
from nascli.cli.options.completion import among
from nascli.cli.options.shared import Json
from nascli.cli.output.printing import aligned, print_json
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown
from nascli.registry import DATASETS, METHODS, SCENES, SPACES, SUPERNETS, Dataset, SceneSet

Rows = list[dict[str, object]]


def _methods() -> Rows:
    return [{"name": name, "summary": row.summary, "paper": row.paper} for name, row in METHODS.items()]


def _supernets() -> Rows:
    return [
        {
            "name": name,
            "summary": row.summary,
            "paper": row.paper,
            "width": row.width,
            "stages": list(row.stages),
            "stride": row.stride,
            "dataset": row.dataset,
        }
        for name, row in SUPERNETS.items()
    ]


def _spaces() -> Rows:
    return [*map(_cells, SPACES), *map(_channels, SUPERNETS)]


def _cells(name: str) -> dict[str, object]:
    from nascli.spaces import cell_space
    from nascli.spaces.protocol import cell_count

    space, row = cell_space(name), SPACES[name]
    return {
        "name": name,
        "kind": "cells",
        "cells": list(space.cells),
        "edges": len(space.edges()),
        "operations": list(space.operations),
        "networks": cell_count(space),
        "summary": row.summary,
        "paper": row.paper,
    }


def _channels(name: str) -> dict[str, object]:
    row = SUPERNETS[name]
    return {"name": name, "kind": "channels", "summary": row.summary, "paper": row.paper}


def _spaces_table(rows: Rows) -> str:
    """How cells are built in each space, and how many there are; for darts with its usual four nodes."""
    head = ("space", "kind", "cells", "edges", "operations", "number of cells", "")
    lines = [
        (
            str(row["name"]),
            str(row["kind"]),
            *_figures(row),
            str(row["summary"]),
        )
        for row in rows
    ]
    return aligned([head, *lines])


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["kind"] != "cells":
        return ("",) * 4
    count = row["networks"]
    shown = f"{count:,}" if count < 1e9 else f"{count:.1e}"
    return ", ".join(row["cells"]), f"{row['edges']:>5}", f"{len(row['operations']):>10}", f"{shown:>15}"


def _datasets() -> Rows:
    return [_shape(name, row) for table in (DATASETS, SCENES) for name, row in table.items()]


def _shape(name: str, row: Dataset | SceneSet) -> dict[str, object]:
    return {
        "name": name,
        "summary": row.summary,
        "classes": row.classes,
        "image_size": row.image_size,
        "image_channels": row.image_channels,
    }


def _genotypes() -> Rows:
    from nascli.artifacts.genotypes import published

    return [{"name": name, "summary": published.load(name).provenance.note} for name in published.names()]


def _recipes() -> Rows:
    rows: Rows = [
        {"name": f"{method}/{name}", "stage": stage, "summary": recipes.source(stage, method, name)}
        for method in METHODS
        for stage in (*recipes.STAGES, recipes.RANKING)
        for name in recipes.names(stage, method)
    ]
    detectors = recipes.names_of_task("detect")
    source = recipes.source_of_task
    rows += [{"name": name, "stage": "detect", "summary": source("detect", name)} for name in detectors]
    return rows


TABLES: Mapping[str, Callable[[], Rows]] = {
    "methods": _methods,
    "supernets": _supernets,
    "spaces": _spaces,
    "datasets": _datasets,
    "genotypes": _genotypes,
    "recipes": _recipes,
}

_COLUMNS = ("name", "stage", "summary", "paper")
"""The columns of the table for people; JSON has everything."""


@command()
def show(
    session: Session,
    what: Annotated[
        str, typer.Argument(metavar="|".join(TABLES), help="which table", autocompletion=among(lambda: TABLES))
    ],
    json: Json = False,
) -> None:
    """List methods, spaces, data sets, cells or recipes."""
    if what not in TABLES:
        raise UsageError(unknown("table", what, TABLES))
    rows = TABLES[what]()
    if json:
        print_json(rows)
    elif what == "spaces":
        print(_spaces_table(rows))
    elif rows:
        print(aligned([row[column] for column in _COLUMNS if column in row] for row in rows))
    elif not session.quiet:
        typer.echo(f"this version has no {what}", err=True)
