"""`nascli derive`: from a distribution to one or several genotypes."""

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.artifacts.files.disk import read_once
from nascli.artifacts.load import LoadedDistribution, LoadedGenotype
from nascli.artifacts.ranking_part import Shard
from nascli.cli.commands.derive_in_parts import check_parts_options, join_parts, rank_part
from nascli.cli.commands.derive_ranked import rank_candidates
from nascli.cli.options.completion import among
from nascli.cli.options.of_config import flag, options
from nascli.cli.options.shared import (
    OUTPUT_PANEL,
    ConfigFile,
    DistributionSources,
    DryRun,
    Json,
    Overwrite,
    Resume,
    RunDirectory,
)
from nascli.cli.output.printing import aligned, print_json
from nascli.cli.session import Session, command
from nascli.config import DeriveConfig, read_file
from nascli.errors import UsageError, unknown
from nascli.registry import SPACES

if TYPE_CHECKING:
    from nascli.core.engine.derive import Choice
    from nascli.core.engine.destination import Destination

JSON = "json"
FORMATS = (JSON, *SPACES)
"""The forms of a genotype: JSON, and the text form of each space."""

LIMITS = ("max_params", "max_macs")
"""Limits of the size: a ranking's settings that are for an unranked choice of cells, too."""

NETWORK = ("layers", "channels", "dataset", "data_dir")
"""What sizes the network that they are about."""

CHOICE_PANEL = "Which genotype"
PARTS_PANEL = "A ranking in parts"
ROWS_SHOWN = 20


