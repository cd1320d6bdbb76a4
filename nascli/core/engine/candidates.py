"""`derive` by ranking: candidates are drawn, scored on held-out images with the weights of the search, and ranked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nascli import __version__
from nascli.artifacts.categorical import CategoricalDistribution
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distribution import DistributionFile
from nascli.artifacts.files import BINARY, check_output, is_pipe, same_file, write_output
from nascli.artifacts.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedDistribution, LoadedGenotype, LoadedModel
from nascli.artifacts.mixture import MixtureDistribution
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.artifacts.posterior import PosteriorDistribution
from nascli.artifacts.provenance import DataDescription, Provenance
from nascli.artifacts.rundir import RunDir
from nascli.artifacts.scores import UNIFORM, Scored, best_first
from nascli.config import PLACE, DeriveConfig, FinetuneConfig, SearchConfig
from nascli.core.engine.cell_pool import CellPool
from nascli.core.engine.channel_pool import ChannelPool
from nascli.core.engine.connection import tell_disconnected
from nascli.core.engine.inputs import Output, Source, artifact, keep_artifacts, made
from nascli.core.engine.offers import check_count
from nascli.core.engine.pool import CandidateScorer, OffersModels, Pool
from nascli.core.engine.ranking import (
    Budget,
    Candidate,
    mean_and_deviation,
)
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.rounds import Round, Rounds
from nascli.core.engine.same_data import difference
from nascli.core.engine.session import Destination, check_destination, open_run
from nascli.core.methods.protocol import HELD_OUT, SEARCH
from nascli.core.runtime import Runtime, memory_errors, open_runtime
from nascli.data import DataModule, open_data
from nascli.errors import ArtifactError, DataError, UsageError
from nascli.registry import METHODS, load


@dataclass(frozen=True)
class Ranking:
    """The genotypes that were chosen, best first, the model if there is one, and all scores.

    `rounds`: of one, or of two where there is a shortlist. `candidates`: how many were drawn of each population; those
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
    """Rank candidates of a distribution and write the best as a genotype, or the `count` best (see `numbered`).

    `config` None: by the recipe for its method and images. `model`: where to write the network of the best with its
    inherited weights; of a posterior alone. Raises ArtifactError, UsageError, DataError, MemoryExhausted, Interrupted.
    """
    start, pool, config = ranked_by(source, config)
    if model is not None and not isinstance(pool, OffersModels):
        raise UsageError("shared weights are no candidate's own: leave --model out, and train the genotype")
    targets = _targets(start, destination, count, model)
    folder = Destination(None, destination.run_path, destination.resume, destination.overwrite)
    check_destination(folder, config, start.ancestor())
    runtime = open_runtime(config)
    with memory_errors(config.batch_size):
        work = prepare(start, pool, config, runtime, reporter, count)
        if folder.resume and folder.run_path is not None and not RunDir(folder.run_path).has_run():
            reporter.notice(f"there is no run in {folder.run_path} yet: starting from the beginning")
        with open_run(folder, config, start.ancestor(), work.data.info) as run:
            rounds = Rounds(work.scorer, run, config, reporter, work.data, work.images).run(work.candidates)
    best = best_first(rounds[-1].own)[:count]
    chosen = _Chosen(start, pool, config, len(work.images))
    contents = [genotype_bytes(chosen.file(score, place)) for place, score in enumerate(best, 1)]
    found = None
    if model is not None and isinstance(pool, OffersModels):
        found = model_bytes(pool.model(chosen.file(best[0], 1), best[0], work.scorer))
    genotypes = [
        made(content, target.write(content), GenotypeFile) for target, content in zip(targets, contents, strict=True)
    ]
    derived = None
    if found is not None and model is not None:
        write_output(model, found, overwrite=destination.overwrite or destination.resume)
        derived = made(found, None if is_pipe(model) else Path(model), ModelFile)
    tell_disconnected([one.value.genotype for one in genotypes], start.distribution, reporter)
    reporter.end(None if targets[0].is_pipe or targets[0].output is None else Path(targets[0].output))
    return Ranking(tuple(genotypes), derived, tuple(best), tuple(rounds), config.candidates, work.probability)


