"""`nascli derive`: from a distribution to one genotype, or several."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.load import LoadedArtifact
from nascli.cli.completion import among
from nascli.cli.options import OUTPUT_PANEL, DistributionSource, Json, Overwrite
from nascli.cli.printing import aligned, print_json
from nascli.cli.session import Session, command
from nascli.errors import UsageError, unknown

if TYPE_CHECKING:
    from nascli.core.engine.derive import Choice

FORMATS = {"json": Path("cell.json"), "darts": Path("cell.txt")}
"""The forms of a genotype, and the file that is written where none is named."""

CHOICE_PANEL = "Which genotype"
ROWS_SHOWN = 20


@command()
def derive(
    session: Session,
    source: DistributionSource,
    mode: Annotated[
        bool,
        typer.Option(
            "--mode",
            metavar="",
            help="the one that the distribution stands for; this is the default",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", metavar="M", help="the M most probable, or best, each once", rich_help_panel=CHOICE_PANEL
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="M", help="M drawn from the distribution", rich_help_panel=CHOICE_PANEL),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            help="seed of --sample's draws",
            show_default="0",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the genotype; several are numbered, cell-1.json and so on; '-': standard output",
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
    """Write the best cell of a search as a genotype, or several.

    Several are the most probable (--top) or samples (--sample).
    """
    from nascli.cli.results import destination
    from nascli.core.engine import derive as engine

    if form not in FORMATS:
        raise UsageError(unknown("--format", form, FORMATS))
    choice = _choice(mode, top, sample, seed)
    target = destination(output or FORMATS[form], overwrite=overwrite, json=json)
    results = engine.derive_several(source, choice, target, format=form)
    if len(results) > 1 and not session.quiet:
        print(_table(results), file=sys.stderr)
    if json:
        facts = [_facts(result) for result in results]
        print_json(facts[0] if isinstance(choice, engine.Mode) else facts)
    elif not target.is_pipe:
        for result in results:
            print(result.where)


def _choice(mode: bool, top: int | None, sample: int | None, seed: int | None) -> "Choice":
    from nascli.core.engine.derive import Mode, Sample, Top

    if sum((mode, top is not None, sample is not None)) > 1:
        raise UsageError("--mode, --top and --sample exclude each other: give one of them")
    if seed is not None and sample is None:
        raise UsageError("--seed is for the draws of --sample; without them nothing is random")
    if top is not None:
        return Top(top)
    return Mode() if sample is None else Sample(sample, seed or 0)


def _facts(result: LoadedArtifact) -> dict[str, Any]:
    facts = {"path": result.where, "artifact": result.kind, "sha256": result.sha256}
    known = _file(result).log_probability
    return facts if known is None else {**facts, "log_probability": known}


def _table(results: Sequence[LoadedArtifact]) -> str:
    """The first genotypes, with how probable they are and their skips; and how many different networks there are."""
    probable = any(_file(result).log_probability is not None for result in results)
    rows: list[tuple[str, ...]] = [("genotype", *(["log-probability"] if probable else []), "skips")]
    for result in results[:ROWS_SHOWN]:
        file = _file(result)
        known = "unknown" if file.log_probability is None else f"{file.log_probability:15.4f}"
        skips = f"{file.genotype.share('skip_connect'):5.0%}"
        rows.append((Path(result.where).name, *([known] if probable else []), skips))
    more = [f"and {len(results) - ROWS_SHOWN:,} more"] if len(results) > ROWS_SHOWN else []
    different = len({_file(result).genotype.network() for result in results})
    return "\n".join([aligned(rows), *more, f"{len(results):,} genotypes; different networks: {different:,}"])


def _file(result: LoadedArtifact) -> GenotypeFile:
    assert isinstance(result.value, GenotypeFile)
    return result.value
