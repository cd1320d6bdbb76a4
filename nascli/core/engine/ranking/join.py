"""Puts the parts of a ranking together, and derives from them what the whole ranking would have derived."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from nascli import __version__
from nascli.artifacts.load import LoadedDistribution, LoadedRankingPart
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.artifacts.runs.scores import Scored
from nascli.config import PLACE, DeriveConfig, describe
from nascli.core.engine.destination import Destination, changed_settings
from nascli.core.engine.inputs import Output, Source, artifacts, refuse_overwriting_artifacts
from nascli.core.engine.ranking.candidates import Candidate
from nascli.core.engine.ranking.held_out import rankable
from nascli.core.engine.ranking.prepare import Prepared, prepared
from nascli.core.engine.ranking.rank import Ranking, concluded
from nascli.core.engine.ranking.results import Results
from nascli.core.engine.ranking.rounds import different, round_of
from nascli.core.engine.ranking.share import share
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.same_data import difference
from nascli.errors import ArtifactError, UsageError

SHOWN = 10
"""Missing parts that a message names."""


def loaded_parts(start: LoadedDistribution, sources: Sequence[Source]) -> tuple[LoadedRankingPart, ...]:
    """The parts of a ranking of `start`, in their order.

    Raises ArtifactError for a file that is none or of another ranking, UsageError where parts are missing or given
    twice.
    """
    parts = artifacts(sources, RankingPartFile)
    for part in parts:
        _check_origin(part, start)
        _check_agreement(part, parts[0])
    _check_complete(parts)
    return tuple(sorted(parts, key=lambda part: part.value.shard.number))


def joined_settings(parts: Sequence[LoadedRankingPart]) -> dict[str, Any]:
    """The settings of the ranking, without those of the machines that its parts ran on, but with the images' folder."""
    machine = PLACE - {"data_dir"}
    return {name: value for name, value in parts[0].provenance.config.items() if name not in machine}


def join(
    source: Source,
    parts: Sequence[Source],
    config: DeriveConfig | None = None,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    count: int = 1,
    model: Output = None,
) -> Ranking:
    """What `rank` returns and writes, to the same bytes, from the parts that `rank_shard` has scored.

    `config` None: that of the parts. Nothing is scored again; a limit of the latency is measured here. Raises as `rank`
    and `loaded_parts`, and UsageError for other settings than those of the parts.
    """
    origin = rankable(source)
    found = loaded_parts(origin.start, parts)
    config = config or DeriveConfig(**joined_settings(found))
    if changed := changed_settings(found[0].provenance.config, config):
        raise UsageError(f"the parts were scored with other settings: {'; '.join(changed)}; leave these options out")
    results = Results(origin.start, config, destination, count, model)
    outputs = [target.output for target in destination.numbered(count)]
    refuse_overwriting_artifacts((*outputs, model), *found)
    with prepared(origin, config, count, reporter) as ready:
        scores = _scores(found, ready)
        with results.run(ready.data.info, reporter) as run:
            scored = round_of(ready.candidates, scores, len(ready.images), run)
        return concluded([scored], ready, results, config, count, reporter)


def _scores(parts: Sequence[LoadedRankingPart], ready: Prepared) -> list[tuple[float, float]]:
    """The accuracy and the loss of every network, in order. Raises ArtifactError where parts are of other networks."""
    networks = different(ready.candidates)
    known: dict[Hashable, tuple[float, float]] = {}
    for place, part in enumerate(parts):
        own = share(networks, part.value.together, place, len(parts))
        for candidate, score in zip_longest(own, part.value.scores):
            if candidate is None or score is None or not _same(candidate, score):
                raise ArtifactError(
                    f"{part.where}: its scores are not those of part {part.value.shard} of this ranking: score it again"
                )
            known[candidate.twin_of] = (score.accuracy, score.loss)
    if parts[0].value.images != len(ready.images):
        raise ArtifactError(
            f"the parts were scored on {parts[0].value.images:,} images, and {len(ready.images):,} are held out here: "
            "score them again"
        )
    return [known[candidate.twin_of] for candidate in networks]


def _same(candidate: Candidate, score: Scored) -> bool:
    """Whether a score is that of a candidate."""
    mine = (candidate.population, candidate.number, candidate.size.parameters, candidate.size.multiply_adds)
    return mine == (score.population, score.number, score.parameters, score.multiply_adds)


def _check_origin(part: LoadedRankingPart, start: LoadedDistribution) -> None:
    """Raise ArtifactError for a part of a ranking of another file, or by another version."""
    origin = part.provenance
    if origin.made_from is None or origin.made_from.sha256 != start.sha256:
        raise ArtifactError(f"{part.where} has scores of candidates of another file than {start.where}")
    if origin.nascli != __version__:
        raise ArtifactError(
            f"{part.where} was scored by nascli {origin.nascli}, and this is {__version__}: join it with the version "
            "that scored it, or score it again"
        )
    then, now = origin.data, start.provenance.data
    if then is None or now is None or (found := difference(now, then)):
        raise ArtifactError(f"{part.where} was scored on other images than those of {start.where} ({found})")


def _check_agreement(part: LoadedRankingPart, first: LoadedRankingPart) -> None:
    """Raise ArtifactError for two parts that are not of one ranking."""
    own, other = part.value, first.value
    if differences := list(_differences(first, part)):
        raise ArtifactError(f"{part.where} is of another ranking than {first.where}: {'; '.join(differences)}")
    if own.shard.count != other.shard.count:
        raise ArtifactError(
            f"{part.where} is one of {own.shard.count:,} parts, and {first.where} one of {other.shard.count:,}: a "
            "ranking is put together from parts of one division"
        )
    if own.together != other.together:
        raise ArtifactError(
            f"{part.where} was scored with {own.together:,} networks in a forward pass, and {first.where} with "
            f"{other.together:,}: score all parts on devices of one kind"
        )


def _ranking_of(part: LoadedRankingPart) -> DeriveConfig:
    """The configuration of a part's ranking. Raises ArtifactError for one that this version does not know."""
    try:
        return DeriveConfig.model_validate(part.provenance.config)
    except ValidationError as error:
        raise ArtifactError(f"{part.where}: {describe(error)}") from None
    except UsageError as error:
        raise ArtifactError(f"{part.where}: {error}") from None


def _differences(first: LoadedRankingPart, part: LoadedRankingPart) -> Iterator[str]:
    """What differs between the rankings of two parts, in words."""
    yield from changed_settings(first.provenance.config, _ranking_of(part))
    for name in ("networks", "images"):
        before, now = getattr(first.value, name), getattr(part.value, name)
        if before != now:
            yield f"{name} were {before:,} and are {now:,}"


def _check_complete(parts: Sequence[LoadedRankingPart]) -> None:
    """Raise UsageError unless every part is there once."""
    numbers = Counter(part.value.shard.number for part in parts)
    count = parts[0].value.shard.count
    for number, times in numbers.items():
        if times > 1:
            one, other = [part.where for part in parts if part.value.shard.number == number][:2]
            files = one if one == other else f"{one} and {other}"
            raise UsageError(f"part {number}/{count} is given twice: {files}")
    if missing := [number for number in range(1, count + 1) if number not in numbers]:
        named = ", ".join(f"{number}/{count}" for number in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
        which = f"part {named} is" if len(missing) == 1 else f"parts {named}{more} are"
        raise UsageError(f"{which} missing: name its file, or score it with --shard {missing[0]}/{count}")
