"""Settings of the methods that train paths through a network of shared weights: PARSEC and uniform single paths."""

from typing import Literal

from pydantic import Field

from nascli.settings.groups import ArchitectureAdam, AsTrained, Limited, Settings, Sgd, SharesWeights, TwoHalves, Warmup
from nascli.spaces.protocol import CellSpace
from nascli.spaces.wiring import Shared, Wiring


class _Form(SharesWeights):
    network: Literal["search", "derived"] = Field(
        "search",
        description="'search': batch norms without scale and shift; 'derived': layers as in the network that will be "
        "trained",
    )

    def wiring(self, space: CellSpace) -> Wiring:
        return Shared(searching=self.network == "search")


class SposSettings(Sgd, TwoHalves, AsTrained, _Form):
    """The settings of uniform single paths."""


class _Samples(Settings):
    samples: int = Field(16, ge=2, le=4096, description="K: children drawn in a step")
    adaptive_samples: bool = Field(False, description="fewer samples as the entropy falls, never under 2")
    centred_weights: bool = Field(
        False, description="subtract the mean of the importance weights, w - 1/K: no drift if all children are alike"
    )


class ParsecSettings(ArchitectureAdam, Sgd, TwoHalves, AsTrained, Warmup, Limited, _Samples, _Form):
    """The settings of PARSEC."""


SinglePathSettings = SposSettings | ParsecSettings
