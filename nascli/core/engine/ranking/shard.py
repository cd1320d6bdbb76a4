"""A part of a ranking: some of its candidates are scored, for `join` to put together with the other parts.

Every part draws all candidates and scores its share of the networks. Parts know nothing of each other, so that they can
run anywhere and in any order.
"""

from dataclasses import dataclass

from nascli.artifacts.load import LoadedRankingPart
from nascli.artifacts.ranking_part import RankingPartFile, Shard, ranking_part_bytes
from nascli.config import DeriveConfig
from nascli.core.engine.destination import Destination, check_destination, provenance
from nascli.core.engine.inputs import Source, read_back, refuse_overwriting_artifacts
from nascli.core.engine.pictures import room
from nascli.core.engine.ranking.candidates import Candidate
from nascli.core.engine.ranking.held_out import rankable
from nascli.core.engine.ranking.prepare import Prepared, prepared
from nascli.core.engine.ranking.results import open_ranking
from nascli.core.engine.ranking.rounds import Rounds, different
from nascli.core.engine.ranking.share import share
from nascli.core.engine.reporter import Reporter, Silent
from nascli.errors import UsageError


@dataclass(frozen=True)
class Share:
    """The `networks` of a ranking that are a part's `own`, and how many are in a forward pass."""

    own: list[Candidate]
    networks: int
    together: int


def share_of(shard: Shard, ready: Prepared) -> Share:
    """The networks of one part."""
    networks, together = different(ready.candidates), ready.scorer.at_once(len(ready.images))
    return Share(share(networks, together, shard.number - 1, shard.count), len(networks), together)


def check_shard(config: DeriveConfig) -> None:
    """Raise UsageError for a ranking that has no parts, or a setting that a part cannot heed."""
    if config.shortlist is not None:
        raise UsageError(
            "a shortlist is of the best of all candidates, which no part knows: leave --shortlist out, or rank in one "
            "process"
        )
    if config.max_latency is not None:
        raise UsageError("--max-latency chooses among the candidates of all parts: give it to --join")


def rank_shard(
    source: Source,
    shard: Shard,
    config: DeriveConfig | None = None,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
) -> LoadedRankingPart:
    """Score one part of the candidates that `rank` would score, and write the scores.

    Scores are those that `rank` would give them, to the bit on machines of one kind. `config` None: by the recipe for
    its method and images. Raises as `rank`.
    """
    origin = rankable(source)
    config = config or origin.recipe()
    check_shard(config)
    start = origin.start
    refuse_overwriting_artifacts((destination.output,), start)
    check_destination(destination, config, start.ancestor(), shard=str(shard))
    with prepared(origin, config, 1, reporter) as ready:
        mine = share_of(shard, ready)
        with (
            open_ranking(destination, config, start, ready.data.info, reporter, shard=str(shard)) as run,
            ready.data.kept(room(config, run), reporter.notice, chosen=ready.images),
        ):
            if mine.own:
                rounds = Rounds(ready.scorer, ready.data.train_labels, config, run, reporter)
                (scored,) = rounds.score(mine.own, ready.images)
            else:
                reporter.notice(f"part {shard} is empty: {mine.networks:,} networks, {mine.together:,} at a time")
        file = RankingPartFile(
            shard=shard,
            scores=scored.scores if mine.own else (),
            networks=mine.networks,
            together=mine.together,
            images=len(ready.images),
            provenance=provenance(config, ready.data.info, start.ancestor()),
        )
    content = ranking_part_bytes(file)
    path = destination.write(content)
    reporter.end(path)
    return read_back(content, path, RankingPartFile)
