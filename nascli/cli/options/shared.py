"""The options that several commands share, each declared once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nascli.cli.options.completion import among, genotypes

OUTPUT_PANEL = "Output"
DATA_PANEL = "Data"
MACHINE_PANEL = "Machine"
RECIPE_PANEL = "Recipe"
METHOD_PANEL = "Settings of the method"
TRUTH_PANEL = "True accuracies"

DistributionSource = Annotated[
    str, typer.Argument(metavar="RUN", help="the result of a search or of finetune; '-': standard input")
]
DistributionSources = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="the result of a search or of finetune; of several, the mean is taken; '-': standard input",
    ),
]
GenotypeSources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="GENOTYPE",
        help="JSON or the text form of a space; a published cell's name; '-': standard input",
        autocompletion=among(genotypes),
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", help="the result; '-': standard output", rich_help_panel=OUTPUT_PANEL
    ),
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
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with settings, which override the recipe; options override both",
        rich_help_panel=RECIPE_PANEL,
    ),
]


Table = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="true accuracies of all cells of a space: CSV with a column 'architecture', other columns in per cent",
        rich_help_panel=TRUTH_PANEL,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        "--column",
        metavar="NAME",
        help="column of the table to report; default the first with 'test' in its name",
        rich_help_panel=TRUTH_PANEL,
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="N,N-N",
        help="run with each of several seeds, one after another: 0,1,2 or 0-4",
        rich_help_panel=RECIPE_PANEL,
    ),
]


def _switch(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="", help=help, rich_help_panel=OUTPUT_PANEL)


Overwrite = Annotated[bool, _switch("--overwrite", help="replace a result that exists")]
Resume = Annotated[bool, _switch("--resume", help="continue the run that was interrupted")]
DryRun = Annotated[bool, _switch("--dry-run", help="print configuration, size, memory and time; write no file")]
Json = Annotated[bool, _switch("--json", help="print the result as JSON, on standard output")]
Quiet = Annotated[bool, _switch("--quiet", "-q", help="print only errors and the result")]
Verbose = Annotated[bool, _switch("--verbose", "-v", help="print more lines, and warnings")]
Debug = Annotated[bool, _switch("--debug", help="show the traceback of an error")]


@dataclass(frozen=True)
class StageOptions:
    """The options of a long-running stage, besides those of its configuration."""

    output: Output
    overwrite: Overwrite = False
    run_dir: RunDirectory = None
    resume: Resume = False
    config: ConfigFile = None
    dry_run: DryRun = False
    json: Json = False
