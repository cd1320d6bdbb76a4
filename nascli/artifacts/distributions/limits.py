"""What cells may not have or exceed: `none`, many skip connections, a size."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from pydantic import ValidationError

from nascli.errors import UsageError
from nascli.spaces.network_settings import NetworkSettings


@dataclass(frozen=True)
class CellLimits:
    """What cells may not have: `none` on an edge, more than `max_skips` skip connections in any one cell, a large size.

    Every type of cell counts by itself. Short searches favour skip connections, which learn fast; P-DARTS limits them
    to two in a cell (Chen et al., ICCV 2019, Section 3.3).

    `max_params` and `max_macs` are about the network of the cells that `network` sizes, without an auxiliary tower
    (`nascli.graphs.graph.Size`). Raises UsageError for a limit that no cell can meet.
    """

    without_none: bool = False
    max_skips: int | None = None
    max_params: int | None = None
    max_macs: int | None = None
    network: NetworkSettings | None = None

    def __post_init__(self) -> None:
        if self.max_skips is not None and self.max_skips < 0:
            raise UsageError(f"a cell has 0 skip connections or more: --max-skips cannot be {self.max_skips}")
        for name, limit in self.sizes.items():
            if limit < 1:
                raise UsageError(f"a network is not empty: {name} cannot be {limit:,}")

    @property
    def sizes(self) -> dict[str, int]:
        """The limits of the size that are given, by their options."""
        limits = {"--max-params": self.max_params, "--max-macs": self.max_macs}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def facts(self) -> dict[str, Any]:
        """What is limited, as JSON, with the settings of the network whose size is."""
        named = {name: getattr(self, name) for name in ("without_none", "max_skips", "max_params", "max_macs")}
        found = {name: value for name, value in named.items() if value is not None and value is not False}
        if self.sizes and self.network is not None:
            found["network"] = self.network.model_dump(mode="json")
        return found

    def both(self, other: Self) -> Self:
        """The limits of both together. Raises UsageError where they are about networks of other sizes."""
        if self.network is not None and other.network is not None and self.network != other.network:
            raise UsageError(
                f"the search was limited for a network of {self.network.layers} cells and {self.network.channels} "
                f"channels, not of {other.network.layers} and {other.network.channels}: give the same"
            )
        return replace(
            self,
            without_none=self.without_none or other.without_none,
            network=self.network or other.network,
            **{
                name: min((one for one in (getattr(self, name), getattr(other, name)) if one is not None), default=None)
                for name in ("max_skips", "max_params", "max_macs")
            },
        )

    def __str__(self) -> str:
        """As options."""
        words = ["--without-none"] if self.without_none else []
        words += [] if self.max_skips is None else [f"--max-skips {self.max_skips}"]
        return " and ".join(words + [f"{name} {limit:,}" for name, limit in self.sizes.items()])


NO_LIMITS = CellLimits()


def limits_of(facts: object) -> CellLimits:
    """The inverse of `CellLimits.facts`. Raises ValueError for anything else."""
    wrong = ValueError("limits: need whole numbers, and the network that a limit of the size is about")
    if not isinstance(facts, dict) or not facts.keys() <= {one.name for one in fields(CellLimits)}:
        raise wrong
    given: dict[str, Any] = dict(facts)
    network = given.pop("network", None)
    if any(type(value) is not (bool if name == "without_none" else int) for name, value in given.items()):
        raise wrong
    try:
        found = CellLimits(**given, network=None if network is None else NetworkSettings.model_validate(network))
    except (UsageError, ValidationError) as error:
        raise ValueError(f"limits: {error}") from None
    if bool(found.sizes) != (network is not None):
        raise wrong
    return found
