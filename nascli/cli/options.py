"""The options that several commands share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from nascli.cli.completion import among, genotypes

OUTPUT_PANEL = "Output"
DATA_PANEL = "Data"
MACHINE_PANEL = "Machine"
RECIPE_PANEL = "Recipe"
METHOD_PANEL = "Settings of the method"

DistributionSource = Annotated[
    str, typer.Argument(metavar="RUN", help="the result of a search or of finetune; '-': standard input")
]
GenotypeSource = Annotated[
    str,
    typer.Argument(
        metavar="GENOTYPE",
        help="JSON or DARTS's text; a published cell's name; '-': standard input",
        autocompletion=among(genotypes),
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", help="the result; '-': standard output", rich_help_panel=OUTPUT_PANEL
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="replace a result that exists", rich_help_panel=OUTPUT_PANEL)
]
RunDirectory = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        metavar="FOLDER",
        help="where configuration, metrics and checkpoints go; by default beside the result",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="continue the run that was interrupted", rich_help_panel=OUTPUT_PANEL)
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="print the resolved configuration and the size; do nothing", rich_help_panel=OUTPUT_PANEL
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="print the result for machines, on standard output", rich_help_panel=OUTPUT_PANEL)
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="settings that beat the recipe; options beat them",
        rich_help_panel=RECIPE_PANEL,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="errors and the result only", rich_help_panel=OUTPUT_PANEL)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="more lines, and warnings", rich_help_panel=OUTPUT_PANEL)
]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error", rich_help_panel=OUTPUT_PANEL)]
