"""How big a stage's network would be, before a single image is needed."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.data_info import DataInfo
from nascli.artifacts.genotype import Genotype
from nascli.artifacts.network_settings import NetworkSettings
from nascli.config import Config, SearchConfig, TrainConfig
from nascli.core.methods.protocol import Plan, SearchMethod
from nascli.core.nn.network import auxiliary_fits
from nascli.core.nn.measure import Size, count_parameters, measure
from nascli.core.runtime import Runtime
from nascli.registry import DATASETS, METHODS, load, lookup

PROBE_IMAGES = 2
"""Images in the batch whose multiply-adds are counted: batch norm needs more than one."""


@dataclass(frozen=True)
class SearchSize:
    """A search network: its weights, and the multiply-adds of one forward pass for one image."""

    parameters: int
    macs: int


@dataclass(frozen=True)
class Shape:
    """What of a data set decides the size of a network; `image_size` is the side in pixels."""

    classes: int
    image_channels: int
    image_size: int


def known_shape(config: Config, *, classes: int | None = None) -> Shape:
    """The shape of a data set, from its registry row or, where only the images tell, from the images.

    `classes` stands in for the data's own number. Raises UsageError, DataError.
    """
    row = lookup(DATASETS, "dataset", config.dataset)
    if row.classes is None or row.image_size is None or row.image_channels is None:
        from nascli.data import open_data

        data = open_data(config, device=torch.device("cpu")).info
        return Shape(classes or len(data.classes), data.channels, data.image_size)
    return Shape(classes or row.classes, row.image_channels, config.image_size or row.image_size)


def derived_settings(config: TrainConfig, shape: Shape) -> NetworkSettings:
    """The network that `config` trains; with the auxiliary tower if it is wanted and the maps allow it.

    Raises pydantic's ValidationError for sizes beyond what a model's file may have.
    """
    settings = NetworkSettings(
        layers=config.layers,
        channels=config.channels,
        stem=config.stem,
        classes=shape.classes,
        image_channels=shape.image_channels,
        image_size=shape.image_size,
    )
    return settings.model_copy(update={"auxiliary": config.auxiliary > 0 and auxiliary_fits(settings)})


def train_size(genotype: Genotype, config: TrainConfig) -> Size:
    """The size of the network that `train` would train. Raises UsageError for one that cannot be."""
    return measure(genotype, derived_settings(config, known_shape(config)))


def search_size(config: SearchConfig) -> SearchSize:
    """The size of the network that `search` would search in. Raises UsageError for settings that cannot be."""
    shape = known_shape(config)
    data = DataInfo(
        dataset=config.dataset,
        classes=tuple(str(label) for label in range(shape.classes)),
        channels=shape.image_channels,
        image_size=shape.image_size,
        mean=(0.0,) * shape.image_channels,
        std=(1.0,) * shape.image_channels,
        train_images=0,
        test_images=0,
        fingerprint="",
    )
    plan = Plan(config.method, data, config.epochs, steps_per_epoch=1, seed=config.seed)
    method: SearchMethod = load(METHODS[config.method].target)(plan, Runtime(torch.device("cpu")), **config.settings)
    counter = FlopCounterMode(display=False)
    before: list[int] = []
    spent: list[int] = []
    method.network.register_forward_pre_hook(lambda *_: before.append(counter.get_total_flops()))
    method.network.register_forward_hook(lambda *_: spent.append(counter.get_total_flops() - before[-1]))
    with counter:
        method.step({name: _Probe(shape, index) for index, name in enumerate(method.shares(config.settings))})
    return SearchSize(count_parameters(method.network), spent[0] // 2 // PROBE_IMAGES)


class _Probe:
    """A stream of noise, for counting what a step does."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self._shape, self._seed = shape, seed
        self.position = 0

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(self._seed)
        side = self._shape.image_size
        self.position += 1
        images = torch.randn(PROBE_IMAGES, self._shape.image_channels, side, side, generator=generator)
        return images, torch.zeros(PROBE_IMAGES, dtype=torch.int64)
