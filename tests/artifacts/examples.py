"""Small artifacts that the tests of this folder share."""

import numpy as np

from nascli.artifacts import published
from nascli.artifacts.channels_genotype import ChannelsGenotype
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distribution import (
    CategoricalDistribution,
    MixtureDistribution,
    PosteriorDistribution,
    RankedCell,
    RankingDistribution,
)
from nascli.artifacts.mixture import edges
from nascli.artifacts.model import DataShape, ModelFile, NetworkSettings
from nascli.artifacts.provenance import Provenance
from nascli.graphs.slim import slim
from nascli.graphs.state import state_of
from nascli.registry import SPACES
from nascli.supernets import stages_of, supernet

OPERATIONS = SPACES["darts"].search_operations


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


def mixture(nodes: int = 4, *, beta: bool = True, seed: int = 0) -> MixtureDistribution:
    """A mixture with logits drawn from N(0, 1)."""
    generator = np.random.default_rng(seed)
    edge_count = len(edges(nodes))

    def logits(*shape: int) -> dict[str, np.ndarray]:
        return {cell: generator.normal(size=shape).astype(np.float32) for cell in ("normal", "reduce")}

    return MixtureDistribution(
        space="darts",
        nodes=nodes,
        operations=OPERATIONS,
        alpha=logits(edge_count, len(OPERATIONS)),
        beta=logits(edge_count) if beta else None,
        provenance=provenance(),
    )


def categorical(nodes: int = 4, *, scale: float = 1.0, seed: int = 0) -> CategoricalDistribution:
    """Categoricals with float32 logits drawn from N(0, scale)."""
    generator = np.random.default_rng(seed)
    operations = tuple(op for op in OPERATIONS if op != "none")
    logits = {
        cell: tuple(
            (generator.normal(size=(2, state, len(operations))) * scale).astype(np.float32)
            for state in range(2, 2 + nodes)
        )
        for cell in ("normal", "reduce")
    }
    return CategoricalDistribution("darts", nodes, operations, logits, provenance(method="parsec"))


def ranking(nodes: int = 3, *, done: int = 3, waiting: int = 1) -> RankingDistribution:
    """Uniformly drawn cells, of which the second is the best and the first two others are equally accurate."""
    uniform = CategoricalDistribution.uniform(nodes, provenance())
    cells = [uniform.sample(1, number) for number in range(done + waiting)]
    scores = [(0.5 if number != 1 else 0.75, 1.5 - number / 4) for number in range(done)]
    ranked = [
        RankedCell(cell, *score, number) for number, (cell, score) in enumerate(zip(cells[:done], scores, strict=True))
    ]
    return RankingDistribution(
        space="darts",
        nodes=nodes,
        candidates=tuple(sorted(ranked, key=RankedCell.place)),
        waiting=tuple(cells[done:]),
        provenance=provenance(method="random"),
    )


def channels_genotype() -> ChannelsGenotype:
    """Of a small resnet-mb, every third channel dropped, and one convolution altogether."""
    graph = supernet("resnet-mb", 4, (1, 1, 1), classes=2, image_channels=1, image_size=8)
    kept = {
        name: [channel for channel in range(sum(conv.sources)) if channel % 3] for name, conv in graph.masked.items()
    }
    return ChannelsGenotype.of("resnet-mb", 4, (1, 1, 1), kept | {"stage0.block0.branch0.conv2": []})


def posterior(name: str = "resnet-mb", *, image_size: int = 8, seed: int = 0) -> PosteriorDistribution:
    """Of a small super-network with the weights and the logits of p drawn from N(0, 1)."""
    generator = np.random.default_rng(seed)
    data, stages = data_info().model_copy(update={"image_size": image_size}), stages_of(name, 1)
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
        provenance=provenance(method="pgnas", data=data.description()),
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
    """A model whose weights are only there to be kept."""
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
    left = slim(genotype.graph(shape), genotype.channels).graph
    return ModelFile(
        weights={name: np.zeros(*tensor) for name, tensor in state_of(left).items()},
        genotype=genotype,
        network=shape,
        data=data_info(),
        metrics={"held_out_accuracy": 0.5},
        provenance=provenance(stage="derive", method="pgnas"),
    )
