"""`nascli search`: from images to a distribution over networks."""

from typing import TYPE_CHECKING, Any

from nascli.cli.configuration import options, resolve
from nascli.cli.options import StageOptions
from nascli.cli.session import Session, command
from nascli.config import FinetuneConfig, SearchConfig

if TYPE_CHECKING:
    from nascli.artifacts.load import LoadedArtifact
    from nascli.core.engine.session import Destination


@command(*options(SearchConfig), output="run.safetensors")
def search(session: Session, given: dict[str, Any], stage: StageOptions) -> None:
    """Search for a network and write what was learnt.

    Without any option: PC-DARTS on the built-in digits, in under two minutes on two cores.
    """
    from nascli.cli.results import stage_destination
    from nascli.core.engine.session import stored_config

    target = stage_destination(stage)
    stored = stored_config(target, SearchConfig.stage) if stage.resume else {}
    carry_out(session, stage, target, resolve(SearchConfig, given, file=stage.config, stored=stored))


def carry_out(
    session: Session,
    stage: StageOptions,
    target: "Destination",
    config: SearchConfig,
    start: "LoadedArtifact | None" = None,
) -> None:
    """Search, or go on from the distribution `start`, and print the result; or print what it would be."""
    from nascli.cli.dry_run import print_plan
    from nascli.cli.progress import progress
    from nascli.cli.results import print_result
    from nascli.core.engine import search as engine
    from nascli.core.engine.dry_run import plan_search

    if stage.dry_run:
        with progress(session) as reporter:
            plan = plan_search(config, start, reporter)
        print_plan(plan, stage=config.stage, json=stage.json)
        return
    with progress(session) as reporter:
        if start is None:
            result = engine.search(config, target, reporter)
        else:
            assert isinstance(config, FinetuneConfig)
            result = engine.finetune(start, config, target, reporter)
    print_result(result, target, stage.json)
