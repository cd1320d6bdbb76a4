"""`nascli visualize`: pictures of cells, distributions and runs."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nascli.cli.completion import among, genotypes
from nascli.cli.options import OUTPUT_PANEL, Overwrite
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown


def _formats() -> list[str]:
    from nascli.visualize import FORMATS

    return list(FORMATS)


@command()
def visualize(
    session: Session,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="a genotype, distribution or model; a published cell's name; one or more run directories",
            autocompletion=among(genotypes),
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the picture, its kind by its ending; '-': standard output; without: text in the terminal",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="svg|png|pdf|dot|mermaid|txt",
            help="the kind of picture, where the ending of the file does not say",
            autocompletion=among(_formats),
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="a heading", rich_help_panel=OUTPUT_PANEL)] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a cell, a distribution or the course of a run."""
    from rich.console import Console

    from nascli.artifacts.files import check_output, write_output
    from nascli.artifacts.genotype import CellGenotype
    from nascli.visualize import text_tree
    from nascli.visualize import visualize as draw

    chosen = _format(output, form)
    if output is not None:
        check_output(output, overwrite)
    what = _drawable(sources)
    if output is None and form is None and sys.stdout.isatty() and isinstance(what, CellGenotype):
        console = Console()
        console.print(text_tree(what, console.width))
        return
    picture = draw(what, format=chosen, title=title)
    write_output(output or "-", picture, overwrite)
    if output is not None and str(output) != "-":
        print(output)


def _format(output: Path | None, given: str | None) -> str:
    from nascli.visualize import FORMATS

    if given is not None:
        if given not in FORMATS:
            raise UsageError(unknown("--format", given, FORMATS))
        return given
    if output is None:
        return "txt"
    endings = {ending: name for name, ending in FORMATS.items()}
    if output.suffix not in endings:
        raise UsageError(f"{output} does not say what kind of picture: end it in {', '.join(endings)} or give --format")
    return endings[output.suffix]


def _drawable(sources: list[str]) -> Any:
    """What the sources stand for: metrics of runs, or the one artifact."""
    from nascli.artifacts.distribution import MixtureDistribution
    from nascli.artifacts.load import load_artifact
    from nascli.artifacts.rundir import RunDir

    folders = [Path(source) for source in sources if Path(source).is_dir()]
    if len(sources) > 1 or folders:
        if len(folders) < len(sources):
            raise UsageError("draw one file at a time, or several run directories")
        return {folder.name: RunDir(folder).read_metrics() for folder in folders}
    value = load_artifact(sources[0]).value
    return value if isinstance(value, MixtureDistribution) else value.genotype
