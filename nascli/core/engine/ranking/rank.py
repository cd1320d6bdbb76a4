"""PGNAS, Algorithm 1, lines 7 to 16: candidates are drawn from a posterior and scored, and the best is derived.

Cells with shared weights are ranked in the same way.
"""

from dataclasses import dataclass

from nascli.artifacts.load import LoadedGenotype, LoadedModel
from nascli.artifacts.runs.scores import Scored, ranked
from nascli.config import DeriveConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.inputs import Output, Source
from nascli.core.engine.ranking.draw import draw
from nascli.core.engine.ranking.held_out import held_out_images, rankable, recipe_for
from nascli.core.engine.ranking.results import Results
from nascli.core.engine.ranking.rounds import Round, Rounds
from nascli.core.engine.ranking.score import open_scorer
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.runtime import memory_errors, open_runtime


@dataclass(frozen=True)
class Ranking:
    """The genotypes that were chosen, best first, the model if there is one, and all scores.

    `rounds`: one, or two where there is a shortlist. `candidates`: how many were drawn of each population; those
    without a score were over the budget or had no part in the round. `probability`: that of uniform dropout.
    """

    genotypes: tuple[LoadedGenotype, ...]
    model: LoadedModel | None
    best: tuple[Scored, ...]
    rounds: tuple[Round, ...]
    candidates: int
    probability: float | None


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
    start = rankable(source)
    config = config or recipe_for(start)
    results = Results(start, config, destination, count, model)
    runtime = open_runtime(config)
    with memory_errors(config.batch_size):
        data, images = held_out_images(start, config, runtime.device, reporter)
        candidates, probability = draw(start, data.info, config, count, reporter)  # line 7
        scorer = open_scorer(start, data, config, runtime)
        with results.run(data.info, reporter) as run:
            rounds = Rounds(scorer, data.train_labels, config, run, reporter).score(candidates, images)  # lines 9, 10
    best = ranked(rounds[-1].own)[:count]  # lines 8 and 11 to 15
    genotypes, network = results.write(best, len(images), scorer, reporter)  # line 16
    return Ranking(genotypes, network, tuple(best), tuple(rounds), config.candidates, probability)
