"""`nascli search`: from images to a distribution over cells."""

from pathlib import Path
from typing import Any

from nascli.cli.configuration import options, resolve
from nascli.cli.options import ConfigFile, DryRun, Json, Output, Overwrite, Resume, RunDirectory
from nascli.cli.session import Session, command
from nascli.config import SearchConfig


@command(*options(SearchConfig))
def search(
    session: Session,
    given: dict[str, Any],
    output: Output = Path("run.safetensors"),
    overwrite: Overwrite = False,
    run_dir: RunDirectory = None,
    resume: Resume = False,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Search for a cell and write the distribution over cells.

    Without any option: PC-DARTS on the built-in digits, in under two minutes on two cores.
    """
    from nascli.cli.progress import progress
    from nascli.cli.results import destination, print_result
    from nascli.core.engine.session import stored_config

    target = destination(output, run_dir, resume=resume, overwrite=overwrite, json=json)
    resolved = resolve(SearchConfig, given, file=config, stored=stored_config(target) if resume else {})
    if dry_run:
        from nascli.cli.dry_run import print_plan
        from nascli.core.engine.dry_run import plan_search

        print_plan(plan_search(resolved), stage=resolved.stage, json=json)
        return
    from nascli.core.engine import search as engine

    with progress(session) as reporter:
        result = engine.search(resolved, target, reporter)
    print_result(result, target, json)
