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
from nascli.data import DataModule
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


def candidates_of(start: LoadedDistribution) -> type[Candidates]:
    """What the candidates of a `rankable` distribution are."""
    kind: type[Candidates] = load(DISTRIBUTIONS[start.distribution.kind].candidates)
    return kind


@contextmanager
def prepared(origin: Rankable, config: DeriveConfig, count: int, reporter: Reporter) -> Iterator[Prepared]:
    """All that a ranking of which the `count` best are wanted works with.

    Raises UsageError, ArtifactError, DataError; MemoryExhausted where what is done with it takes too much memory.
    """
    with working(config) as runtime:
        data, images = held_out_images(origin, config, runtime.device, reporter)
        source = candidates_of(origin.start)(origin.start, origin.search, data.info)
        candidates, probability = draw(source, config, count, reporter)  # line 7
        yield Prepared(data, images, source, candidates, probability, source.scorer(data, config, runtime))
