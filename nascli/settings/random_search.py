"""Settings of random search."""

from pydantic import Field

from nascli.settings.groups import CellNetwork, Limited, Settings, Sgd, TwoHalves


class _Trials(Settings):
    trials: int = Field(
        10, ge=1, le=10_000, description="cells that are drawn and trained; they share the epochs evenly"
    )


class RandomSettings(Sgd, TwoHalves, Limited, _Trials, CellNetwork):
    """The settings of random search."""
