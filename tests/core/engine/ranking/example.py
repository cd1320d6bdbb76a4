"""A posterior over a tiny super-network for digits, as a search leaves it; its weights are random, but in use."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.artifacts.provenance import Provenance
from nascli.config import DeriveConfig, SearchConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.ranking import channel_candidates
from nascli.core.engine.ranking.held_out import held_out_images, rankable
from nascli.core.engine.ranking.rank import Ranking, rank
from nascli.core.engine.reporter import Silent
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.graphs.graph import Graph, Size
from nascli.supernets import supernet
from tests.supernets.networks import network_of

CPU = Runtime(torch.device("cpu"))
CONFIG = SearchConfig(method="pgnas", dataset="digits", limit_train=300, width=4, depth=1, seed=3)
HELD_OUT_IMAGES = 30
"""A tenth of the training images."""


@cache
def run(drop: float = 0.3, **changes: object) -> LoadedArtifact:
    """The result of a search whose drop probabilities are around `drop`. `changes`: of its configuration."""
    config = SearchConfig(**{**CONFIG.model_dump(), **changes})
    data = open_data(config, device=torch.device("cpu")).info
    graph = supernet("resnet-mb", 4, (1, 1, 1), classes=10, image_channels=1, image_size=8)
    generator = np.random.default_rng(0)
    middle = np.log(drop / (1 - drop))
    posterior = PosteriorDistribution(
        supernet="resnet-mb",
        width=4,
        stages=(1, 1, 1),
        data=data,
        logits={
            name: np.clip(generator.normal(middle, 0.5, len(conv.sources)), -13.8, 13.8).astype(np.float32)
            for name, conv in graph.masked.items()
        },
        weights={name: value.numpy() for name, value in network_of(graph).float().state_dict().items()},
    )
    provenance = Provenance(
        nascli="0.1.0",
        stage="search",
        method="pgnas",
        seed=config.seed,
        config=config.model_dump(mode="json"),
        data=data.description(),
        made_from=None,
    )
    return read_artifact(distribution_bytes(DistributionFile(posterior, provenance)), "run.safetensors")


_SIZES: dict[tuple[object, ...], Size] = {}


def sizes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network that a mask leaves be measured once a process: a comparison measures 900 uniform ones."""
    measure = channel_candidates.size_of

    def known(graph: Graph, mask: np.ndarray) -> Size:
        key = (*graph.masked, graph.parameters, graph.multiply_adds, mask.tobytes())
        if key not in _SIZES:
            _SIZES[key] = measure(graph, mask)
        return _SIZES[key]

    monkeypatch.setattr(channel_candidates, "size_of", known)


def settings(**given: object) -> DeriveConfig:
    """A derivation with so few candidates that it takes no time."""
    return DeriveConfig(**{"method": "pgnas", "dataset": "digits", "candidates": 12, **given})


def posterior() -> PosteriorDistribution:
    """What the example's search has learnt."""
    return run().value.distribution


def held_out():
    """The images of the example's search, and those that it held out."""
    return held_out_images(rankable(run()), settings(), CPU.device, Silent())


def files(folder: Path) -> dict[str, bytes]:
    """What a derivation wrote, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def derive_in(folder: Path, *, resume: bool = False, **given: object) -> Ranking:
    folder.mkdir(exist_ok=True)
    target = Destination(folder / "cell.json", resume=resume)
    return rank(run(), settings(uniform=False, **given), target, model=folder / "model.safetensors")
