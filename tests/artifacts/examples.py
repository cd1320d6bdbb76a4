"""Small artifacts that the tests of this folder share."""

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import Distribution, DistributionFile, distribution_bytes
from nascli.artifacts.distributions.gaussian import GaussianDistribution
from nascli.artifacts.distributions.mixture import MixtureDistribution
from nascli.artifacts.distributions.of_supernet import OfSupernet
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.distributions.trials import Trial, TrialsDistribution
from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import Provenance
from nascli.graphs.state import state_of
from nascli.spaces import cell_space
from nascli.spaces.network_settings import DataShape, NetworkSettings
from nascli.supernets import stages_of, supernet

METHODS = {
    "mixture": "pc-darts",
    "categorical": "parsec",
    "trials": "random",
    "posterior": "pgnas",
    "gaussian": "pgnas",
}
"""Whose search ends in a distribution of each kind."""


def provenance(**changes: object) -> Provenance:
    """The provenance of a search, with the given fields changed."""
    fields = {
        "nascli": "0.1.0",
        "stage": "search",
        "method": "pc-darts",
        "seed": 3,
        "config": {"epochs": 2, "lr": 0.1, "data_dir": None, "settings": {"layers": 8}},
        "data": None,
        "made_from": None,
    }
    return Provenance.model_validate(fields | changes)


def file_of(distribution: Distribution, **changes: object) -> DistributionFile:
    """A distribution as the search of its method leaves it, with the given fields of the provenance changed."""
    data = distribution.data.description() if isinstance(distribution, OfSupernet) else None
    return DistributionFile(distribution, provenance(**{"method": METHODS[distribution.kind], "data": data} | changes))


def bytes_of(distribution: Distribution, **changes: object) -> bytes:
    """The bytes of that file."""
    return distribution_bytes(file_of(distribution, **changes))


def mixture(nodes: int = 0, *, beta: bool = True, seed: int = 0, space: str = "darts") -> MixtureDistribution:
    """A mixture with logits drawn from N(0, 1); nodes 0: as many as the space usually has."""
    generator, found = np.random.default_rng(seed), cell_space(space, nodes)
    edges = len(found.edges())

    def logits(*shape: int) -> dict[str, np.ndarray]:
        return {cell: generator.normal(size=shape).astype(np.float32) for cell in found.cells}

    return MixtureDistribution(found, logits(edges, len(found.operations)), logits(edges) if beta else None)


def categorical(nodes: int = 0, *, scale: float = 1.0, seed: int = 0, space: str = "darts") -> CategoricalDistribution:
    """Categoricals with float32 logits drawn from N(0, scale)."""
    generator, found = np.random.default_rng(seed), cell_space(space, nodes)
    logits = [
        (generator.normal(size=(decision.draws, len(decision.options))) * scale).astype(np.float32)
        for decision in found.decisions()
    ]
    return CategoricalDistribution(found, logits)


def trials(nodes: int = 3, *, done: int = 3, waiting: int = 1) -> TrialsDistribution:
    """Uniformly drawn cells; the second is the best, and the first two others are equally accurate."""
    space = cell_space("darts", nodes)
    uniform = CategoricalDistribution.uniform(space)
    cells = [uniform.sample(1, number) for number in range(done + waiting)]
    scores = [(0.5 if number != 1 else 0.75, 1.5 - number / 4) for number in range(done)]
    found = [Trial(cell, *score, number) for number, (cell, score) in enumerate(zip(cells[:done], scores, strict=True))]
    return TrialsDistribution(space, done=tuple(sorted(found, key=Trial.place)), waiting=tuple(cells[done:]))


def channels_genotype() -> ChannelsGenotype:
    """A small resnet-mb with every third channel dropped, and one whole convolution."""
    graph = supernet("resnet-mb", 4, (1, 1, 1), classes=2, image_channels=1, image_size=8)
    kept = {
        name: [channel for channel in range(sum(conv.sources)) if channel % 3] for name, conv in graph.masked.items()
    }
    return ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), kept | {"stage0.block0.branch0.conv2": []})


def posterior(name: str = "resnet-mb", *, image_size: int = 8, depth: int = 1, seed: int = 0) -> PosteriorDistribution:
    """The posterior of a small super-network; weights and logits of p are drawn from N(0, 1)."""
    generator = np.random.default_rng(seed)
    data, stages = data_info().model_copy(update={"image_size": image_size}), stages_of(name, depth)
    graph = supernet(name, 4, stages, classes=2, image_channels=1, image_size=image_size)

    def value(entry: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        drawn = generator.normal(size=shape)
        return np.asarray(np.abs(drawn) if entry.endswith(("var", "tracked")) else drawn).astype(dtype)

    return PosteriorDistribution(
        supernet=name,
        width=4,
        stages=stages,
        data=data,
        logits={conv: value("logits", (len(op.sources),), "float32") for conv, op in graph.masked.items()},
        weights={entry: value(entry, *tensor) for entry, tensor in state_of(graph).items()},
    )


def gaussian() -> GaussianDistribution:
    """The same network and weights, with deviations around a tenth."""
    base = posterior()
    generator = np.random.default_rng(1)
    return GaussianDistribution(
        supernet=base.supernet,
        width=base.width,
        stages=base.stages,
        data=base.data,
        log_deviations={
            name: (generator.normal(size=values.shape) - 2.3).astype(np.float32) for name, values in base.logits.items()
        },
        weights=base.weights,
    )


def data_info() -> DataInfo:
    """Two classes of grey images."""
    return DataInfo(
        dataset="digits",
        classes=("zero", "one"),
        channels=1,
        image_size=8,
        mean=(0.1,),
        std=(0.3,),
        train_images=20,
        test_images=5,
        fingerprint="f" * 64,
    )


def model_file() -> ModelFile:
    """A model whose weights fit no network; they are only stored."""
    return ModelFile(
        weights={"stem.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)},
        genotype=published.load("darts-v1").genotype,
        network=NetworkSettings(layers=2, channels=4, stem="cifar", classes=2, image_channels=1, image_size=8),
        data=data_info(),
        metrics={"train_accuracy": 0.875},
        provenance=provenance(stage="train"),
    )


def channels_model_file() -> ModelFile:
    """The model of a genotype of channels, with all weights 0."""
    shape = DataShape(classes=2, image_channels=1, image_size=8)
    genotype = channels_genotype()
    return ModelFile(
        weights={name: np.zeros(*tensor) for name, tensor in state_of(genotype.graph(shape)).items()},
        genotype=genotype,
        network=shape,
        data=data_info(),
        metrics={"held_out_accuracy": 0.5},
        provenance=provenance(stage="derive", method="pgnas"),
    )
