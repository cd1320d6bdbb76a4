"""Training from the weights of a search or of a model: whether they belong to the genotype and suit the images."""

from dataclasses import dataclass

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.genotype import ChannelsGenotype, GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedArtifact, LoadedDistribution, LoadedGenotype, LoadedModel, load_artifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import Ancestor
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.config import TrainConfig
from nascli.core.engine.inputs import Source
from nascli.core.nn.build import build_network, inherited_network
from nascli.core.nn.graph_network import GraphNetwork
from nascli.core.nn.transfer import Transfer, transfer
from nascli.errors import ArtifactError, UsageError
from nascli.graphs.graph import Graph

Start = LoadedArtifact[DistributionFile | ModelFile]
"""What a training may start from: the result of a search, or a model."""

SHOWN_DIGITS = 12
"""Digits of a sha256 in messages, as in `nascli info`."""


@dataclass(frozen=True)
class Inherited:
    """The weights that a training begins with: those of a posterior, in the file `where`, that a genotype keeps."""

    genotype: ChannelsGenotype
    posterior: OfSupernet
    where: str


@dataclass(frozen=True)
class Transferred:
    """The weights that a training begins with: of the model in the file `where`, those that fit."""

    model: ModelFile
    where: str


def starting_file(source: Source) -> Start:
    """The artifact that a training starts from. Raises ArtifactError for a genotype."""
    found = source if isinstance(source, LoadedArtifact) else load_artifact(source, expect={"distribution", "model"})
    if isinstance(found.value, GenotypeFile | DetectorFile | RankingPartFile):
        raise ArtifactError(f"{found.where} holds a {found.kind}, not a distribution or a model")
    return LoadedArtifact(found.value, found.sha256, found.where)


def genotype_of(model: LoadedModel) -> LoadedGenotype:
    """The genotype of a model: the file that it was trained from, as far as the model knows it."""
    file, origin = model.value, model.provenance.made_from
    if origin is not None and origin.artifact == "genotype" and origin.provenance is not None:
        return LoadedArtifact(
            GenotypeFile(genotype=file.genotype, provenance=origin.provenance), origin.sha256, model.where
        )
    known = GenotypeFile(genotype=file.genotype, provenance=model.provenance)
    return LoadedArtifact(known, sha256(genotype_bytes(known)), model.where)


def weights_from(start: Start | None) -> Ancestor | None:
    """The model that a training starts from, for its provenance. A search is that of the genotype already."""
    return start.ancestor() if start is not None and isinstance(start.value, ModelFile) else None


def inherited_weights(
    genotype: LoadedGenotype, start: Start | None, config: TrainConfig
) -> Inherited | Transferred | None:
    """The weights in `start` that a training of `genotype` by `config` begins with; None for random ones.

    Raises UsageError where it cannot begin with them. `check_data` checks the images for those of a search.
    """
    if start is None:
        if config.weights == "inherited":
            run = genotype.provenance.made_from
            digest = f" ({run.sha256[:SHOWN_DIGITS]})" if run is not None else ""
            raise UsageError(
                f"this training starts from inherited weights: name the model that they are of, or the run{digest} "
                f"that {genotype.where} was derived from, with --from"
            )
        return None
    if config.weights != "inherited":
        raise UsageError(
            f"weights from {start.where} are given, and the configuration wants fresh ones: leave one of them out "
            "(weights = 'inherited' takes them)"
        )
    if isinstance(start.value, ModelFile):
        check_kind(genotype, start.value, start.where)
        return Transferred(start.value, start.where)
    return _of_search(genotype, start.holding(DistributionFile))


def check_kind(genotype: LoadedGenotype, model: ModelFile, where: str) -> None:
    """Raise UsageError unless layers of one name have one meaning in the model and in the genotype's network."""
    found, theirs = genotype.value.genotype, model.genotype
    if found.kind != theirs.kind:
        raise UsageError(
            f"{where} is a network of {theirs.space}'s {theirs.kind}s, {genotype.where} one of {found.space}'s "
            f"{found.kind}s: leave --from out"
        )
    if isinstance(found, ChannelsGenotype) and found != theirs:
        raise UsageError(
            f"{where} keeps other channels than {genotype.where}, so none of its weights belong there: give the model "
            "of this genotype, or name no genotype to train that of the model"
        )


def _of_search(genotype: LoadedGenotype, start: LoadedDistribution) -> Inherited:
    """The weights of a search. Raises UsageError unless the genotype was derived from it and can have them."""
    posterior, found = start.distribution, genotype.value.genotype
    if not isinstance(posterior, OfSupernet):
        raise UsageError(
            f"{start.where} is a {posterior.noun} and holds no weights of its networks: leave --from "
            "out to train from random ones"
        )
    if not isinstance(found, ChannelsGenotype):
        raise UsageError(
            f"{genotype.where} is a genotype of cells, which inherit no weights: leave --from out to train from random "
            "ones"
        )
    theirs, ours = ((which.supernet, which.width, which.stages, which.pooling_paths) for which in (posterior, found))
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


def starting_network(
    weights: Inherited | Transferred | None, graph: Graph, data: DataInfo, seed: int, *, with_tower: bool
) -> tuple[GraphNetwork, Transfer | None]:
    """The network that a training begins with; what is not inherited comes from the seed. Tells what a model gave."""
    if isinstance(weights, Inherited):
        network = inherited_network(weights.genotype, weights.posterior, weights.where, seed, with_tower=with_tower)
        return network, None
    network = build_network(graph, seed, with_tower=with_tower)
    if weights is None:
        return network, None
    theirs = weights.model.data.classes
    rows = [theirs.index(name) for name in data.classes] if sorted(theirs) == sorted(data.classes) else None
    taken = transfer(network, weights.model.weights, rows)
    if taken.taken == 0:
        raise UsageError(
            f"nothing in {weights.where} fits this network, all layers have other names or shapes: give the --layers "
            "and --channels of that model, or leave --from out"
        )
    return network, taken


def told_validation(weights: Inherited | Transferred, data: DataInfo, config: TrainConfig) -> str:
    """What to say of held-out images that the weights have learnt from; empty where they haven't, or none are."""
    if config.validation == 0:
        return ""
    if isinstance(weights, Inherited):
        return "the search has learnt from most of the images that are held out here: their accuracy is too high"
    before, known = weights.model.provenance.config, weights.model.data
    alike = (before.get("seed"), before.get("validation"), known.train_images)
    if known.fingerprint != data.fingerprint or alike == (config.seed, config.validation, data.train_images):
        return ""
    return (
        f"{weights.where} has learnt from images that are held out here: their accuracy is too high, unless --seed and "
        "--validation are those of its training"
    )


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


def _network(supernet: str, width: int, stages: tuple[int, ...], pooling_paths: bool) -> str:
    paths = " and pooling paths" if pooling_paths else ""
    return f"{supernet} of width {width} with {'+'.join(map(str, stages))} blocks{paths}"


def _images(data: DataInfo) -> str:
    return f"{data.channels}x{data.image_size}x{data.image_size}"
