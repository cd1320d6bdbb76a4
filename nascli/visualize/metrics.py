"""The course of runs, read from the rows of their metrics.jsonl."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

from nascli.artifacts.rundir import DRIFT, FROZEN
from nascli.errors import UsageError

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Curve:
    """One number over the epochs. `scale` turns the row's number into the shown one.

    One that others are only compared with is `grey`.
    """

    key: str
    label: str
    scale: float = 1.0
    grey: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves that share an axis. `better` says which end is good, if one is.

    The axis spans at least `least_span`, so that a quantity at rest looks like one. `family` is the beginning of the
    keys of further curves, "entropy/" for all of one more part. A chart is `of_one` where its curves are too many for
    more than one run. `needs` is a key, or with a slash the beginning of one, without which a run is not in the chart,
    where different methods give different things one name.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    least_span: float
    better: Literal["high", "low", ""] = ""
    family: str = ""
    of_one: bool = False
    needs: str = ""

    def of(self, runs: Mapping[str, Rows]) -> dict[str, Rows]:
        """The runs that the chart is for."""
        if self.of_one and len(runs) > 1:
            return {}
        return {name: rows for name, rows in runs.items() if not self.needs or _has(self.needs, rows)}


_CATEGORICALS = "entropy/"
"""What the keys of entropies begin with, where a distribution is one of categoricals: "entropy/normal/2"."""

CHARTS = (
    Chart(
        "Accuracy",
        "accuracy (%)",
        (
            Curve("train_accuracy", "train", 100),
            Curve("search_accuracy", "search", 100),
            Curve("validation_accuracy", "validation", 100),
        ),
        10,
        "high",
    ),
    Chart(
        "Loss",
        "cross-entropy (nats)",
        (Curve("train_loss", "train"), Curve("search_loss", "search"), Curve("validation_loss", "validation")),
        0.1,
        "low",
    ),
    Chart(
        "Found cells",
        "accuracy on the search half (%)",
        (Curve("mode_accuracy", "mode", 100), Curve("best_accuracy", "best", 100), Curve("mean_accuracy", "mean", 100)),
        10,
        "high",
    ),
    Chart(
        "Entropy of p(α | π)",
        "entropy (nats)",
        (Curve("entropy", "all"), Curve(DRIFT, "without data", grey=True)),
        1,
        family="entropy/",
        needs="entropy/",
    ),
    Chart("Entropy", "entropy per edge (nats)", (), 0.1, family="edge_entropy/"),
    Chart(
        "Samples of a step",
        "children",
        (Curve("samples", "drawn"), Curve("trained_children", "trained"), Curve("effective_samples", "effective")),
        2,
    ),
    Chart(
        "Accuracy on held-out images",
        "accuracy (%)",
        (Curve("supernet_accuracy", "super-network", 100), Curve("sampled_accuracy", "networks drawn", 100)),
        10,
        "high",
    ),
    Chart(
        "Loss on held-out images",
        "cross-entropy (nats)",
        (Curve("supernet_loss", "super-network"), Curve("sampled_loss", "networks drawn")),
        0.1,
        "low",
    ),
    Chart("Kept channels", "expected share (%)", (Curve("kept_share", "all", 100),), 20),
    Chart(
        "p of dropping a channel",
        "probability",
        (Curve("drop_max", "largest"), Curve("drop_mean", "mean"), Curve("drop_min", "least")),
        0.2,
    ),
    Chart("Entropy of the masks", "entropy (nats)", (Curve("entropy", "all channels"),), 1, needs="kept_share"),
    Chart("Divergence from the prior", "nats per image", (Curve("penalty", "penalty"),), 0.01),
    Chart("Skip connections", "skips among the picks (%)", (Curve("skip_share", "all cells", 100),), 20),
)


def named_runs(runs: Rows | Mapping[str, Rows]) -> dict[str, Rows]:
    """The runs by their names; a run alone is named "". Raises UsageError where there is nothing to show."""
    named = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    if not named:
        raise UsageError("no run to draw")
    for name, rows in named.items():
        if not rows:
            raise UsageError(f"run{f' {name}' if name else ''} has no finished epoch yet: there is nothing to draw")
    if not charts(named):
        raise UsageError(f"no row has a key of a chart: {', '.join(c.key for chart in CHARTS for c in chart.curves)}")
    return named


def charts(runs: Mapping[str, Rows]) -> list[Chart]:
    """The charts that any of the runs has numbers for, without the curves that none has."""
    found = []
    after = 1 + next(place for place, chart in enumerate(CHARTS) if chart.family == _CATEGORICALS)
    for chart in (*CHARTS[:after], *_decisions(runs), *CHARTS[after:]):
        those = chart.of(runs)
        parts = _family(chart.family, those)
        candidates = (*chart.curves, *(() if chart.curves and len(parts) == 1 else parts))  # the only part is the whole
        curves = tuple(curve for curve in candidates if any(points_of(rows, curve) for rows in those.values()))
        if curves:
            found.append(replace(chart, curves=curves))
    return found


def _has(needed: str, rows: Rows) -> bool:
    return any(key == needed or (needed.endswith("/") and key.startswith(needed)) for row in rows for key in row)


def _family(beginning: str, runs: Mapping[str, Rows]) -> list[Curve]:
    """A curve for every key that has one more part after the beginning, in the order of the rows."""
    keys = (key for rows in runs.values() for row in rows for key in row if beginning and key.startswith(beginning))
    ends = dict.fromkeys(key.removeprefix(beginning) for key in keys)
    return [Curve(beginning + end, end) for end in ends if "/" not in end]


def _decisions(runs: Mapping[str, Rows]) -> list[Chart]:
    """A chart for every type of cell whose decisions have an entropy each."""
    unit = "entropy of a decision (nats)"
    keys = (key for rows in runs.values() for row in rows for key in row if key.startswith(_CATEGORICALS))
    cells = dict.fromkeys(key.split("/")[1] for key in keys if key.count("/") == 2)
    return [Chart(f"Decisions: {cell}", unit, (), 1, family=f"{_CATEGORICALS}{cell}/", of_one=True) for cell in cells]


def shown_in(chart: Chart, runs: Mapping[str, Rows]) -> dict[str, Rows]:
    """The runs that have a number for the chart."""
    return {
        name: rows for name, rows in chart.of(runs).items() if any(points_of(rows, curve) for curve in chart.curves)
    }


def points_of(rows: Rows, curve: Curve) -> list[tuple[int, float]]:
    """(epoch, shown number) of each row that has one; rows without the key or with nan are left out."""
    points = []
    for row in rows:
        epoch, value = row.get("epoch"), row.get(curve.key)
        if isinstance(epoch, int) and isinstance(value, int | float) and isfinite(value):
            points.append((epoch, value * curve.scale))
    return sorted(points)


def frozen_epochs(runs: Mapping[str, Rows]) -> list[int]:
    """The epochs in which the architecture learnt in no run; the start, epoch 0, only if the first is one of them."""
    frozen = [{row["epoch"] for row in rows if row.get(FROZEN) and "epoch" in row} for rows in runs.values()]
    common = set.intersection(*frozen)
    return sorted(common) if common - {0} else []
