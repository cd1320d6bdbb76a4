"""`nascli visualize`: pictures of genotypes, distributions, candidates and runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nascli.artifacts.files.disk import PIPE, is_pipe
from nascli.cli.options.completion import among, genotypes
from nascli.cli.options.shared import OUTPUT_PANEL, Column, Overwrite, Table
from nascli.cli.session import Session, command
from nascli.errors import UsageError, escaped


def _formats() -> list[str]:
    from nascli.visualize import FORMATS

    return list(FORMATS)


@command()
def visualize(
    session: Session,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="a genotype, distribution or model; a published cell's name; one or more run directories; a table of "
            "wrong answers, FILE.csv",
            autocompletion=among(genotypes),
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the picture; its ending says which kind; '-': standard output; if not given: text in the terminal",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="svg|png|pdf|dot|mermaid|txt",
            help="the kind of picture, if the ending of the file does not say",
            autocompletion=among(_formats),
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="a heading", rich_help_panel=OUTPUT_PANEL)] = None,
    overwrite: Overwrite = False,
    table: Table = None,
    column: Column = None,
) -> None:
    """Draw a genotype, a distribution, a run or wrong answers.

    The run directory of a derivation gives the accuracies of its candidates, also by their size. The table that
    'nascli eval --errors' writes gives a sheet of its first 24 pictures.

    With --table: the true accuracy of a genotype, or of what a search would have derived after each epoch.
    """
    from nascli.visualize import described
    from nascli.visualize.sources import draw, drawable

    if column is not None and table is None:
        raise UsageError("--column names a column of a table: give --table, too")
    if output is None and form is None and table is None and sys.stdout.isatty():
        from nascli.visualize.text import console, titled

        console().print(titled(described(drawable(*sources)), title))
        return
    path = draw(
        *sources,
        output=output or PIPE,
        format=form or ("txt" if output is None else None),
        title=title,
        overwrite=overwrite,
        table=table,
        column=column,
        tell=lambda text: session.quiet or print(f"note: {escaped(text)}", file=sys.stderr),
    )
    if not is_pipe(path):
        print(path)
