"""`nascli search`: from images to a distribution over networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascli.cli.options.of_config import options, resolve
from nascli.cli.options.shared import TRUTH_PANEL, Column, Seeds, StageOptions, Table
from nascli.cli.session import Session, command
from nascli.config import FinetuneConfig, SearchConfig
from nascli.errors import UsageError
from nascli.registry import METHODS

if TYPE_CHECKING:
    from nascli.artifacts.load import LoadedDistribution
    from nascli.core.engine.destination import Destination
    from nascli.core.engine.truth import Truth


@command(*options(SearchConfig), output="run.safetensors")
def search(
    session: Session,
    given: dict[str, Any],
    stage: StageOptions,
    seeds: Seeds = None,
    table: Table = None,
    column: Column = None,
    choose_by: Annotated[
        str | None,
        typer.Option(
            "--choose-by",
            metavar="COLUMN",
            help="column of the table by which random search chooses; default the first with 'valid' in its name",
            rich_help_panel=TRUTH_PANEL,
        ),
    ] = None,
) -> None:
    """Search for a network and write what was learnt.

    Without any option, this runs PC-DARTS on the built-in digits, in under two minutes on two cores.

    --seeds gives several searches, one after another: run-seed0.safetensors and so on. 'nascli derive' takes them
    together, or each with --each.

    With --table, the true accuracy of what the search would derive is looked up after every epoch. Random search then
    chooses by the table and trains nothing.
    """
    from nascli.cli.output.results import stage_destination
    from nascli.core.engine.destination import stored_config

    target = stage_destination(stage)
    if seeds is not None:
        _search_each(session, stage, target, given, seeds, truth_of(table, column, choose_by), choose_by)
        return
    stored = stored_config(target, SearchConfig.stage, given.get("method")) if stage.resume else {}
    config = resolve(SearchConfig, given, file=stage.config, stored=stored)
    truth = truth_of(table, column, choose_by)
    _check_choose_by(config, choose_by)
    carry_out(session, stage, target, config, truth=truth)


def _check_choose_by(config: SearchConfig, choose_by: str | None) -> None:
    """Raise UsageError for a column to choose by where nothing is chosen by a table."""
    if choose_by is not None and not METHODS[config.method].by_table:
        raise UsageError(f"--choose-by is for random search; {config.method} chooses nothing by a table: leave it out")


def _search_each(
    session: Session,
    stage: StageOptions,
    target: "Destination",
    given: dict[str, Any],
    seeds: str,
    truth: "Truth | None",
    choose_by: str | None,
) -> None:
    """Search from each of several seeds and print the paths; or only print the plan, which is the same for all."""
    from nascli.cli.options.seeds import seeds as parsed
    from nascli.cli.output.dry_run import print_plans
    from nascli.cli.output.progress import progress
    from nascli.cli.output.results import print_results
    from nascli.core.engine.destination import stored_config
    from nascli.core.engine.search_all import destinations, plan_search_all, search_all

    if "seed" in given:
        raise UsageError("--seed and --seeds contradict each other: give one of them")
    numbers = parsed(seeds)
    targets = destinations(numbers, target)
    runs = (stored_config(one, SearchConfig.stage, given.get("method")) for one in targets if stage.resume)
    stored = dict(next(filter(None, runs), {}))
    stored.pop("seed", None)
    config = resolve(SearchConfig, given, file=stage.config, stored=stored)
    _check_choose_by(config, choose_by)
    with progress(session) as reporter:
        if stage.dry_run:
            plans = plan_search_all(config, numbers, target, reporter, truth=truth)
        else:
            found = search_all(config, numbers, target, reporter, truth=truth)
    if stage.dry_run:
        print_plans(plans, stage=config.stage, json=stage.json)
    else:
        print_results(list(zip(found, targets, strict=True)), stage.json)


def truth_of(table: Path | None, column: str | None, choose_by: str | None = None) -> "Truth | None":
    """The given table of true accuracies, if any. Raises ArtifactError, UsageError."""
    if table is None:
        if given := [name for name, value in (("--column", column), ("--choose-by", choose_by)) if value]:
            raise UsageError(f"{given[0]} names a column of a table: give --table, too")
        return None
    from nascli.core.engine.truth import Truth

    return Truth.of(table, column, choose_by)


def carry_out(
    session: Session,
    stage: StageOptions,
    target: "Destination",
    config: SearchConfig,
    start: "LoadedDistribution | None" = None,
    truth: "Truth | None" = None,
) -> None:
    """Search from the beginning or from the distribution `start`, and print the result; or only print the plan."""
    from nascli.cli.output.progress import progress
    from nascli.cli.output.results import print_result

    if truth is not None and start is None and METHODS[config.method].by_table:
        from nascli.core.engine.truth import search_by_table

        if stage.dry_run:
            raise UsageError("a table takes seconds and no memory: leave --dry-run out")
        with progress(session) as reporter:
            result = search_by_table(config, truth, target, reporter)
        print_result(result, target, stage.json)
        return
    if stage.dry_run:
        from nascli.cli.output.dry_run import print_plan
        from nascli.core.engine.dry_run import plan_search

        with progress(session) as reporter:
            plan = plan_search(config, start, reporter, target)
        print_plan(plan, stage=config.stage, json=stage.json)
        return
    from nascli.core.engine import search as engine

    with progress(session) as reporter:
        if start is None:
            result = engine.search(config, target, reporter, truth=truth)
        else:
            assert isinstance(config, FinetuneConfig)
            result = engine.finetune(start, config, target, reporter, truth=truth)
    print_result(result, target, stage.json)
