"""PGNAS, Algorithm 1, lines 7 to 16: candidates are drawn from a posterior and scored, and the best is derived.

Cells with shared weights are ranked in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.artifacts.runs.scores import Scored, ranked
from nascli.config import DeriveConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.inputs import Output, Source
from nascli.core.engine.latency import Latency
from nascli.core.engine.pictures import room
from nascli.core.engine.ranking.fast_enough import fast_enough
from nascli.core.engine.ranking.held_out import rankable
from nascli.core.engine.ranking.prepare import Prepared, prepared
from nascli.core.engine.ranking.results import Results
from nascli.core.engine.ranking.rounds import Round, Rounds
from nascli.core.engine.reporter import Reporter, Silent


@dataclass(frozen=True)
class Ranking:
    """The genotypes that were chosen, best first, the model if there is one, and all scores.

    `rounds`: one, or two where there is a shortlist. `candidates`: how many were drawn of each population; those
    without a score were over the budget or had no part in the round. `probability`: that of uniform dropout.
    `latencies`: of the chosen ones' networks, where they are limited.
    """

    genotypes: tuple[LoadedGenotype, ...]
    model: LoadedModel | None
    best: tuple[Scored, ...]
    rounds: tuple[Round, ...]
    candidates: int
    probability: float | None
    latencies: tuple[Latency, ...] = ()


def rank(
    source: Source,
    config: DeriveConfig | None = None,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    count: int = 1,
    model: Output = None,
) -> Ranking:
    """Rank candidates of a distribution and write the best as a genotype, or the `count` best, which are numbered.

    `config` None: by the recipe for its method and images. `model`: where to write the network of the best with its
    inherited weights; only for a posterior. Raises ArtifactError, UsageError, DataError, MemoryExhausted, Interrupted.
    """
    origin = rankable(source)
    config = config or origin.recipe()
    results = Results(origin.start, config, destination, count, model)
    with prepared(origin, config, count, reporter) as ready:  # line 7
        with (
            results.run(ready.data.info, reporter) as run,
            ready.data.kept(room(config, run), reporter.notice, chosen=ready.images),
        ):
            rounds = Rounds(ready.scorer, ready.data.train_labels, config, run, reporter)
            scored = rounds.score(ready.candidates, ready.images)  # lines 9, 10
        return concluded(scored, ready, results, config, count, reporter)


def concluded(
    scored: Sequence[Round], ready: Prepared, results: Results, config: DeriveConfig, count: int, reporter: Reporter
) -> Ranking:
    """What a ranking with these scores derives, which is written. Raises UsageError where too few are fast enough."""
    best = ranked(scored[-1].own)  # lines 8 and 11 to 15
    latencies: tuple[Latency, ...] = ()
    if config.max_latency is not None:
        best, latencies = fast_enough(best, count, config.max_latency, ready, config, reporter)
    best = best[:count]
    genotypes, network = results.write(best, latencies, ready, reporter)  # line 16
    return Ranking(genotypes, network, tuple(best), tuple(scored), config.candidates, ready.probability, latencies)
