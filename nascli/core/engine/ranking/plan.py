"""What a ranking would be: its configuration, the sizes of its candidates, and the time of two real passes."""

import time
from math import ceil
from statistics import mean
from typing import Any

import numpy as np

from nascli.artifacts.ranking_part import Shard
from nascli.artifacts.runs.scores import YARDSTICKS
from nascli.config import DeriveConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.inputs import Source
from nascli.core.engine.pictures import as_kept, keeping_facts, planned_keeping
from nascli.core.engine.ranking.candidates import Candidate, Scorer
from nascli.core.engine.ranking.held_out import rankable
from nascli.core.engine.ranking.prepare import prepared
from nascli.core.engine.ranking.rounds import SHORTLIST_SHARE, different
from nascli.core.engine.ranking.shard import check_shard, share_of
from nascli.core.engine.reporter import Reporter, Silent


def plan_rank(
    source: Source,
    config: DeriveConfig | None = None,
    reporter: Reporter = Silent(),
    destination: Destination = Destination(),
    *,
    count: int = 1,
    shard: Shard | None = None,
) -> dict[str, Any]:
    """Configuration, sizes and time of a ranking of which the `count` best are wanted. Nothing is written.

    `destination`: where its run directory would be. `shard`: plan this part of it alone. Raises as `rank` would before
    its first score, and MemoryExhausted where a pass does not fit.
    """
    origin = rankable(source)
    config = config or origin.recipe()
    if shard is not None:
        check_shard(config)
    with prepared(origin, config, count, reporter) as ready:
        candidates, scorer, images = ready.candidates, ready.scorer, ready.images
        distinct = different(candidates)
        own = distinct if shard is None else share_of(shard, ready).own
        pictures = planned_keeping(ready.data, config, destination, reporter, chosen=images)
        reporter.notice("measuring two passes")
        with as_kept(ready.data, pictures):
            seconds = _seconds(scorer, distinct, images)
            if config.shortlist is None:
                total = seconds * len(own)
            else:
                few = images[: max(1, round(SHORTLIST_SHARE * len(images)))]
                populations = len({candidate.population for candidate in candidates})
                finalists = min(len(distinct), populations * config.shortlist)
                total = _seconds(scorer, distinct, few) * len(distinct) + seconds * finalists
    sizes = [candidate.size for candidate in candidates if candidate.population not in YARDSTICKS]
    return {
        "config": config.model_dump(mode="json"),
        "candidates": config.candidates,
        "within_budget": len(sizes),
        "scored": len(candidates),
        "different": len(distinct),
        **({} if shard is None else {"shard": str(shard), "in_shard": len(own)}),
        "images": len(images),
        "parameters": _spread([size.parameters for size in sizes]),
        "multiply_adds": _spread([size.multiply_adds for size in sizes]),
        **keeping_facts(pictures),
        "candidates_per_second": 1 / seconds,
        "seconds": total + (0.0 if pictures is None else pictures.seconds),
    }


def _spread(values: list[int]) -> dict[str, float]:
    return {"least": min(values), "mean": mean(values), "most": max(values)}


def _seconds(scorer: Scorer, candidates: list[Candidate], images: np.ndarray) -> float:
    """The seconds for one candidate on these images, from the second of two passes; the first warms up."""
    size = scorer.per_pass(len(images))
    drawn = [candidate.draw() for candidate in candidates[:size]]
    drawn = (drawn * ceil(size / len(drawn)))[:size]
    scorer.scores(drawn, images)
    began = time.perf_counter()
    scorer.scores(drawn, images)
    return (time.perf_counter() - began) / size
