"""`nascli train`: from a genotype to a trained model."""

from pathlib import Path
from typing import Any

from nascli.cli.configuration import options, resolve
from nascli.cli.options import ConfigFile, DryRun, GenotypeSource, Json, Output, Overwrite, Resume, RunDirectory
from nascli.cli.session import Session, command
from nascli.config import TrainConfig


@command(*options(TrainConfig))
def train(
    session: Session,
    given: dict[str, Any],
    source: GenotypeSource,
    output: Output = Path("model.safetensors"),
    overwrite: Overwrite = False,
    run_dir: RunDirectory = None,
    resume: Resume = False,
    config: ConfigFile = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train the network of a genotype and write the model.

    SOURCE is a file (JSON or DARTS's text), '-', or a published cell such as pc-darts-cifar10.
    """
    from nascli.cli.inherit import inherited
    from nascli.cli.progress import progress
    from nascli.cli.results import destination, print_result
    from nascli.core.engine.inputs import artifact
    from nascli.core.engine.session import stored_config

    target = destination(output, run_dir, resume=resume, overwrite=overwrite, json=json)
    genotype = artifact(source, "genotype")
    stored = (stored_config(target) if resume else {}) or inherited(genotype, given)
    resolved = resolve(TrainConfig, given, file=config, stored=stored)
    if dry_run:
        from nascli.cli.dry_run import print_plan
        from nascli.core.engine.dry_run import plan_train

        print_plan(plan_train(genotype, resolved), stage=resolved.stage, json=json)
        return
    from nascli.core.engine import train as engine

    with progress(session) as reporter:
        result = engine.train(genotype, resolved, target, reporter)
    print_result(result, target, json)