def ranked_by(source: Source, config: DeriveConfig | None) -> tuple[LoadedDistribution, Pool, DeriveConfig]:
    """A distribution, what its candidates are drawn from, and how they are ranked: by `config`, or by the recipe.

    Raises ArtifactError, UsageError.
    """
    start = artifact(source, DistributionFile)
    return start, pool_of(start), config or _recipe(start)


def pool_of(start: LoadedDistribution) -> Pool:
    """What the candidates of a distribution are drawn from. Raises ArtifactError, UsageError where there is nothing."""
    match start.distribution:
        case PosteriorDistribution() as posterior:
            return ChannelPool(posterior, start.where, _searched(start))
        case (CategoricalDistribution() | MixtureDistribution()) as cells:
            return CellPool(start, cells, _searched(start))
    raise UsageError(f"a {start.distribution.kind} has no candidates to rank on images")


@dataclass(frozen=True)
class Work:
    """All that a ranking needs: images and which of them count, candidates of both populations, what scores them.

    `probability`: of dropping a channel in uniform dropout; None: without that population, or for cells.
    """

    data: DataModule
    images: np.ndarray
    candidates: list[Candidate]
    probability: float | None
    scorer: CandidateScorer


def prepare(
    start: LoadedDistribution, pool: Pool, config: DeriveConfig, runtime: Runtime, reporter: Reporter, count: int = 1
) -> Work:
    """A ranking before its first score, of which the `count` best are wanted. Raises as `rank`."""
    check_count(count)
    data, images = held_out_images(start, pool.data, config, runtime.device)
    for notice in data.notices:
        reporter.notice(notice)
    candidates, probability = _populations(pool, data.info, config, reporter)
    finalists = sum(candidate.population != UNIFORM for candidate in candidates)
    if config.shortlist is not None:
        finalists = min(finalists, config.shortlist)
    if finalists < count:
        raise UsageError(f"{count:,} networks are asked for, and {finalists:,} would be ranked to the end")
    return Work(data, images, candidates, probability, pool.scorer(data, config, runtime))


def held_out_images(
    start: LoadedDistribution, then: DataInfo | DataDescription, config: DeriveConfig, device: Any
) -> tuple[DataModule, np.ndarray]:
    """The images of the search, `then`, and which of its training images its weights have never seen.

    They are those that it held out for the ranking, or else those that only the architecture learnt from.

    Raises UsageError where it held out none, or other data are given; DataError where they are not what they were.
    """
    search = search_config(start, config)
    data = open_data(search, device=device)
    before = then.description() if isinstance(then, DataInfo) else then
    if found := difference(before, data.info.description()):
        raise DataError(
            f"the images of {search.dataset} are not those that {start.where} was made with ({found}): candidates are "
            "ranked on images that its search held out, so give the same --data-dir"
        )
    shares = load(METHODS[search.method].target).shares(search.settings)
    part = HELD_OUT if HELD_OUT in shares or SEARCH not in shares else SEARCH
    if not shares.get(part):
        raise UsageError(
            f"the search of {start.where} held out no images to rank on: search with --held-out 0.1, or derive "
            "without ranking by --sample"
        )
    return data, data.split(shares, search.seed)[part]


def _recipe(start: LoadedDistribution) -> DeriveConfig:
    """A ranking by the recipe for a distribution's method and images. Raises ArtifactError."""
    search = _searched(start)
    own = start.distribution
    side = own.data.image_size if isinstance(own, PosteriorDistribution) else search.image_size
    return DeriveConfig(method=search.method, dataset=search.dataset, data_dir=search.data_dir, image_size=side)


