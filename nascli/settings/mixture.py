"""Settings of the continuous mixtures: PC-DARTS, and DARTS, which is PC-DARTS with K = 1 and without edge weights."""

from typing import Annotated, Literal

from pydantic import Field

from nascli.settings.groups import ArchitectureAdam, AsTrained, Settings, Sgd, SharesWeights, TwoHalves, Warmup
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import Path, Wiring

PartialChannels = Annotated[
    int, Field(ge=1, le=4096, description="K: one K-th of the channels passes through operations")
]
EdgeNormalization = Annotated[bool, Field(description="learn a weight per edge (beta)")]


class _Mixture(Settings):
    partial_channels: PartialChannels = 4
    edge_normalization: EdgeNormalization = True
    channel_sampling: Literal["first", "random"] = Field(
        "first", description="which channels pass: the first 1/K, then a shuffle; or random ones (Eq. 1)"
    )
    recompute: bool = Field(
        False, description="compute cells again in the backward pass: far less memory, about a third slower"
    )


class _DecayingAdam(ArchitectureAdam):
    arch_weight_decay: float = Field(1e-3, ge=0, description="weight decay of the architecture")


class PcDartsSettings(Warmup, _DecayingAdam, Sgd, TwoHalves, AsTrained, _Mixture, SharesWeights):
    """The settings of PC-DARTS."""

    @property
    def second_order(self) -> bool:
        """Whether the architecture's gradient goes through a step of the weights."""
        return False

    def wiring(self, space: CellSpace) -> Wiring:
        return Path(space.edges(), self.partial_channels)


class DartsSettings(PcDartsSettings):
    """The settings of DARTS."""

    partial_channels: PartialChannels = 1
    edge_normalization: EdgeNormalization = False
    order: int = Field(
        1,
        ge=1,
        le=2,
        description="2: take the architecture's gradient through a step of the weights (Eq. 7), in 2.6 times the time",
    )

    @property
    def second_order(self) -> bool:
        return self.order == 2
