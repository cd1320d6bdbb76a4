"""A search's posterior with random weights, and genotypes of channels that are drawn from it, without a search."""

import numpy as np
import torch

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.distributions.distribution import DistributionFile, distribution_bytes
from nascli.artifacts.distributions.posterior import PosteriorDistribution
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.artifacts.provenance import Provenance
from nascli.config import SearchConfig
from nascli.core.nn.build import inherited_network
from nascli.core.nn.graph_network import GraphNetwork
from nascli.data import open_data
from nascli.supernets import stages_of, supernet


def digits(**given: object) -> DataInfo:
    """The built-in images, as a search sees them."""
    config = SearchConfig(method="pgnas", dataset="digits", **given)
    return open_data(config, device=torch.device("cpu")).info


def run_file(data: DataInfo, name: str = "resnet-mb", width: int = 4, seed: int = 0, method: str = "pgnas"):
    """The result of a search that has not taken place: every number of the network is random, so that each counts."""
    stages = stages_of(name, 1)
    graph = supernet(
        name, width, stages, classes=len(data.classes), image_channels=data.channels, image_size=data.image_size
    )
    rng = np.random.default_rng(seed)
    weights = {
        # Positive where it must be (variances), and of a size that keeps the maps near 1.
        key: np.asarray(rng.uniform(0.5, 1.5, tensor.shape) if key.endswith(("var", "norm.weight")) else
        rng.normal(0, 0.3, tensor.shape), np.float32) if tensor.ndim else np.array(3)
        for key, tensor in GraphNetwork(graph).state_dict().items()
    }  # fmt: skip
    logits = {conv: np.zeros(len(op.sources), np.float32) for conv, op in graph.masked.items()}
    provenance = Provenance(
        nascli="0.1.0",
        stage="search",
        method=method,
        seed=seed,
        config={"dataset": data.dataset, "image_size": data.image_size},
        data=data.description(),
        made_from=None,
    )
    value = PosteriorDistribution(name, width, stages, data, logits, weights)
    return read_artifact(distribution_bytes(DistributionFile(value, provenance)), "run.safetensors")


def masked(run: LoadedArtifact, images: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
    """The logits of the whole super-network under a mask [mask_size], in evaluation mode."""
    posterior = run.value.distribution
    network = GraphNetwork(posterior.graph).eval()
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in posterior.weights.items()})
    with torch.no_grad():
        return network(images, masks=torch.from_numpy(mask[None].astype(np.float32)))


def mask_of(run: LoadedArtifact, seed: int = 0) -> np.ndarray:
    """Half of the channels, drawn one by one, and nothing at all of the first convolution. [mask_size]"""
    graph = run.value.distribution.graph
    mask = np.random.default_rng(seed).random(graph.mask_size) < 0.5
    first = next(iter(graph.mask_ranges.values()))
    mask[first.start : first.stop] = False
    return mask


def genotype_file(run: LoadedArtifact, mask: np.ndarray) -> LoadedArtifact:
    """The genotype of a mask, as derived from the run."""
    origin = run.provenance
    provenance = Provenance(
        nascli="0.1.0",
        stage="derive",
        method=origin.method,
        seed=origin.seed,
        config={"choice": "sample", "seed": 0, "number": 1},
        data=origin.data,
        made_from=run.ancestor(),
    )
    file = GenotypeFile(genotype=run.value.distribution.genotype(mask), provenance=provenance)
    return read_artifact(genotype_bytes(file), "cell.json")


def model_file(run: LoadedArtifact, mask: np.ndarray) -> LoadedArtifact:
    """The network of a mask with the weights of the run, as `derive --model` writes it: never trained itself."""
    genotype, posterior = genotype_file(run, mask), run.value.distribution
    network = inherited_network(genotype.value.genotype, posterior, run.where, seed=0)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    file = ModelFile(
        weights, genotype.value.genotype, posterior.shape, posterior.data, {}, provenance=genotype.provenance
    )
    return read_artifact(model_bytes(file), "derived.safetensors")
