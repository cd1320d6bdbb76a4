"""Disconnected cells, through which no image reaches the output: reported by a derivation, refused by a training."""

from collections.abc import Sequence
from itertools import islice

from nascli.artifacts.distributions.distribution import Distribution
from nascli.artifacts.genotypes.genotype import Genotype
from nascli.artifacts.load import LoadedGenotype
from nascli.config import DetectConfig, TrainConfig
from nascli.core.engine.offers import OffersLimits, OffersSamples, OffersTop
from nascli.core.engine.reporter import Reporter
from nascli.errors import UsageError

SHOWN = 10
"""How many disconnected genotypes a message lists by number."""


def disconnection(genotype: Genotype) -> str:
    """Which cells of a genotype are disconnected and what that means, in words; empty where none is."""
    names = genotype.disconnected_cells()
    if not names:
        return ""
    subject = "the cell {} is" if len(names) == 1 else "the cells {} are"
    return (
        f"{subject.format(' and '.join(map(repr, names)))} disconnected: nothing of the images reaches the output, "
        "and the network can only guess"
    )


def tell_disconnected(genotypes: Sequence[Genotype], distribution: Distribution, reporter: Reporter) -> None:
    """Report which of the derived genotypes are disconnected, if any, and what to do about it."""
    texts = enumerate(map(disconnection, genotypes), start=1)
    faults = {number: text for number, text in texts if text}
    if not faults:
        return
    if len(genotypes) > 1:
        numbers = [*map(str, islice(faults, SHOWN)), *(["…"] if len(faults) > SHOWN else [])]
        reporter.notice(
            f"disconnected cells, whose networks can only guess: {len(faults):,} of {len(genotypes):,} genotypes, "
            f"number {', '.join(numbers)}"
        )
        return
    ways = ["--without-none"] if isinstance(distribution, OffersLimits) else []
    ways += ["--top"] if isinstance(distribution, OffersTop) else []
    ways += ["--sample"] if isinstance(distribution, OffersSamples) else []
    another = f"derive another ({', '.join(ways)}), or " if ways else ""
    reporter.notice(f"{faults[1]}: {another}search longer")


def check_connected(genotype: LoadedGenotype, config: TrainConfig | DetectConfig) -> None:
    """Raise UsageError for a genotype that cannot learn, unless `config.force`."""
    if not config.force and (fault := disconnection(genotype.value.genotype)):
        raise UsageError(f"{genotype.where}: {fault}; --force trains it all the same")
