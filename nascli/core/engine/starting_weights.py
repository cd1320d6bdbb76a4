"""Training from the weights of a search: whether they belong to the genotype and suit the images."""

from dataclasses import dataclass

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.genotype import ChannelsGenotype
from nascli.artifacts.load import LoadedDistribution, LoadedGenotype
from nascli.config import TrainConfig
from nascli.errors import UsageError

SHOWN_DIGITS = 12
"""Digits of a sha256 in messages, as in `nascli info`."""


@dataclass(frozen=True)
class Inherited:
    """The weights that a training begins with: those of a posterior, in the file `where`, that a genotype keeps."""

    genotype: ChannelsGenotype
    posterior: PosteriorDistribution
    where: str


def inherited_weights(
    genotype: LoadedGenotype, start: LoadedDistribution | None, config: TrainConfig
) -> Inherited | None:
    """The weights in `start` that a training of `genotype` by `config` begins with; None for random ones.

    Raises UsageError where it cannot begin with them. `check_data` checks the images.
    """
    if start is None:
        if config.weights == "inherited":
            run = genotype.provenance.made_from
            digest = f" ({run.sha256[:SHOWN_DIGITS]})" if run is not None else ""
            raise UsageError(
                f"this training starts from inherited weights: name the run{digest} that {genotype.where} was derived "
                "from with --from"
            )
        return None
    if config.weights != "inherited":
        raise UsageError(
            f"weights from {start.where} are given, and the configuration wants fresh ones: leave one of them out "
            "(weights = 'inherited' takes them)"
        )
    posterior, found = start.distribution, genotype.value.genotype
    if not isinstance(posterior, PosteriorDistribution):
        raise UsageError(
            f"{start.where} is a {posterior.noun} and holds no weights of its networks: leave --from "
            "out to train from random ones"
        )
    if not isinstance(found, ChannelsGenotype):
        raise UsageError(
            f"{genotype.where} is a genotype of cells, which inherit no weights: leave --from out to train from random "
            "ones"
        )
    theirs, ours = ((which.supernet, which.width, which.stages) for which in (posterior, found))
    if theirs != ours:
        raise UsageError(
            f"{start.where} has weights of {_network(*theirs)}, {genotype.where} is cut from {_network(*ours)}"
        )
    origin = genotype.provenance.made_from
    if origin is None:
        raise UsageError(
            f"{genotype.where} does not say which run it was derived from, so the weights in {start.where} may be "
            "another's: leave --from out to train from random ones"
        )
    if origin.sha256 != start.sha256:
        raise UsageError(
            f"{genotype.where} was derived from another run ({origin.sha256[:SHOWN_DIGITS]}) than {start.where} "
            f"({start.sha256[:SHOWN_DIGITS]}): give that one to --from"
        )
    return Inherited(found, posterior, start.where)


def check_data(inherited: Inherited, data: DataInfo) -> None:
    """Raise UsageError unless the weights are for images of this size and for these classes."""
    theirs = inherited.posterior.data
    if (theirs.channels, theirs.image_size) != (data.channels, data.image_size):
        raise UsageError(
            f"the weights in {inherited.where} are for images of {_images(theirs)}, not of {_images(data)}: train on "
            "such images, or leave --from out"
        )
    if theirs.classes != data.classes:
        raise UsageError(
            f"the weights in {inherited.where} are for the {len(theirs.classes)} classes of {theirs.dataset}, not for "
            f"the {len(data.classes)} of {data.dataset}: train on the same classes, or leave --from out"
        )


def _network(supernet: str, width: int, stages: tuple[int, ...]) -> str:
    return f"{supernet} of width {width} with {'+'.join(map(str, stages))} blocks"


def _images(data: DataInfo) -> str:
    return f"{data.channels}x{data.image_size}x{data.image_size}"
