"""What a ranking and its plan both need before the first score: candidates, held-out images, and what scores them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from nascli.artifacts.load import LoadedDistribution
from nascli.config import DeriveConfig
from nascli.core.engine.frame import working
from nascli.core.engine.ranking.candidates import Candidate, Candidates, Scorer
from nascli.core.engine.ranking.draw import draw
from nascli.core.engine.ranking.held_out import Rankable, held_out_images
from nascli.core.engine.reporter import Reporter
from nascli.core.runtime import Runtime
from nascli.data import DataModule
from nascli.errors import UsageError
from nascli.registry import DISTRIBUTIONS, load


@dataclass(frozen=True)
class Prepared:
    """The drawn candidates, the training images at `images` to rank them on, and their scorer.

    `probability`: that of uniform dropout; None where there is none. `source`: where the candidates come from.
    """

    data: DataModule
    images: np.ndarray
    source: Candidates
    candidates: list[Candidate]
    probability: float | None
    scorer: Scorer
    runtime: Runtime


def candidates_of(start: LoadedDistribution) -> type[Candidates]:
    """What the candidates of a `rankable` distribution are."""
    kind: type[Candidates] = load(DISTRIBUTIONS[start.distribution.kind].candidates)
    return kind


@contextmanager
def prepared(origin: Rankable, config: DeriveConfig, count: int, reporter: Reporter) -> Iterator[Prepared]:
    """All that a ranking of which the `count` best are wanted works with.

    Raises UsageError, ArtifactError, DataError; MemoryExhausted where what is done with it takes too much memory.
    """
    kind = candidates_of(origin.start)
    if config.max_latency is not None and kind.no_model:
        raise UsageError(
            "--max-latency is for the candidates of a posterior; a network of cells has the size that its training "
            "gives it: 'nascli info CELL --latency' measures it"
        )
    with working(config) as runtime:
        if config.max_latency is not None and runtime.ranks.count > 1:
            raise UsageError(
                "--max-latency measures time, and several processes disturb each other: derive without it, and then "
                "once more with it and --resume, in one process"
            )
        data, images = held_out_images(origin, config, runtime.device, reporter)
        source = kind(origin.start, origin.search, data.info, config)
        candidates, probability = draw(source, config, count, reporter)  # line 7
        yield Prepared(data, images, source, candidates, probability, source.scorer(data, config, runtime), runtime)
