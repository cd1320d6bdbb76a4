"""The base of every search method's settings, and the groups that most of them are composed of."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nascli.settings.fields import (
    UNLISTED,
    Auxiliary,
    Clip,
    Cutout,
    LastLearningRate,
    LearningRate,
    Momentum,
    RisingEpochs,
    Stem,
    WeightDecay,
)
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import Wiring

TRAIN = "train"
"""The part of the training images that the weights learn from."""

SEARCH = "search"
"""The part that the architecture learns from, but not the weights."""

HELD_OUT = "held_out"
"""The part that nothing learns from (`Stream.once`). It may be smaller than a batch."""

NETWORK_SIZE = ("layers", "channels", "stem")
"""The settings that size a network of cells."""


class Settings(BaseModel):
    """The settings of a method, in one flat class. Groups are bases; pydantic orders fields by base, the last first.

    The properties tell the engine what it needs to know about any method's settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, float]:
        """The parts of the training images that the method's streams draw from, and the share of each."""

    @property
    def cut_side(self) -> int:
        """Side of the square that is cut out of training images, in pixels; 0: none."""
        return 0

    @property
    def resting_epochs(self) -> int:
        """Epochs at the start in which the architecture does not learn."""
        return 0

    @property
    def known_stem(self) -> str | None:
        """The first layers of the method's networks; None if they cannot be chosen."""
        return None

    def largest_map(self, space: str, side: int) -> int:
        """The number of values in the network's largest map for images of this side; 0 if unknown beforehand."""
        return 0


class CellNetwork(Settings):
    """The size of a network of cells."""

    layers: int = Field(8, ge=3, le=200, description="cells in the network; fewer than 3 would have no normal cell")
    channels: int = Field(16, ge=1, le=4096, description="channels of the first cell")
    nodes: int = Field(0, ge=0, le=12, description="intermediate nodes per cell; 0: as many as the space usually has")
    stem: Stem = "cifar"

    @property
    def known_stem(self) -> str:
        return self.stem

    @property
    def size(self) -> dict[str, Any]:
        """The settings in NETWORK_SIZE, by name."""
        return {name: getattr(self, name) for name in NETWORK_SIZE}

    def largest_map(self, space: str, side: int) -> int:
        """The output of the first cell, if the stem keeps the image's side."""
        return self.channels * side**2 if self.stem == "cifar" else 0


class SharesWeights(CellNetwork):
    """The settings of a method whose cells share the weights of one network."""

    @abstractmethod
    def wiring(self, space: CellSpace) -> Wiring:
        """How a cell finds its weights in that network."""


class Limited(Settings):
    """Limits within which cells are drawn. A size is that of the network that training will make of the cells."""

    max_params: int | None = Field(None, ge=1, description="draw only cells of at most N parameters when trained")
    max_macs: int | None = Field(None, ge=1, description="draw only cells of at most N multiply-adds when trained")
    max_skips: int | None = Field(None, ge=0, description="draw only cells with at most N skip connections each")
    train_layers: int | None = Field(
        None, ge=1, le=200, description="cells in the network that is trained, for --max-params and --max-macs"
    )
    train_channels: int | None = Field(
        None, ge=1, le=4096, description="channels of its first cell; both default to the recipe of the training"
    )

    @property
    def limits_sizes(self) -> bool:
        """Whether the size of the network that will be trained is limited."""
        return self.max_params is not None or self.max_macs is not None

    @property
    def trained(self) -> dict[str, int]:
        """The sizes of that network that are given."""
        given = {"layers": self.train_layers, "channels": self.train_channels}
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _sizes_what_is_limited(self) -> Self:
        if self.trained and not self.limits_sizes:
            given = " and ".join(f"train_{name}" for name in self.trained)
            raise ValueError(f"{given}: for max_params and max_macs alone; give one of them, too")
        return self


class TwoHalves(Settings):
    """The shares of the images for the weights and for the architecture, which are disjoint."""

    train_fraction: float = Field(
        0.5, ge=0.001, le=0.999, description="share of the training images that the weights learn from"
    )
    search_fraction: float = Field(
        0.5, ge=0.001, le=0.999, description="share that the architecture learns from, disjoint from the weights'"
    )

    @property
    def parts(self) -> Mapping[str, float]:
        return {TRAIN: self.train_fraction, SEARCH: self.search_fraction}

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        shares = self.train_fraction + self.search_fraction
        if shares > 1.0 + 1e-9:
            raise ValueError(f"train_fraction + search_fraction is {shares:g}; together they may be at most 1")
        return self


class AsTrained(Settings):
    """Settings of the final training that the search shares, so that it sees the network as it will be trained."""

    auxiliary: Auxiliary = 0.0
    cutout: Cutout = 0

    @property
    def cut_side(self) -> int:
        return self.cutout


class Sgd(Settings):
    """SGD on the weights, with a learning rate that falls along a cosine."""

    lr: LearningRate = 0.025
    lr_min: LastLearningRate = 0.001
    lr_warmup_epochs: RisingEpochs = 0
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 3e-4
    clip: Clip = 5.0


class ArchitectureAdam(Settings):
    """Adam on the architecture."""

    arch_lr: float = Field(3e-4, ge=0, description="Adam's learning rate on the architecture")
    arch_beta1: float = Field(
        0.5, ge=0, le=0.9999, description="Adam's first moment decay on the architecture", json_schema_extra=UNLISTED
    )
    arch_beta2: float = Field(
        0.999,
        ge=0,
        le=0.99999,
        description="Adam's second moment decay on the architecture",
        json_schema_extra=UNLISTED,
    )


class Warmup(Settings):
    """A warm-up of the weights."""

    arch_warmup_epochs: int = Field(0, ge=0, description="epochs in which only the weights learn")

    @property
    def resting_epochs(self) -> int:
        return self.arch_warmup_epochs
