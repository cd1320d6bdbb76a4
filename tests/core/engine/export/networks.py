"""One small network of every kind that can be exported, with weights of which none is zero or one."""

import numpy as np

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotypes.genotype import ChannelsGenotype, Genotype
from nascli.artifacts.load import LoadedModel, load_artifact, read_artifact
from nascli.artifacts.model import DataShape, ModelFile, NetworkSettings, model_bytes
from nascli.artifacts.provenance import Provenance
from nascli.core.nn.build import build_network
from nascli.spaces import cell_space
from nascli.supernets import supernet
from tests.supernets.masks import kept_by, random_mask

CLASSES = ("ant", "bee", "cat's", 'q"')


def model_of(genotype: Genotype, settings: DataShape, **more: object) -> LoadedModel:
    """A model with this network."""
    network = build_network(genotype.graph(settings), 0)
    generator = np.random.default_rng(0)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for name, value in weights.items():
        if name.endswith("running_var"):
            weights[name] = generator.uniform(0.5, 2, value.shape).astype(value.dtype)
        elif value.dtype == np.float32 and (value == value.flat[0]).all():
            weights[name] = generator.normal(size=value.shape).astype(value.dtype)
    channels = settings.image_channels
    data = DataInfo(
        dataset="folder",
        classes=CLASSES,
        channels=channels,
        image_size=settings.image_size,
        mean=(0.4, 0.5, 0.6)[:channels],
        std=(0.2, 0.25, 0.3)[:channels],
        train_images=4,
        test_images=4,
        fingerprint="f",
        **more,
    )
    provenance = Provenance(
        nascli="", stage="train", method=None, seed=0, config={"dataset": "folder"}, data=None, made_from=None
    )
    file = ModelFile(weights, genotype, settings, data, {}, provenance)
    return read_artifact(model_bytes(file), "model.safetensors").holding(ModelFile)


def cells(
    name: str = "darts-v1", *, layers: int = 5, side: int = 8, stem: str = "cifar", **more: object
) -> LoadedModel:
    """A published cell on pictures in colour, with normal cells before, between and after the reductions."""
    settings = NetworkSettings(
        layers=layers, channels=2, stem=stem, classes=len(CLASSES), image_channels=3, image_size=side
    )
    return model_of(load_artifact(name).value.genotype, settings, **more)


def nas_bench_201(layers: int = 6) -> LoadedModel:
    """A cell with all operations of its space, on grey pictures."""
    space = cell_space("nas-bench-201")
    settings = NetworkSettings(
        layers=layers, channels=3, stem="cifar", classes=len(CLASSES), image_channels=1, image_size=8
    )
    return model_of(space.parse(space.example, "example"), settings)


def channels(name: str, stages: tuple[int, ...], side: int, drop: float, seed: int = 1) -> LoadedModel:
    """What is left of a super-network; with many channels dropped, whole convolutions are gone."""
    sizes = {"classes": len(CLASSES), "image_channels": 3, "image_size": side}
    whole = supernet(name, 5, stages, **sizes)
    kept = kept_by(whole, random_mask(whole, seed, drop=drop, drop_whole=drop / 2))
    return model_of(ChannelsGenotype.of(name, 5, stages, kept), DataShape(**sizes))