@command(*options(DeriveConfig))
def derive(
    session: Session,
    given: dict[str, Any],
    sources: DistributionSources,
    mode: Annotated[
        bool,
        typer.Option(
            "--mode",
            metavar="",
            help="the single genotype that the distribution stands for; the default if there is one",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="M",
            help="the M most probable, strongest or best, without repeats",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="M", help="M drawn from the distribution", rich_help_panel=CHOICE_PANEL),
    ] = None,
    each: Annotated[
        bool,
        typer.Option(
            "--each",
            metavar="",
            help="of several searches, the genotype of each, not that of their mean",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = False,
    without_none: Annotated[
        bool,
        typer.Option(
            "--without-none",
            metavar="",
            help="without the operation 'none', in a space that has it",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = False,
    max_skips: Annotated[
        int | None,
        typer.Option(
            "--max-skips",
            metavar="N",
            help="only cells with at most N skip connections each, in every type of cell; try 2 if a search chose too "
            "many",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="i/n",
            help="score only part i of n of a ranking's candidates, for --join to put together",
            rich_help_panel=PARTS_PANEL,
        ),
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            metavar="",
            help="put the parts of a ranking together: derive RUN --join PART PART …",
            rich_help_panel=PARTS_PANEL,
        ),
    ] = False,
    average: Annotated[
        int | None,
        typer.Option(
            "--average",
            metavar="N",
            help="choose by the mean logits of the last N epochs instead of the final logits",
            rich_help_panel=CHOICE_PANEL,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the genotype; several are numbered: cell-1.json and so on; '-': standard output",
            show_default="cell.json",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="also write the best candidate's network, with the weights of the search",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="nascli's JSON, or the text form of the space, which does not record the origin",
            autocompletion=among(lambda: FORMATS),
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = JSON,
    overwrite: Overwrite = False,
    run_dir: RunDirectory = None,
    resume: Resume = False,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Write the best network of a search, or several, as genotypes.

    From a distribution over cells: its mode, the most probable or strongest cells (--top) or samples (--sample); the
    mode and the top also within limits of their size and their skips. Searches that differ only in their seeds can be
    given together: the mean of what they have learnt depends less on chance. With --each they are derived one by one.

    From a posterior over channels, or with --candidates from a distribution over cells: candidates are drawn and ranked
    on images that the weights have not seen, together with as many uniform ones. The best, or several (--top), are
    written. With --shard, jobs that know nothing of each other score a part of the candidates each, and --join derives
    from their files what one job would have.
    """
    from nascli.cli.output.results import destination
    from nascli.core.engine.derive import limited_network, ranks
    from nascli.core.engine.inputs import artifacts

    if form not in FORMATS:
        raise UsageError(unknown("--format", form, FORMATS))
    if sum((mode, top is not None, sample is not None)) > 1:
        raise UsageError("--mode, --top and --sample exclude each other: give one of them")
    if each and (top is not None or sample is not None):
        raise UsageError("--each writes one genotype of each search: leave --top and --sample out")
    part = None if shard is None else _part(shard, join=join, several=top is not None, model=model is not None)
    runs, parts = (sources[:1], sources[1:]) if join else (sources, [])
    if join:
        check_parts_options(dry_run=dry_run, sources=sources)
        read_once(*sources)
    named = output or Path(_default_output(part, form))
    target = destination(named, run_dir, resume=resume, overwrite=overwrite, json=json, config=config)
    starts = artifacts(runs, DistributionFile)
    asked = "candidates" in {**(read_file(config) if config else {}), **given}
    in_parts = [name for name, used in (("--shard", part is not None), ("--join", join)) if used]
    if (asked or in_parts or ranks(starts[0])) and not mode and sample is None:
        if form != JSON:
            raise UsageError("a ranked genotype is written as JSON, which records the ranking: leave --format out")
        if without_none or max_skips is not None or average is not None:
            rules = "--without-none, --max-skips and --average"
            raise UsageError(f"{rules} choose without a ranking: leave them out")
        if len(starts) > 1:
            raise UsageError("candidates are ranked with the weights of one search: give one")
        if each:
            raise UsageError("--each ranks nothing: leave it out")
        if part is not None:
            rank_part(session, starts[0], part, given, target, file=config, dry_run=dry_run, json=json)
        elif join:
            join_parts(session, starts[0], parts, given, target, count=top, model=model, file=config, json=json)
        else:
            rank_candidates(
                session, starts[0], given, target, count=top, model=model, file=config, dry_run=dry_run, json=json
            )
        return
    if asked or in_parts:
        ranking = " and ".join([*(["--candidates"] if asked else []), *in_parts])
        raise UsageError(f"{'--mode' if mode else '--sample'} ranks nothing: leave it out, or {ranking}")
    limits = {name: given[name] for name in LIMITS if name in given}
    network = {name: given[name] for name in NETWORK if name in given}
    if not limits and (sizes := [name for name in ("layers", "channels") if name in network]):
        raise UsageError(f"{', '.join(map(flag, sizes))}: for --max-params and --max-macs alone: give one of them, too")
    extra = {"model": model, "run_dir": run_dir, "resume": resume or None, "config": config, "dry_run": dry_run or None}
    extra |= {name: value for name, value in given.items() if name not in (*limits, *(network if limits else ()))}
    _refuse_ranking_options([name for name, value in extra.items() if value is not None and name != "seed"])
    cells = CellLimits(without_none, max_skips, **limits)
    if limits:
        cells = replace(cells, network=limited_network(starts[0], cells, **network))
    choice = _choice(top, sample, given.get("seed"), cells)
    _derive_unranked(session, starts, choice, target, form=form, average=average, json=json, each=each)


def _part(shard: str, *, join: bool, several: bool, model: bool) -> Shard:
    """The part that --shard names. Raises UsageError for options that are about all parts together."""
    if join:
        raise UsageError("--shard makes a part and --join puts parts together: give one of them")
    if several or model:
        raise UsageError(f"{'--top' if several else '--model'} is about the best of all parts: give it to --join")
    return Shard.parse(shard)


def _default_output(part: Shard | None, form: str) -> str:
    if part is not None:
        return f"part-{part.number}.safetensors"
    return "cell.json" if form == JSON else "cell.txt"


def _derive_unranked(
    session: Session,
    starts: Sequence[LoadedDistribution],
    choice: "Choice",
    target: "Destination",
    *,
    form: str,
    average: int | None,
    json: bool,
    each: bool,
) -> None:
    """Write the genotypes that distributions give without a ranking, and print what was written."""
    from nascli.cli.output.progress import progress
    from nascli.core.engine.derive import Mode, derive_each, derive_several

    with progress(session) as reporter:
        if each:
            assert isinstance(choice, Mode)
            results = derive_each(starts, choice, target, reporter, format=form, average=average)
        else:
            results = derive_several(starts, choice, target, reporter, format=form, average=average)
    if len(results) > 1 and not session.quiet:
        print(_table(results), file=sys.stderr)
    if json:
        facts = [_facts(result) for result in results]
        print_json(facts[0] if isinstance(choice, Mode) and not each else facts)
    elif not target.is_pipe:
        for result in results:
            print(result.where)


def _refuse_ranking_options(names: Sequence[str]) -> None:
    """Raise UsageError for options that have no effect without a ranking."""
    if names:
        are = "is" if len(names) == 1 else "are"
        raise UsageError(
            f"{', '.join(map(flag, names))} {are} for ranking candidates on images: give --candidates, too, or leave "
            f"{'it' if len(names) == 1 else 'them'} out"
        )


def _choice(top: int | None, sample: int | None, seed: int | None, limits: CellLimits) -> "Choice":
    from nascli.core.engine.derive import Mode, Sample, Top

    if limits != NO_LIMITS and sample is not None:
        raise UsageError(f"{limits}: the mode and --top are chosen within limits, draws are not; leave out one of them")
    if seed is not None and sample is None:
        raise UsageError("--seed is for the draws of --sample; without them nothing is random")
    if top is not None:
        return Top(top, limits)
    return (
        Mode(**{one.name: getattr(limits, one.name) for one in fields(limits)})
        if sample is None
        else Sample(sample, seed or 0)
    )


def _facts(result: LoadedGenotype) -> dict[str, Any]:
    facts = {"path": result.where, "artifact": result.kind, "sha256": result.sha256}
    known = result.value.log_probability
    return facts if known is None else {**facts, "log_probability": known}


def _table(results: Sequence[LoadedGenotype]) -> str:
    """The first genotypes with their probability and a typical trait, and the number of different networks."""
    probable = any(result.value.log_probability is not None for result in results)
    trait, _ = results[0].value.genotype.trait()
    rows: list[tuple[str, ...]] = [("genotype", *(["log-probability"] if probable else []), trait)]
    for result in results[:ROWS_SHOWN]:
        file = result.value
        known = "unknown" if file.log_probability is None else f"{file.log_probability:15.4f}"
        rows.append((Path(result.where).name, *([known] if probable else []), file.genotype.trait()[1]))
    more = [f"and {len(results) - ROWS_SHOWN:,} more"] if len(results) > ROWS_SHOWN else []
    different = len({result.value.genotype.network() for result in results})
    return "\n".join([aligned(rows), *more, f"{len(results):,} genotypes; different networks: {different:,}"])
