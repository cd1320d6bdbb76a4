"""`nascli derive --shard` and `--join`: a ranking in parts, for jobs that cannot talk to each other."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nascli.artifacts.load import LoadedDistribution, LoadedRankingPart
from nascli.artifacts.ranking_part import Shard
from nascli.artifacts.runs.scores import YARDSTICKS, ranked
from nascli.cli.commands.derive_ranked import check_pipes, print_ranking, ranking_config
from nascli.cli.output.printing import print_json
from nascli.cli.session import Session
from nascli.errors import UsageError

if TYPE_CHECKING:
    from nascli.core.engine.destination import Destination


def rank_part(
    session: Session,
    start: LoadedDistribution,
    shard: Shard,
    given: Mapping[str, Any],
    target: "Destination",
    *,
    file: Path | None,
    dry_run: bool,
    json: bool,
) -> None:
    """Score one part of a ranking's candidates, and print the path of its scores. dry_run: only print its plan."""
    from nascli.cli.output.progress import progress
    from nascli.core.engine.ranking.shard import rank_shard

    config = ranking_config(start, given, target, file)
    if dry_run:
        from nascli.cli.output.dry_run import print_ranking_plan
        from nascli.core.engine.ranking.plan import plan_rank

        with progress(session) as reporter:
            plan = plan_rank(start, config, reporter, target, shard=shard)
        print_ranking_plan(plan, stage=config.stage, json=json)
        return
    with progress(session) as reporter:
        part = rank_shard(start, shard, config, target, reporter)
    if not session.quiet:
        print(_told(part), file=sys.stderr)
    if json:
        print_json(_facts(part))
    elif not target.is_pipe:
        print(part.where)


def join_parts(
    session: Session,
    start: LoadedDistribution,
    sources: Sequence[str],
    given: Mapping[str, Any],
    target: "Destination",
    *,
    count: int | None,
    model: Path | None,
    file: Path | None,
    json: bool,
) -> None:
    """Derive from the parts of a ranking what the whole one would have derived, and print what it would print."""
    from nascli.cli.output.progress import progress
    from nascli.core.engine.ranking.join import join, joined_settings, loaded_parts

    check_pipes(model, json=json)
    parts = loaded_parts(start, sources)
    config = ranking_config(start, given, target, file, known=joined_settings(parts))
    with progress(session) as reporter:
        result = join(start, parts, config, target, reporter, count=1 if count is None else count, model=model)
    print_ranking(session, result, target, count=count, model=model, json=json)


def _told(part: LoadedRankingPart) -> str:
    file = part.value
    scored = f"part {file.shard}: {len(file.scores):,} of {file.networks:,} networks"
    own = ranked([score for score in file.scores if score.population not in YARDSTICKS])
    return f"{scored}, the best {own[0].accuracy:.2%}" if own else scored


def _facts(part: LoadedRankingPart) -> dict[str, Any]:
    file = part.value
    return {
        "path": part.where,
        "artifact": part.kind,
        "sha256": part.sha256,
        "shard": str(file.shard),
        "networks": file.networks,
        "scored": len(file.scores),
        "images": file.images,
    }


def check_parts_options(*, dry_run: bool, sources: Sequence[str]) -> None:
    """Raise UsageError where a join is asked for what it does not do, or has nothing to join."""
    if dry_run:
        raise UsageError("--join scores nothing, so there is nothing to plan: leave --dry-run out")
    if len(sources) < 2:
        raise UsageError("--join needs the run and the parts of its ranking: derive RUN --join PART PART …")
