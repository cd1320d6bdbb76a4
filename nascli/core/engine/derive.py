"""From a distribution to genotypes. Needs no torch where the distribution needs none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from nascli import __version__
from nascli.artifacts.distributions.best_within import MOST_COUNTED
from nascli.artifacts.distributions.distribution import Distribution, DistributionFile
from nascli.artifacts.distributions.limits import NO_LIMITS, CellLimits
from nascli.artifacts.files.disk import check_output, sha256
from nascli.artifacts.genotypes.genotype import Genotype, GenotypeFile, genotype_bytes, text_form
from nascli.artifacts.load import LoadedArtifact, LoadedDistribution, LoadedGenotype
from nascli.artifacts.provenance import Provenance
from nascli.core.engine.connection import tell_disconnected
from nascli.core.engine.destination import Destination
from nascli.core.engine.inputs import Source, artifacts, read_back, refuse_overwriting_artifacts
from nascli.core.engine.offers import (
    KnowsProbabilities,
    OffersLimits,
    OffersMode,
    OffersSamples,
    OffersTop,
    check_count,
)
from nascli.core.engine.reporter import Reporter, Silent
from nascli.core.engine.several import mean_distribution
from nascli.core.engine.sizing import trained_later
from nascli.errors import UsageError
from nascli.registry import METHODS
from nascli.spaces.network_settings import NetworkSettings

BEYOND = "better_beyond"
"""What a provenance calls the number of better cells that are beyond the limits, up to MOST_COUNTED."""


@dataclass(frozen=True)
class Chosen:
    """A genotype out of a distribution, how it was chosen (as its provenance says it), and its log-probability."""

    genotype: Genotype
    how: dict[str, Any]
    log_probability: float | None


@dataclass(frozen=True)
class Mode(CellLimits):
    """The one network that the distribution stands for; for cells, the best within the limits, if any."""

    count: ClassVar[int] = 1

    @property
    def limits(self) -> CellLimits:
        """The limits alone."""
        return CellLimits(**{one.name: getattr(self, one.name) for one in fields(CellLimits)})

    def of(self, distribution: Distribution) -> Iterator[Chosen]:
        if not isinstance(distribution, OffersMode):
            raise UsageError(_missing_choice(distribution, "no mode (--mode)"))
        if self.limits == NO_LIMITS:
            yield Chosen(mode := distribution.mode(), {"choice": "mode"}, _log_probability(distribution, mode))
            return
        if not isinstance(distribution, OffersLimits):
            raise UsageError(_no_limits(distribution, self.limits))
        genotype, beyond = distribution.mode_within(self.limits), 0
        if genotype.network() != distribution.mode().network():
            ranking = distribution.mode_ranking(self.limits)
            beyond = ranking.better_beyond([next(iter(ranking))])
        how = {"choice": "mode", **self.limits.facts(), BEYOND: beyond}
        yield Chosen(genotype, how, _log_probability(distribution, genotype))


@dataclass(frozen=True)
class Top:
    """The `count` best networks, for cells within limits, best first; their ranks count from 1."""

    count: int
    limits: CellLimits = NO_LIMITS

    def __post_init__(self) -> None:
        check_count(self.count)

    def of(self, distribution: Distribution) -> Iterator[Chosen]:
        if not isinstance(distribution, OffersTop):
            raise UsageError(_missing_choice(distribution, "no order among its genotypes (--top)"))
        more: dict[str, Any] = {}
        if self.limits == NO_LIMITS:
            best = distribution.top(self.count)
        elif isinstance(distribution, OffersLimits):
            ranking = distribution.ranking(self.limits)
            ranked = list(islice(ranking, self.count))
            best = [(one.genotype, _log_probability(distribution, one.genotype)) for one in ranked]
            more = {**self.limits.facts(), BEYOND: ranking.better_beyond(ranked)}
        else:
            raise UsageError(_no_limits(distribution, self.limits))
        if len(best) < self.count:
            within = f" within {self.limits}" if more else ""
            raise UsageError(f"{self.count:,} networks were asked for; the distribution has only {len(best):,}{within}")
        for rank, (genotype, log_probability) in enumerate(best, 1):
            yield Chosen(genotype, {"choice": "top", "rank": rank, **more}, log_probability)


@dataclass(frozen=True)
class Sample:
    """Networks 1 to `count` of the sequence `seed`, drawn independently: likely ones come more than once."""

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.count)
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"the seed must be from 0 to 2**63 - 1, not {self.seed}")

    def of(self, distribution: Distribution) -> Iterator[Chosen]:
        if not isinstance(distribution, OffersSamples):
            raise UsageError(_missing_choice(distribution, "nothing to draw from (--sample)"))
        for number in range(1, self.count + 1):
            genotype = distribution.sample(self.seed, number)
            how = {"choice": "sample", "seed": self.seed, "number": number}
            yield Chosen(genotype, how, _log_probability(distribution, genotype))


Choice = Mode | Top | Sample


def derive(
    source: Source | Sequence[Source],
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    format: str = "json",
) -> LoadedGenotype:
    """The genotype that a distribution, or the mean of several (`mean_distribution`), stands for.

    format: "json", or the name of its space for that space's text form.

    A disconnected genotype is reported. For a posterior, and where a method only shares weights among cells, it is the
    best of the candidates: see `rank`, which also returns all scores and the posterior's network. Raises ArtifactError,
    UsageError; where candidates are ranked also DataError, MemoryExhausted, Interrupted.
    """
    starts = _starts(source)
    if ranks(starts[0]):
        from nascli.core.engine.ranking.rank import rank

        if len(starts) > 1:
            raise UsageError("candidates are ranked with the weights of one search: give one")
        if format != "json":
            raise UsageError("a ranked genotype is written as JSON, which records the ranking: leave the format out")
        return rank(starts[0], destination=destination, reporter=reporter).genotypes[0]
    (result,) = derive_several(starts, Mode(), destination, reporter, format=format)
    return result


def ranks(start: LoadedDistribution) -> bool:
    """Whether candidates must be ranked, because the distribution by itself stands for no network."""
    row = METHODS.get(start.provenance.method or "")
    return not isinstance(start.distribution, OffersMode) or (row is not None and row.ranks)


def derive_several(
    source: Source | Sequence[Source],
    choice: Choice,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    format: str = "json",
    average: int | None = None,
) -> tuple[LoadedGenotype, ...]:
    """The genotypes of a choice, such as `Top(5)` or `Sample(5, seed=1)`, in its order.

    Limits of a size are about the network that will be trained by the recipe of the method and the images, unless they
    name another. With several searches, the genotypes come from their mean (`mean_distribution`). average: choose from
    the mean logits of this many last epochs, not from those of the last one. Several genotypes go to numbered files
    (`Destination.numbered`); nothing is written unless all can be. Disconnected ones are reported. Raises UsageError
    where the distribution offers no such choice, or none within the limits, ArtifactError for a source that is no
    distribution.
    """
    starts = _starts(source)
    targets = _targets(destination, choice.count, starts, format)
    return _write([_derived(starts, choice, average)], targets, reporter, format)


def derive_each(
    sources: Sequence[Source],
    mode: "Mode | None" = None,
    destination: Destination = Destination(),
    reporter: Reporter = Silent(),
    *,
    format: str = "json",
    average: int | None = None,
) -> tuple[LoadedGenotype, ...]:
    """The genotype that each of several searches stands for, in their order.

    They go to numbered files, those of one search to `destination` itself. Nothing is written unless all can be. Raises
    as `derive_several`, and ArtifactError for a source that is no distribution.
    """
    starts = artifacts(sources, DistributionFile)
    targets = _targets(destination, len(starts), starts, format)
    found = [_derived([start], Mode() if mode is None else mode, average) for start in starts]
    return _write(found, targets, reporter, format)


@dataclass(frozen=True)
class _Derived:
    """What a choice makes of a distribution."""

    choice: Choice
    distribution: Distribution
    files: list[GenotypeFile]


def _derived(starts: Sequence[LoadedDistribution], choice: Choice, average: int | None) -> _Derived:
    """The genotypes of a choice from one search, or from the mean of several."""
    choice = _sized(choice, starts[0])
    if isinstance(choice, Mode):
        for start in starts:
            _check_learnt(start)
    distribution = mean_distribution(starts, average)
    return _Derived(choice, distribution, [_file(chosen, starts, average) for chosen in choice.of(distribution)])


def _targets(
    destination: Destination, count: int, starts: Sequence[LoadedDistribution], format: str
) -> list[Destination]:
    """Where so many genotypes go. Raises UsageError where one of them could not be written."""
    targets = destination.numbered(count)
    refuse_overwriting_artifacts((target.output for target in targets), *starts)
    for target in targets:
        if target.output is not None:
            check_output(target.output, target.overwrite, ending=".json" if format == "json" else ".txt")
    return targets


def _write(
    found: Sequence[_Derived], targets: Sequence[Destination], reporter: Reporter, format: str
) -> tuple[LoadedGenotype, ...]:
    """Write the genotypes, one after another, to the targets, and report what is worth knowing about them."""
    files = [file for one in found for file in one.files]
    contents = [genotype_bytes(file) for file in files]
    written = contents if format == "json" else [text_form(file.genotype, format) for file in files]
    results = tuple(
        replace(read_back(content, target.write(data), GenotypeFile), sha256=sha256(data))
        for target, content, data in zip(targets, contents, written, strict=True)
    )
    for one in found:
        _tell_limits(one.choice, one.files, reporter)
        tell_disconnected([file.genotype for file in one.files], one.distribution, reporter)
    return results


def _sized(choice: Choice, start: LoadedDistribution) -> Choice:
    """The choice, with the network that its limits are about: the one that will be trained, unless it says another."""
    if isinstance(choice, Sample) or not choice.limits.sizes or choice.limits.network is not None:
        return choice
    network = limited_network(start, choice.limits)
    if isinstance(choice, Mode):
        return replace(choice, network=network)
    return replace(choice, limits=replace(choice.limits, network=network))


def limited_network(start: LoadedDistribution, limits: CellLimits, **given: Any) -> NetworkSettings:
    """The network that limits of a size are about: the one of the search's own limits, or the one trained later.

    given: other settings of that training than the recipe's (`trained_later`). Raises UsageError where a distribution
    has no operations to choose from.
    """
    if not isinstance(start.distribution, OffersLimits):
        raise UsageError(_no_limits(start.distribution, limits))
    own = start.distribution.limits.network
    if own is not None and not given:
        return own
    return trained_later(start.provenance, start.distribution.space.name, **given)


def _tell_limits(choice: Choice, files: Sequence[GenotypeFile], reporter: Reporter) -> None:
    """What the limits cost: how many better cells are beyond them, and the size of the best within them."""
    if isinstance(choice, Sample) or (number := files[0].provenance.config.get(BEYOND)) is None:
        return
    assert isinstance(number, int)
    count = f"{MOST_COUNTED:,} or more" if number == MOST_COUNTED else f"{number:,}"
    cells = "better cell" if number == 1 else "better cells"
    than = "" if len(files) == 1 else " (than the last of these)"
    are = "is" if number == 1 else "are"
    reporter.notice(f"{count} {cells}{than} {are} beyond {choice.limits}{_size(choice.limits, files[0])}")


def _size(limits: CellLimits, file: GenotypeFile) -> str:
    if limits.network is None:
        return ""
    size = file.genotype.graph(limits.network).size
    return (
        f"; the best within has {size.parameters:,} parameters and {size.multiply_adds:,} multiply-adds, with "
        f"{limits.network.layers} cells and {limits.network.channels} channels"
    )


def _check_learnt(start: LoadedDistribution) -> None:
    """Raise UsageError for a distribution that has not been learnt, whose mode is just the first of equals."""
    row = METHODS.get(start.provenance.method or "")
    if row is not None and row.ranks and isinstance(start.distribution, OffersMode):
        raise UsageError(
            f"{start.provenance.method} learns no distribution, so {start.where} has no mode: rank its candidates "
            "(derive without --mode, nascli.rank in Python)"
        )


def _starts(source: Source | Sequence[Source]) -> tuple[LoadedDistribution, ...]:
    return artifacts([source] if isinstance(source, str | Path | LoadedArtifact) else source, DistributionFile)


def _file(chosen: Chosen, starts: Sequence[LoadedDistribution], average: int | None) -> GenotypeFile:
    start, origin, how = starts[0], starts[0].provenance, dict(chosen.how)
    if average is not None:
        how["average"] = average
    if len(starts) > 1:
        how["mean_with"] = [{"sha256": other.sha256, "seed": other.provenance.seed} for other in starts[1:]]
    return GenotypeFile(
        genotype=chosen.genotype,
        provenance=Provenance(
            nascli=__version__,
            stage="derive",
            method=origin.method,
            seed=origin.seed if len(starts) == 1 else None,
            config=how,
            data=origin.data,
            made_from=start.ancestor(),
        ),
        log_probability=chosen.log_probability,
    )


def _log_probability(distribution: Distribution, genotype: Genotype) -> float | None:
    return distribution.log_probability(genotype) if isinstance(distribution, KnowsProbabilities) else None


def _no_limits(distribution: Distribution, limits: CellLimits) -> str:
    return f"a {distribution.noun} has no operations to choose from: leave {limits} out"


def _missing_choice(distribution: Distribution, lack: str) -> str:
    """The message where a distribution does not offer a choice: the choices that it offers."""
    found = ["its mode"] if isinstance(distribution, OffersMode) else []
    found += ["its best (--top)"] if isinstance(distribution, OffersTop) else []
    found += ["samples (--sample)"] if isinstance(distribution, OffersSamples) else []
    if not isinstance(distribution, OffersMode):
        found += ["the best of candidates that are ranked on held-out images (the default; in Python, nascli.rank)"]
    return f"a {distribution.noun} has {lack}; it offers {', '.join(found)}"
