"""`nascli finetune`: a search that starts from the distribution of another search."""

from typing import Any

from nascli.cli.commands.search import carry_out, truth_of
from nascli.cli.options.of_config import options, resolve
from nascli.cli.options.shared import Column, DistributionSource, StageOptions, Table
from nascli.cli.session import Session, command
from nascli.config import FinetuneConfig


@command(*options(FinetuneConfig), output="tuned.safetensors")
def finetune(
    session: Session,
    given: dict[str, Any],
    source: DistributionSource,
    stage: StageOptions,
    table: Table = None,
    column: Column = None,
) -> None:
    """Continue a search at another size or on other data.

    The architecture starts from the given distribution, and the weights start anew. A posterior holds weights, too, and
    both continue from it.
    """
    from nascli.artifacts.distributions.distribution import DistributionFile
    from nascli.cli.options.of_file import inherited
    from nascli.cli.output.results import stage_destination
    from nascli.core.engine.destination import stored_config
    from nascli.core.engine.inputs import artifact

    target = stage_destination(stage)
    start = artifact(source, DistributionFile)
    stored = stored_config(target, FinetuneConfig.stage, given.get("method")) if stage.resume else {}
    stored = stored or inherited(start, given)
    config = resolve(FinetuneConfig, given, file=stage.config, stored=stored)
    carry_out(session, stage, target, config, start, truth_of(table, column))
