"""What a distribution has not decided yet."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entropy:
    """How much is undecided, in nats; `limit` is the value when nothing is decided.

    `per_edge`: the mean over edges instead of the total. `drift` is what the same steps would have left without images,
    if that is known.
    """

    value: float
    limit: float
    per_edge: bool = False
    drift: float | None = None

    def __str__(self) -> str:
        digits, unit = (3, "nats an edge") if self.per_edge else (2, "nats")
        drift = "" if self.drift is None else f" (without images it would be {self.drift:.2f})"
        return f"entropy {self.value:.{digits}f} of {self.limit:.{digits}f} {unit}{drift}"
