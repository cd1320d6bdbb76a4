"""Small artifacts that the tests of this folder share."""

import numpy as np

from nascli.artifacts import published
from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distribution import CategoricalDistribution, MixtureDistribution, RankedCell, RankingDistribution
from nascli.artifacts.mixture import edges
from nascli.artifacts.model import ModelFile, NetworkSettings
from nascli.artifacts.provenance import Provenance
from nascli.registry import SPACES

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
