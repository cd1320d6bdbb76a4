"""`nascli finetune`: a search that starts from the distribution of another."""

from pathlib import Path
from typing import Any

from nascli.cli.configuration import options, resolve
from nascli.cli.options import (
    ConfigFile,
    DistributionSource,
    DryRun,
    Json,
    Output,
    Overwrite,
    Resume,
    RunDirectory,
)
from nascli.cli.session import Session, command
from nascli.config import FinetuneConfig


@command(*options(FinetuneConfig))
def finetune(
    session: Session,
    given: dict[str, Any],
    source: DistributionSource,
    output: Output = Path("tuned.safetensors"),
    overwrite: Overwrite = False,
    run_dir: RunDirectory = None,
    resume: Resume = False,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Continue a search at another size or on other data.

    The architecture starts from the given distribution, the weights start anew.
    """
    from nascli.cli.inherit import inherited
    from nascli.cli.progress import progress
    from nascli.cli.results import destination, print_result
    from nascli.core.engine.inputs import artifact
    from nascli.core.engine.session import stored_config

    target = destination(output, run_dir, resume=resume, overwrite=overwrite, json=json)
    start = artifact(source, "distribution")
    stored = (stored_config(target) if resume else {}) or inherited(start, given)
    resolved = resolve(FinetuneConfig, given, file=config, stored=stored)
    if dry_run:
        from nascli.cli.dry_run import print_plan
        from nascli.core.engine.dry_run import plan_search

        print_plan(plan_search(resolved), stage=resolved.stage, json=json)
        return
    from nascli.core.engine import search as engine

    with progress(session) as reporter:
        result = engine.finetune(start, resolved, target, reporter)
    print_result(result, target, json)