def _searched(start: LoadedDistribution) -> SearchConfig:
    """The configuration of the search behind a distribution. Raises ArtifactError."""
    origin = start.provenance
    if origin.method not in METHODS or origin.stage not in (SearchConfig.stage, FinetuneConfig.stage):
        raise ArtifactError(f"{start.where} does not say how it was searched for, so what it held out is not known")
    kind = FinetuneConfig if origin.stage == FinetuneConfig.stage else SearchConfig
    return kind(**origin.config)


def search_config(start: LoadedDistribution, config: DeriveConfig) -> SearchConfig:
    """The configuration of the search behind a distribution, on this machine. Raises ArtifactError, UsageError."""
    search = _searched(start)
    if config.dataset != search.dataset:
        raise UsageError(
            f"{start.where} was made with {search.dataset}, and its candidates are ranked on images held out of that: "
            "leave --dataset out"
        )
    here = {name: getattr(config, name) for name in {*PLACE, "download"}}
    return search.model_copy(update=here)


def _targets(start: LoadedDistribution, destination: Destination, count: int, model: Output) -> list[Destination]:
    """Where every genotype goes; raises UsageError for whatever cannot be written, before any work is done."""
    replaces = destination.overwrite or destination.resume
    targets = destination.numbered(count)
    outputs = [target.output for target in targets]
    keep_artifacts((*outputs, model), start)
    if model is not None:
        if is_pipe(model) and destination.is_pipe:
            raise UsageError("the genotype and the model cannot both go to standard output: name a file for one")
        if not is_pipe(model) and any(out is not None and same_file(out, model) for out in outputs):
            raise UsageError(f"{model} cannot be both the genotype and the model: name another file")
        check_output(model, replaces, ending=BINARY)
    for output in outputs:
        if output is not None:
            check_output(output, replaces, ending=".json")
    return targets


def _populations(
    pool: Pool, info: DataInfo, config: DeriveConfig, reporter: Reporter
) -> tuple[list[Candidate], float | None]:
    """The candidates that are to be scored, the distribution's first; and uniform dropout's probability."""
    drawn = pool.candidates(info, config.seed, config.candidates)
    budget = Budget(config.max_params, config.max_macs)
    chosen = budget.within(drawn)
    if len(chosen) < len(drawn):
        reporter.notice(
            f"{len(chosen):,} of {len(drawn):,} candidates are within the budget; the others are not ranked"
        )
    if not config.uniform:
        return chosen, None
    # Of the same mean size as those that are ranked: with a budget, these are not all that were drawn.
    target, _ = mean_and_deviation([candidate.size.parameters for candidate in chosen])
    # The budget is nothing to them: none is chosen, and without those beyond it they would be smaller on average.
    uniform, probability = pool.uniform(info, config.seed, len(chosen), target)
    return chosen + uniform, probability


class _Chosen:
    """The files of candidates that were chosen."""

    def __init__(self, start: LoadedDistribution, pool: Pool, config: DeriveConfig, images: int) -> None:
        self._start, self._pool, self._config, self._images = start, pool, config, images

    def file(self, score: Scored, place: int) -> GenotypeFile:
        genotype = self._pool.genotype(self._config.seed, score.number)
        return GenotypeFile(genotype=genotype, provenance=self._provenance(score, place))

    def _provenance(self, score: Scored, place: int) -> Provenance:
        origin, config = self._start.provenance, self._config
        how = {
            "choice": "ranked",
            "seed": config.seed,
            "candidates": config.candidates,
            "shortlist": config.shortlist,
            "max_params": config.max_params,
            "max_macs": config.max_macs,
            "recalibrate": config.recalibrate or None,
            "number": score.number,
            "rank": place,
            "held_out_images": self._images,
            "held_out_accuracy": score.accuracy,
            "held_out_loss": score.loss,
        }
        return Provenance(
            nascli=__version__,
            stage="derive",
            method=origin.method,
            seed=origin.seed,
            config={name: value for name, value in how.items() if value is not None},
            data=origin.data,
            made_from=self._start.ancestor(),
        )
