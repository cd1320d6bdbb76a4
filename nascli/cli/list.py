"""`nascli list`: the rows of a table, by name."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from nascli import recipes
from nascli.cli.completion import among
from nascli.cli.options import Json
from nascli.cli.printing import aligned, print_json
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown
from nascli.registry import DATASETS, METHODS, SPACES, SUPERNETS

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
    return [{"name": name, "summary": row.summary, "operations": list(row.operations)} for name, row in SPACES.items()]


def _datasets() -> Rows:
    return [
        {
            "name": name,
            "summary": row.summary,
            "classes": row.classes,
            "image_size": row.image_size,
            "image_channels": row.image_channels,
        }
        for name, row in DATASETS.items()
    ]


def _genotypes() -> Rows:
    from nascli.artifacts import published

    return [{"name": name, "summary": published.load(name).provenance.note} for name in published.names()]


def _recipes() -> Rows:
    return [
        {"name": f"{method}/{name}", "stage": stage, "summary": recipes.source(stage, method, name)}
        for method in METHODS
        for stage in (*recipes.STAGES, recipes.RANKING)
        for name in recipes.names(stage, method)
    ]


TABLES: Mapping[str, Callable[[], Rows]] = {
    "methods": _methods,
    "supernets": _supernets,
    "spaces": _spaces,
    "datasets": _datasets,
    "genotypes": _genotypes,
    "recipes": _recipes,
}

_COLUMNS = ("name", "stage", "summary", "paper")
"""What the table for people shows, where a row has it; JSON has everything."""


@command()
def show(
    session: Session,
    what: Annotated[
        str, typer.Argument(metavar="|".join(TABLES), help="which table", autocompletion=among(lambda: TABLES))
    ],
    json: Json = False,
) -> None:
    """List methods, super-networks, data sets, cells, recipes."""
    if what not in TABLES:
        raise UsageError(unknown("table", what, TABLES))
    rows = TABLES[what]()
    if json:
        print_json(rows)
    elif rows:
        print(aligned([row[column] for column in _COLUMNS if column in row] for row in rows))
    elif not session.quiet:
        typer.echo(f"this version has no {what}", err=True)
