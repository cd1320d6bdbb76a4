"""`nascli derive`: from a distribution to a genotype."""

from pathlib import Path
from typing import Annotated

import typer

from nascli.cli.completion import among
from nascli.cli.options import OUTPUT_PANEL, DistributionSource, Json, Overwrite
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown

FORMATS = {"json": Path("cell.json"), "darts": Path("cell.txt")}
"""The forms of a genotype, and the file that is written where none is named."""


@command()
def derive(
    session: Session,
    source: DistributionSource,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the genotype; '-': standard output",
            show_default="cell.json",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="nascli's JSON, or DARTS's text, which says nothing of its origin",
            autocompletion=among(lambda: FORMATS),
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = "json",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write the best cell of a search as a genotype."""
    from nascli.cli.results import destination, print_result
    from nascli.core.engine import derive as engine

    if form not in FORMATS:
        raise UsageError(unknown("--format", form, FORMATS))
    target = destination(output or FORMATS[form], overwrite=overwrite, json=json)
    print_result(engine.derive(source, target, format=form), target, json)
